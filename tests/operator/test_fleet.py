"""The resources as they were last seen, and who acts on whom."""

from typing import Any

import pytest

from reactorsync.planning.compose import LeftOut
from reactorsync.resources import AnomalyScenario, AnomalyScenarioStatus, Kind, Reactor
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync.store.port import R
from reactorsync.wire.keys import shard_of
from reactorsync_operator.fleet import Fleet, WorkKey
from tests.core.planning.build import NOON, after, reactor, scenario, uid_of

BY_SITE = {"selector": {"matchLabels": {"site": "bruce"}}}


class Marked:
    """What the fleet asks to be looked at."""

    def __init__(self) -> None:
        self.keys: set[WorkKey] = set()

    def __call__(self, key: WorkKey) -> None:
        self.keys.add(key)

    def take(self) -> set[str]:
        """Names of what was marked since the last time, scenarios in brackets."""
        keys, self.keys = self.keys, set()
        short = {key: key.name.removeprefix("default/") for key in keys}
        return {name if key.kind is Kind.REACTOR else f"[{name}]" for key, name in short.items()}


@pytest.fixture
def marked() -> Marked:
    return Marked()


@pytest.fixture
def fleet(marked: Marked) -> Fleet:
    """bruce-1 and bruce-2 at Bruce, pick-1 at Pickering."""
    fleet = Fleet(shards=4, mark=marked)
    for name, site in (("bruce-1", "bruce"), ("bruce-2", "bruce"), ("pick-1", "pickering")):
        fleet.put_reactor(reactor(name, labels={"site": site}))
    marked.take()
    return fleet


def chosen(fleet: Fleet, name: str = "leak-drill") -> set[str]:
    return {one.reactor for one in fleet.selection(f"default/{name}").chosen}


def acting(fleet: Fleet, name: str) -> set[str]:
    return {one.metadata.name for one in fleet.acting_on(f"default/{name}")}


def running(version: int, *, number: int = 1, **spec: Any) -> AnomalyScenario:
    run = Run(number=number, phase=RunPhase.RUNNING, start_time=NOON, end_time=after(600), token="")
    status = AnomalyScenarioStatus(run=run, observed_generation=1)
    return scenario(version=version, status=status, **{"targets": BY_SITE, **spec})


def relabelled(stored: Reactor, site: str, version: int) -> Reactor:
    metadata = stored.metadata.model_copy(
        update={"labels": {"site": site}, "resource_version": str(version)}
    )
    return stored.model_copy(update={"metadata": metadata})


