"""Operators killed at random points, and what became of every fault that was asked for.

Each lane is an operator with its own namespace, lease and topics. Its plants are a stand-in that
applies what the broker holds, lets faults act by the clock and reports as generators do; so a fault
acted if the stand-in said so, whatever the operator believes. The killed operator's lease is
removed, as if it had run out, lest most of the time be spent waiting.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from benchmarks.operator.declaring import declare, is_ready, names, watched
from benchmarks.operator.figures import Figure, progress
from benchmarks.operator.fleet import bias
from benchmarks.operator.surroundings import Surroundings
from reactorsync.kube import ApiError
from reactorsync.wire.events import FaultEvent, FaultInjected, FaultRecovered
from tests.cluster_installation import ClusterInstallation, Tap, condition_of
from tests.clusters import JsonObject
from tests.operator.plant import Plants, simulated
from tests.part_process import until

REACTORS: Final = 12
TARGETS: Final = 3
DURATION_SECONDS: Final = (45, 75)
"""Far longer than an operator is away between two kills, so that every fault has its chance."""

SCENARIO_EVERY_SECONDS: Final = 4.0
LATE_SECONDS: Final = 1.0
"""How much later than its end a fault may still be seen to act: some ticks of the stand-in."""

_TELL_EVERY: Final = 25
"""Kills between two lines of progress."""

_LEADS_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 240.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A scenario as it was asked for."""

    uid: str
    name: str
    targets: frozenset[str]
    seconds: int


