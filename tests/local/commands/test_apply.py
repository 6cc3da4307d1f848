from pathlib import Path

import pytest

from tests.local.commands.conftest import Command, Manifest


def test_objects_are_created_then_unchanged_then_configured(
    reactorsync: Command, reactor_yaml: Manifest
) -> None:
    manifest = reactor_yaml("unit-1") + reactor_yaml("unit-2")
    created = reactorsync("apply", "-f", "-", stdin=manifest)
    assert created.exit_code == 0
    assert created.lines == [
        "reactor.reactorsync.dev/unit-1 created",
        "reactor.reactorsync.dev/unit-2 created",
    ]
    again = reactorsync("apply", "-f", "-", stdin=manifest)
    assert [line.rsplit(" ", 1)[1] for line in again.lines] == ["unchanged", "unchanged"]
    changed = reactor_yaml("unit-1", spec="  powerSetpointPermille: 800\n")
    configured = reactorsync("apply", "-f", "-", stdin=changed)
    assert configured.lines == ["reactor.reactorsync.dev/unit-1 configured"]


def test_a_namespace_is_for_those_that_declare_none_and_contradicts_no_other(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    elsewhere = reactor_yaml("unit-1")
    anywhere = elsewhere.replace(f", namespace: {namespace}", "")
    applied = reactorsync("apply", "-f", "-", "-n", namespace, stdin=anywhere)
    assert applied.lines == ["reactor.reactorsync.dev/unit-1 created"]
    listed = reactorsync("get", "rx", "-n", namespace, "-o", "name")
    assert listed.lines == ["reactor.reactorsync.dev/unit-1"]
    for command in ("apply", "delete"):
        refused = reactorsync(command, "-f", "-", "-n", "other", stdin=elsewhere)
        assert refused.exit_code == 1
        assert f"namespace {namespace} is declared, -n says other" in refused.stderr


def test_folders_are_read_with_all_below_them_and_only_manifests(
    reactorsync: Command, reactor_yaml: Manifest, tmp_path: Path
) -> None:
    deep = tmp_path / "fleet" / "europe"
    deep.mkdir(parents=True)
    (tmp_path / "fleet" / "a.yaml").write_text(reactor_yaml("unit-a"))
    (deep / "b.yml").write_text(reactor_yaml("unit-b"))
    (deep / "README.md").write_text("not a manifest: {")
    (deep / ".hidden.yaml").write_text("not a manifest: {")
    applied = reactorsync("apply", "-f", "fleet")
    assert [line.split()[0] for line in applied.lines] == [
        "reactor.reactorsync.dev/unit-a",
        "reactor.reactorsync.dev/unit-b",
    ]


def test_a_problem_names_file_line_field_and_what_is_allowed_and_nothing_is_applied(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "good.yaml").write_text(reactor_yaml("unit-good"))
    bad = reactor_yaml("unit-bad", spec="  powerSetpointPermille: 2000\n")
    (tmp_path / "bad.yaml").write_text(bad)
    refused = reactorsync("apply", "-f", "good.yaml", "-f", "bad.yaml")
    assert refused.exit_code == 1
    [problem, *_] = refused.stderr.splitlines()
    assert problem.startswith("bad.yaml:6: ")
    assert "spec.powerSetpointPermille" in problem
    assert "1000" in problem
    assert "nothing was done" in refused.stderr
    assert reactorsync("get", "rx", "-n", namespace, "-o", "name").stdout == ""


def test_an_object_declared_twice_is_refused(
    reactorsync: Command, reactor_yaml: Manifest, tmp_path: Path
) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(reactor_yaml("unit-1"))
    refused = reactorsync("apply", "-f", "one.yaml", "-f", "two.yaml")
    assert refused.exit_code == 1
    assert "two.yaml: metadata.name: Reactor unit-1 is declared in one.yaml already" in (
        refused.stderr
    )


def test_a_forbidden_change_stops_everything_before_the_first_write(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1"))
    manifest = reactor_yaml("unit-0") + reactor_yaml("unit-1", design="Pwr3Loop")
    refused = reactorsync("apply", "-f", "-", stdin=manifest)
    assert refused.exit_code == 1
    assert "reactor.reactorsync.dev/unit-1: spec.design: is immutable" in refused.stderr
    names = reactorsync("get", "rx", "-n", namespace, "-o", "name")
    assert names.lines == ["reactor.reactorsync.dev/unit-1"]


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    told = reactorsync("apply", "-f", "-", "--dry-run", stdin=reactor_yaml("unit-1"))
    assert told.lines == ["reactor.reactorsync.dev/unit-1 created (dry run)"]
    assert reactorsync("get", "rx", "-n", namespace, "-o", "name").stdout == ""


def test_what_get_prints_can_be_applied_again(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1") + reactor_yaml("unit-2"))
    for encoding in ("yaml", "json"):
        exported = reactorsync("get", "rx", "-n", namespace, "-o", encoding)
        applied = reactorsync("apply", "-f", "-", stdin=exported.stdout)
        assert applied.exit_code == 0
        assert len(applied.lines) == 2


def test_applying_again_does_not_rerun_a_scenario(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    assert reactorsync("scenario", "run", "drill", "-n", namespace).exit_code == 0
    again = reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    assert again.lines == ["anomalyscenario.reactorsync.dev/drill unchanged"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("apply", "-f", "missing.yaml"), "cannot read missing.yaml"),
        (("apply", "-f", "."), "no manifest (.yaml, .yml, .json) in . or below"),
        (("apply", "-f", "-"), "nothing is declared in -"),
    ],
)
def test_nothing_to_apply_is_said(
    reactorsync: Command, arguments: tuple[str, ...], said: str
) -> None:
    refused = reactorsync(*arguments)
    assert refused.exit_code == 1
    assert said in refused.stderr


def test_many_objects_are_applied_in_the_order_of_their_files(
    reactorsync: Command, reactor_yaml: Manifest
) -> None:
    names = [f"unit-{number}" for number in range(40)]
    manifest = "".join(reactor_yaml(name) for name in names)
    applied = reactorsync("apply", "-f", "-", stdin=manifest)
    assert applied.lines == [f"reactor.reactorsync.dev/{name} created" for name in names]
