from tests.local.commands.conftest import Command, Manifest


def test_a_reactor_is_described_before_it_has_reported_anything(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    place = "latitudeMicrodegrees: 44325300, longitudeMicrodegrees: -81599400"
    site = f"  site: {{name: Bruce, country: CA, {place}}}\n"
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1", labels="{a: b}", spec=site))
    described = reactorsync("describe", "rx", "unit-1", "-n", namespace)
    assert described.exit_code == 0
    pairs = [line.partition(":") for line in described.lines]
    fields = {name: value.strip() for name, _, value in pairs}
    assert fields["Name"] == "unit-1"
    assert fields["Labels"] == "a=b"
    assert fields["Site"] == "Bruce, CA, 44.3253°N 81.5994°W"
    assert fields["Design"].startswith("CANDU 6 (Candu6)")
    assert fields["Health"] == "○ Unknown"
    assert described.stdout.count("<none yet>") == 2
    assert "last-applied" not in described.stdout


def test_a_scenario_is_described_with_targets_and_stages(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    described = reactorsync("describe", "anom", "drill", "-n", namespace)
    assert described.exit_code == 0
    assert "Chosen by:      unit-1" in described.stdout
    assert "0s – 1m     pumps-lost: Primary pump trip, 100 %, Step" in described.stdout


def test_several_objects_are_described_one_after_the_other(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1") + reactor_yaml("unit-2"))
    described = reactorsync("describe", "rx", "unit-1", "unit-2", "-n", namespace)
    names = [line.split()[-1] for line in described.lines if line.startswith("Name:")]
    assert names == ["unit-1", "unit-2"]