@dataclass
class Outcome:
    """What the checker found; each entry names a fault."""

    kills: int = 0
    kills_of_leaders: int = 0
    faults: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    immortal: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another lane's with this one's."""
        self.kills += other.kills
        self.kills_of_leaders += other.kills_of_leaders
        self.faults += other.faults
        self.lost += other.lost
        self.doubled += other.doubled
        self.immortal += other.immortal


async def measure(surroundings: Surroundings, *, kills: int, lanes: int, run: int) -> Outcome:
    """Kill operators so many times, in so many lanes at once."""
    shares = [kills // lanes + (lane < kills % lanes) for lane in range(lanes)]
    total = Outcome()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_lane(surroundings, f"crash-{run}-{lane}", kills=share, seed=lane))
            for lane, share in enumerate(shares)
        ]
    for task in tasks:
        total.add(task.result())
    return total


def figures(outcome: Outcome) -> list[Figure]:
    """Return what was found as figures."""
    workload = (
        f"{outcome.kills:,} kill -9 ({outcome.kills_of_leaders:,} of leaders), "
        f"{outcome.faults:,} faults, stand-in plants"
    )
    return [
        Figure("faults lost", len(outcome.lost), "", workload, 0),
        Figure("faults doubled", len(outcome.doubled), "", workload, 0),
        Figure("faults immortal", len(outcome.immortal), "", workload, 0),
    ]


async def _lane(surroundings: Surroundings, name: str, *, kills: int, seed: int) -> Outcome:
    async with surroundings.installation(name, shards=4) as installation:
        bus = installation.bus()
        try:
            async with simulated(bus, installation.topics) as plants, installation.tapped() as tap:
                await declare(installation, REACTORS, interval_milliseconds=1000)
                lane = _Lane(installation, random.Random(seed), kills)
                await lane.run()
                return check(lane, plants, tap)
        finally:
            await bus.close()


class _Lane:
    """One operator after the other, and scenarios all the while."""

    def __init__(self, installation: ClusterInstallation, chance: random.Random, kills: int):
        self.installation = installation
        self.asked: list[Asked] = []
        self.withdrawn: set[str] = set()
        """Scenarios that were aborted or deleted, by uid."""
        self.kills_of_leaders = 0
        self.kills = kills
        self._chance = chance

    async def run(self) -> None:
        """Kill and ask; then let one operator live until all is settled."""
        operator = self.installation.operator()
        began = time.monotonic()
        async with watched(self.installation, "Reactor") as statuses:
            await statuses.until(is_ready, names=list(names(REACTORS)), seconds=_LEADS_SECONDS)
        leads_after = time.monotonic() - began
        asking = asyncio.create_task(self._ask())
        try:
            for number in range(self.kills):
                if number % _TELL_EVERY == 0:
                    progress(f"{self.installation.namespace}: {number} of {self.kills} kills")
                await asyncio.sleep(self._chance.uniform(0.0, 1.2 * leads_after))
                self.kills_of_leaders += bool(await self.installation.leader())
                await self.installation.kill(operator)
                operator = self.installation.operator()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        progress(f"{self.installation.namespace}: waiting for {len(self.asked)} scenarios to end")
        await until(self._is_settled, seconds=_SETTLE_SECONDS, what="all runs over")
        await asyncio.sleep(2)  # the last events

    async def _ask(self) -> None:
        number = 0
        while True:
            number += 1
            await self._apply(number)
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * SCENARIO_EVERY_SECONDS)
            if self._chance.random() < 0.2:
                await self._withdraw(self._chance.choice(self.asked))

    async def _apply(self, number: int) -> None:
        targets = frozenset(self._chance.sample(list(names(REACTORS)), TARGETS))
        seconds = self._chance.randint(*DURATION_SECONDS)
        spec = bias(seconds=seconds) | {"targets": {"names": sorted(targets)}}
        if self._chance.random() < 0.5:
            spec["startDelaySeconds"] = self._chance.randint(1, 5)
        name = f"scenario-{number}"
        document = await self.installation.apply("AnomalyScenario", name, spec)
        self.asked.append(Asked(document["metadata"]["uid"], name, targets, seconds))

    async def _withdraw(self, asked: Asked) -> None:
        if asked.uid in self.withdrawn:
            return
        self.withdrawn.add(asked.uid)
        path = self.installation.path("AnomalyScenario", asked.name)
        if self._chance.random() < 0.5:
            await self.installation.kube.delete(path)
            return
        try:
            await self.installation.kube.merge_patch(path, {"spec": {"state": "Aborted"}})
        except ApiError as error:
            if error.code != 404:
                raise

    async def _is_settled(self) -> bool:
        scenarios = await self.installation.list("AnomalyScenario")
        return all(map(_is_over, scenarios))


def _is_over(scenario: JsonObject) -> bool:
    return scenario.get("status", {}).get("run", {}).get("phase") in (
        "Completed",
        "Aborted",
    ) and condition_of(scenario, "Succeeded").get("status") in ("True", "False")


def check(lane: _Lane, plants: Plants, tap: Tap) -> Outcome:
    """Compare what was asked for with what the plants did.

    A fault is one scenario's on one target. It is

    * lost, when the plant never reported it as acting although nobody withdrew the scenario;
    * doubled, when the plant reported it as beginning more than once, in whichever run, or when it
      was ever published with two different beginnings;
    * immortal, when it was not reported as ended, or later than ``LATE_SECONDS`` after the end that
      was published first, or is still in the desired state after all is over.
    """
    began: Counter[tuple[str, str]] = Counter()
    ended: dict[tuple[str, str], int] = {}
    for _, event in tap.events:
        if isinstance(event, FaultInjected):
            began[_place(event)] += 1
        elif isinstance(event, FaultRecovered):
            ended[_place(event)] = event.tick_us
    starts: dict[tuple[str, str], set[int]] = {}
    ends: dict[tuple[str, str], int] = {}
    for desired in (state for _, state in plants.records if state is not None):
        for fault in desired.faults:
            place = (fault.id.split("/")[0], desired.name)
            starts.setdefault(place, set()).add(fault.start_us)
            ends.setdefault(place, fault.end_us)
    kept = {
        (fault.id.split("/")[0], state.name)
        for state in plants.desired.values()
        for fault in state.faults
    }
    outcome = Outcome(kills=lane.kills, kills_of_leaders=lane.kills_of_leaders)
    for asked in lane.asked:
        for place in ((asked.uid, target) for target in sorted(asked.targets)):
            title = f"{lane.installation.namespace}/{asked.name} on {place[1]}"
            outcome.faults += 1
            if not began[place] and asked.uid not in lane.withdrawn:
                outcome.lost.append(title)
            if began[place] > 1 or len(starts.get(place, ())) > 1:
                outcome.doubled.append(title)
            is_late = (
                place in ended and ended[place] > ends.get(place, 0) + LATE_SECONDS * 1_000_000
            )
            if (began[place] and place not in ended) or is_late or place in kept:
                outcome.immortal.append(title)
    return outcome


def _place(event: FaultEvent) -> tuple[str, str]:
    return event.fault_id.split("/")[0], event.name
