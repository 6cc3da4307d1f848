import asyncio

from reactorsync_local.machine.samples import apply_sample_fleet, find_sample_fleet
from reactorsync_local.server import Server
from tests.local.commands.conftest import Command, Manifest, RunningApi


def test_every_sample_is_accepted(reactorsync: Command) -> None:
    fleet = find_sample_fleet()
    assert fleet is not None
    checked = reactorsync("apply", "-f", str(fleet.parent), "--dry-run")
    assert checked.exit_code == 0
    assert len(checked.lines) > 20


def test_a_fleet_that_is_there_is_left_alone(
    reactorsync: Command, reactor_yaml: Manifest, api: RunningApi
) -> None:
    reactorsync("apply", "-f", "-", stdin=reactor_yaml("unit-1"))
    fleet = find_sample_fleet()
    assert fleet is not None
    assert asyncio.run(apply_sample_fleet(Server(api.url), fleet)) == 0
