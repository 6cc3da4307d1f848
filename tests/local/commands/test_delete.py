from pathlib import Path

from tests.local.commands.conftest import Command, Manifest


def test_objects_are_deleted_by_name(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1") + reactor_yaml("unit-2"))
    gone = reactorsync("delete", "rx", "unit-1", "unit-2", "-n", namespace)
    assert gone.exit_code == 0
    assert gone.lines == [
        "reactor.reactorsync.dev/unit-1 deleted",
        "reactor.reactorsync.dev/unit-2 deleted",
    ]
    assert reactorsync("get", "rx", "-n", namespace, "-o", "name").stdout == ""


def test_what_manifests_name_is_deleted(
    reactorsync: Command, reactor_yaml: Manifest, scenario_yaml: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "all.yaml").write_text(reactor_yaml("unit-1") + scenario_yaml("drill"))
    reactorsync("apply", "-f", "all.yaml")
    gone = reactorsync("delete", "-f", "all.yaml")
    assert [line.rsplit(" ", 1)[1] for line in gone.lines] == ["deleted", "deleted"]


def test_a_namespace_is_for_manifests_that_declare_none(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    declared = reactor_yaml("unit-1")
    reactorsync("apply", "-f", "-", stdin=declared)
    anywhere = declared.replace(f", namespace: {namespace}", "")
    gone = reactorsync("delete", "-f", "-", "-n", namespace, stdin=anywhere)
    assert gone.lines == ["reactor.reactorsync.dev/unit-1 deleted"]


def test_what_is_not_there_is_said_and_the_rest_is_deleted(
    reactorsync: Command, reactor_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1"))
    gone = reactorsync("delete", "rx", "nowhere", "unit-1", "-n", namespace)
    assert gone.exit_code == 1
    assert f"no reactor {namespace}/nowhere" in gone.stderr
    assert gone.lines == ["reactor.reactorsync.dev/unit-1 deleted"]