def test_a_scenario_chooses_by_label(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    assert chosen(fleet) == {"bruce-1", "bruce-2"}
    assert acting(fleet, "bruce-1") == {"leak-drill"}
    assert acting(fleet, "pick-1") == set()
    assert marked.take() == {"[leak-drill]", "bruce-1", "bruce-2"}


def test_by_name(fleet: Fleet) -> None:
    fleet.put_scenario(scenario(targets={"names": ["pick-1", "gone"]}))
    assert chosen(fleet) == {"pick-1"}
    assert [one.reason for one in fleet.selection("default/leak-drill").failures] == ["NotFound"]


def test_a_label_that_changes_changes_who_is_chosen(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    chosen(fleet)
    marked.take()
    fleet.put_reactor(relabelled(fleet.reactors["default/bruce-1"], "pickering", 2))
    fleet.put_reactor(relabelled(fleet.reactors["default/pick-1"], "bruce", 3))
    assert chosen(fleet) == {"bruce-2", "pick-1"}
    assert acting(fleet, "bruce-1") == set()
    assert marked.take() == {"[leak-drill]", "bruce-1", "pick-1"}


def test_only_what_a_change_concerns_is_marked(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    chosen(fleet)
    marked.take()
    fleet.put_reactor(reactor("pick-1", labels={"site": "pickering"}, version=5))
    assert marked.take() == {"pick-1"}


def test_a_deleted_reactor_is_nobodys_target(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    chosen(fleet)
    marked.take()
    fleet.remove_reactor("default/bruce-1")
    assert marked.take() == {"[leak-drill]", "bruce-1"}
    assert chosen(fleet) == {"bruce-2"}
    assert fleet.reactors.name_of(uid_of("bruce-1")) is None


def test_a_deleted_scenario_acts_on_nobody(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    chosen(fleet)
    marked.take()
    fleet.remove_scenario("default/leak-drill")
    assert marked.take() == {"[leak-drill]", "bruce-1", "bruce-2"}
    assert acting(fleet, "bruce-1") == set()


class TestTheAnswerToAnOwnWriteComesLate:
    """The watch may have told meanwhile that the object was deleted, and made anew."""

    def reborn(self, resource: R) -> R:
        metadata = resource.metadata.model_copy(
            update={"uid": uid_of("another"), "resource_version": "7"}
        )
        return resource.model_copy(update={"metadata": metadata})

    def test_a_deleted_reactor_stays_deleted(self, fleet: Fleet) -> None:
        written = reactor("bruce-1", version=9)
        fleet.remove_reactor("default/bruce-1")
        fleet.put_reactor(written, own_write=True)
        assert "default/bruce-1" not in fleet.reactors

    def test_a_deleted_scenario_stays_deleted(self, fleet: Fleet) -> None:
        fleet.put_scenario(scenario(targets=BY_SITE))
        fleet.remove_scenario("default/leak-drill")
        fleet.put_scenario(scenario(targets=BY_SITE, version=9), own_write=True)
        assert fleet.scenario("default/leak-drill") is None

    def test_a_reactor_made_anew_is_not_replaced_by_the_old_one(self, fleet: Fleet) -> None:
        born = self.reborn(reactor("bruce-1"))
        fleet.put_reactor(born)
        fleet.put_reactor(reactor("bruce-1", version=9), own_write=True)
        assert fleet.reactors["default/bruce-1"] == born

    def test_a_scenario_made_anew_is_not_replaced_by_the_old_one(self, fleet: Fleet) -> None:
        born = self.reborn(scenario(targets=BY_SITE))
        fleet.put_scenario(born)
        fleet.put_scenario(scenario(targets=BY_SITE, version=9), own_write=True)
        assert fleet.scenario("default/leak-drill") == born


def test_a_reactor_recreated_under_its_name_is_another_one(fleet: Fleet) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    assert chosen(fleet) == {"bruce-1", "bruce-2"}
    born = reactor("bruce-1", labels={"site": "bruce"}, version=9)
    metadata = born.metadata.model_copy(update={"uid": uid_of("bruce-1 again")})
    fleet.put_reactor(born.model_copy(update={"metadata": metadata}))
    uids = {one.uid for one in fleet.selection("default/leak-drill").chosen}
    assert uids == {uid_of("bruce-1 again"), uid_of("bruce-2")}
    assert acting(fleet, "bruce-1") == {"leak-drill"}


def test_a_watch_that_lags_behind_own_writes_is_not_believed(fleet: Fleet, marked: Marked) -> None:
    fleet.put_reactor(reactor("pick-1", version=10, powerSetpointPermille=900), own_write=True)
    marked.take()
    fleet.put_reactor(reactor("pick-1", version=9))
    fleet.put_reactor(reactor("pick-1", version=10, powerSetpointPermille=900))
    assert fleet.reactors["default/pick-1"].spec.power_setpoint_permille == 900
    assert marked.take() == set()


def test_a_status_written_by_a_plan_asks_for_no_plan(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(running(1))
    chosen(fleet)
    marked.take()
    fleet.put_scenario(running(2), own_write=True)
    fleet.put_reactor(reactor("pick-1", version=5, labels={"site": "pickering"}), own_write=True)
    assert marked.take() == set()


@pytest.mark.parametrize(
    "change",
    [{"number": 2}, {"state": "Suspended"}, {"stages": [{"name": "trip", "fault": "PumpTrip"}]}],
)
def test_what_changes_faults_marks_the_reactors(
    fleet: Fleet, marked: Marked, change: dict[str, Any]
) -> None:
    fleet.put_scenario(running(1))
    chosen(fleet)
    marked.take()
    fleet.put_scenario(running(2, **change), own_write=True)
    assert marked.take() == {"[leak-drill]", "bruce-1", "bruce-2"}


def test_who_gives_way_is_told_to_the_scenario(fleet: Fleet, marked: Marked) -> None:
    fleet.put_scenario(scenario(targets=BY_SITE))
    marked.take()
    fleet.set_left_out("default/bruce-1", (LeftOut(uid_of("leak-drill"), "older"),))
    assert fleet.conflicts("default/leak-drill") == {"bruce-1": "older"}
    assert marked.take() == {"[leak-drill]"}
    fleet.set_left_out("default/bruce-1", ())
    assert fleet.conflicts("default/leak-drill") == {}


def test_the_rate_of_readings_follows_the_running_fleet(fleet: Fleet) -> None:
    assert fleet.reactors.readings_per_second == 3
    fleet.put_reactor(reactor("pick-1", version=2, telemetry={"intervalMilliseconds": 100}))
    assert fleet.reactors.readings_per_second == 12
    fleet.put_reactor(reactor("bruce-1", version=3, state="Suspended"))
    assert fleet.reactors.readings_per_second == 11
    fleet.remove_reactor("default/pick-1")
    assert fleet.reactors.readings_per_second == 1


def test_reactors_are_known_by_their_shard(fleet: Fleet) -> None:
    for name in fleet.reactors:
        assert name in fleet.reactors.on_shard(shard_of(name, 4))
    assert sum(len(fleet.reactors.on_shard(shard)) for shard in range(4)) == 3
    for name in list(fleet.reactors):
        fleet.remove_reactor(name)
    assert fleet.reactors.shard_count == 0


class TestOldNews:
    """Lists, watches and own writes overlap; versions tell what came after what."""

    def put(self, fleet: Fleet, version: int, *, uid: str = "bruce-1", **spec: Any) -> None:
        stored = reactor("bruce-1", version=version, **spec)
        metadata = stored.metadata.model_copy(update={"uid": uid_of(uid)})
        fleet.put_reactor(stored.model_copy(update={"metadata": metadata}))

    def setpoint(self, fleet: Fleet) -> int:
        return fleet.reactors["default/bruce-1"].spec.power_setpoint_permille

    def test_an_older_version_changes_nothing(self, fleet: Fleet) -> None:
        self.put(fleet, 10, powerSetpointPermille=900)
        self.put(fleet, 9, powerSetpointPermille=800)
        assert self.setpoint(fleet) == 900

    def test_nor_does_an_object_that_had_the_name_before(self, fleet: Fleet) -> None:
        self.put(fleet, 10, uid="new", powerSetpointPermille=900)
        self.put(fleet, 9, uid="old")
        fleet.remove_reactor("default/bruce-1", uid=uid_of("old"), version="9")
        assert fleet.reactors.name_of(uid_of("new")) == "default/bruce-1"
        assert self.setpoint(fleet) == 900

    def test_recreated_under_its_name_it_is_another_one(self, fleet: Fleet) -> None:
        self.put(fleet, 10, uid="new")
        assert fleet.reactors.name_of(uid_of("bruce-1")) is None
        assert fleet.reactors.name_of(uid_of("new")) == "default/bruce-1"

    def test_what_was_deleted_does_not_come_back(self, fleet: Fleet) -> None:
        fleet.remove_reactor("default/bruce-1", uid=uid_of("bruce-1"), version="12")
        self.put(fleet, 11)
        assert "default/bruce-1" not in fleet.reactors

    def test_nor_if_its_deletion_came_first(self, fleet: Fleet) -> None:
        fleet.remove_reactor("default/bruce-7", uid=uid_of("bruce-7"), version="12")
        fleet.put_reactor(reactor("bruce-7", version=11))
        assert "default/bruce-7" not in fleet.reactors

    def test_a_list_older_than_an_object_does_not_remove_it(self, fleet: Fleet) -> None:
        self.put(fleet, 10)
        fleet.remove_reactor("default/bruce-1", version="9")
        assert "default/bruce-1" in fleet.reactors
        fleet.remove_reactor("default/bruce-1", version="11")
        assert "default/bruce-1" not in fleet.reactors

    def test_the_same_holds_for_scenarios(self, fleet: Fleet) -> None:
        fleet.put_scenario(scenario(version=5))
        fleet.remove_scenario("default/leak-drill", uid=uid_of("another"), version="9")
        assert fleet.scenario("default/leak-drill") is not None
        fleet.remove_scenario("default/leak-drill", uid=uid_of("leak-drill"), version="9")
        fleet.put_scenario(scenario(version=8))
        assert fleet.scenario("default/leak-drill") is None

    def test_what_somebodys_finalizer_keeps_is_gone(self, fleet: Fleet) -> None:
        fleet.put_scenario(scenario(targets=BY_SITE))
        stored = fleet.reactors["default/bruce-1"]
        metadata = stored.metadata.model_copy(
            update={"deletion_timestamp": NOON, "resource_version": "9"}
        )
        fleet.put_reactor(stored.model_copy(update={"metadata": metadata}))
        assert "default/bruce-1" not in fleet.reactors
        assert chosen(fleet) == {"bruce-2"}
