"""Which reactors a scenario acts on: a seeded choice that anybody can repeat.

Every reactor has a rank, a digest of the scenario's seed and the reactor's UID; the reactors with
the lowest ranks are chosen. The same seed therefore chooses the same reactors, and a reactor that
comes or goes changes the choice only at its end.
"""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from reactorsync.faults import inapplicable
from reactorsync.resources import AnomalyScenario, Reactor, ReactorState, Stage, Targets
from reactorsync.resources.scenario import TargetPolicy
from reactorsync.resources.scenario_status import Run

NOT_FOUND: Final = "NotFound"
INAPPLICABLE: Final = "Inapplicable"
SUSPENDED: Final = "Suspended"

NOBODY: Final = ""
"""The selection cutoff of a Static run that began without a single target."""


def rank(seed: int, uid: UUID) -> str:
    """Return the place of a reactor in the seeded order: 32 hexadecimal digits, lowest first."""
    return hashlib.blake2b(seed.to_bytes(8, "big") + uid.bytes, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A reactor that matches, in the seeded order."""

    rank: str
    reactor: str
    uid: UUID
    created: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a scenario cannot act on one reactor, as it should."""

    reactor: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of a choice.

    Attributes:
        matched: how many reactors match the selector, or exist of the names.
        chosen: those chosen among them, lowest rank first.
        failures: the chosen reactors some stage cannot act on, and the names that do not exist;
            one entry for each reactor.
        left_off: how many more were wanted than a limit of the operator's lets a run take in.
    """

    matched: int
    chosen: tuple[Candidate, ...]
    failures: tuple[Failure, ...]
    left_off: int = 0

    @property
    def wanted(self) -> int:
        """How many reactors the scenario asks for, whether or not it may have them."""
        return len(self.chosen) + self.left_off

    @property
    def cutoff(self) -> str:
        """Rank of the last reactor chosen, :data:`NOBODY` when none is."""
        return self.chosen[-1].rank if self.chosen else NOBODY


def matches(scenario: AnomalyScenario, reactor: Reactor) -> bool:
    """Return whether the scenario may choose the reactor: namespace, and selector or name, fit."""
    if scenario.metadata.namespace != reactor.metadata.namespace:
        return False
    targets = scenario.spec.targets
    if targets.selector is not None:
        return targets.selector.matches(reactor.metadata.labels)
    return reactor.metadata.name in (targets.names or ())


def candidate(targets: Targets, reactor: Reactor) -> Candidate:
    """Return the reactor's place in the seeded order of ``targets``.

    Raises:
        ValueError: the reactor was never stored, so that it has no UID.
    """
    metadata = reactor.metadata
    if metadata.uid is None or metadata.creation_timestamp is None:
        raise ValueError(f"reactor {metadata.name} is not stored: it has no uid")
    return Candidate(
        rank=rank(targets.seed, metadata.uid),
        reactor=metadata.name,
        uid=metadata.uid,
        created=metadata.creation_timestamp,
    )


def quota(targets: Targets, matched: int) -> int:
    """Return how many of ``matched`` reactors are wanted; shares are rounded up."""
    if isinstance(targets.count, str):
        wanted = math.ceil(matched * int(targets.count.removesuffix("%")) / 100)
    else:
        wanted = targets.count
    return min(wanted, targets.max_targets, matched)


def choose(
    targets: Targets, candidates: Sequence[Candidate], *, run: Run | None
) -> tuple[Candidate, ...]:
    """Choose among ``candidates``, which come in the order of their ranks.

    Dynamic chooses anew among whoever is there. Static does so until the run has begun; from then
    on the choice is closed, and told by the rank of its last reactor and the time it was made.
    """
    closed = run is not None and run.selection_cutoff is not None
    if targets.policy is TargetPolicy.DYNAMIC or not closed:
        return tuple(candidates[: quota(targets, len(candidates))])
    assert run is not None  # noqa: S101 - said by `closed`
    cutoff, closed_at = run.selection_cutoff or NOBODY, run.selection_time or run.start_time
    return tuple(one for one in candidates if one.rank <= cutoff and one.created <= closed_at)


def stages_for(scenario: AnomalyScenario, reactor: Reactor) -> tuple[Stage, ...]:
    """Return the stages whose mechanism the reactor's design has, in the order of the spec."""
    return tuple(stage for stage in scenario.spec.stages if _obstacle(stage, reactor) is None)


def failure_on(scenario: AnomalyScenario, reactor: Reactor) -> Failure | None:
    """Return why some stage cannot act on a chosen reactor, ``None`` when all can."""
    obstacles = [
        f"stage {stage.name}: {obstacle}"
        for stage in scenario.spec.stages
        if (obstacle := _obstacle(stage, reactor)) is not None
    ]
    name = reactor.metadata.name
    if obstacles:
        return Failure(name, INAPPLICABLE, "; ".join(obstacles))
    if reactor.spec.state is ReactorState.SUSPENDED:
        return Failure(name, SUSPENDED, "the reactor is suspended: its clock stands still")
    return None


def missing_names(scenario: AnomalyScenario, present: Collection[str]) -> list[Failure]:
    """Return a failure for each target named that does not exist, in the order of the spec."""
    namespace = scenario.metadata.namespace
    return [
        Failure(name, NOT_FOUND, f"no reactor of this name in namespace {namespace}")
        for name in dict.fromkeys(scenario.spec.targets.names or ())
        if name not in present
    ]


def resolve(
    scenario: AnomalyScenario, reactors: Iterable[Reactor], *, run: Run | None = None
) -> Selection:
    """Choose the targets of a scenario among ``reactors``; ``run`` is the run it has, if any."""
    found = {reactor.metadata.name: reactor for reactor in reactors if matches(scenario, reactor)}
    ranked: list[Candidate] = []
    for reactor in found.values():
        bisect.insort(ranked, candidate(scenario.spec.targets, reactor))
    chosen = choose(scenario.spec.targets, ranked, run=run)
    failures = [failure_on(scenario, found[one.reactor]) for one in chosen]
    return Selection(
        matched=len(found),
        chosen=chosen,
        failures=(
            *missing_names(scenario, found),
            *(failure for failure in failures if failure is not None),
        ),
    )


def _obstacle(stage: Stage, reactor: Reactor) -> str | None:
    signal = stage.sensor.signal if stage.sensor is not None else None
    return inapplicable(stage.fault, reactor.spec.design, signal)
