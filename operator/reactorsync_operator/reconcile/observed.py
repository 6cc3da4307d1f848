"""What a plan is made from: resources as they are stored, and what the generators reported."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from uuid import UUID

from reactorsync.planning.targets import Selection
from reactorsync.resources import AnomalyScenario, Reactor


@dataclass(frozen=True, slots=True)
class FaultReport:
    """What was reported of one fault on one reactor; times in microseconds since 1970.

    A fault that was lifted and acts again has been injected after it recovered. ``None`` stands
    for never.
    """

    scenario: str
    stage: str
    kind: str
    first_injected_us: int | None = None
    last_injected_us: int | None = None
    recovered_us: int | None = None

    @property
    def acts(self) -> bool:
        """Whether the fault acted when it was last heard of."""
        if self.last_injected_us is None:
            return False
        return self.recovered_us is None or self.recovered_us < self.last_injected_us

    @property
    def acts_since_us(self) -> int | None:
        """Since when the fault acts; it may have been reported again since then."""
        return self.first_injected_us if self.recovered_us is None else self.last_injected_us


@dataclass(frozen=True, slots=True)
class ReactorReport:
    """What generators last reported of one reactor; times in microseconds since 1970.

    Attributes:
        revision: content of the desired state that was taken over last.
        generation: generation of the spec in it.
        power_permille: neutron power last reported, ``None`` before the first report.
        trip_cause: first-out cause while the plant is tripped.
        faults: by fault id.
    """

    revision: str | None = None
    generation: int | None = None
    generator: str | None = None
    shard: int | None = None
    power_permille: int | None = None
    observed_us: int | None = None
    trip_cause: str | None = None
    faults: Mapping[str, FaultReport] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """A desired state of a reactor, and when it was offered, or acknowledged by the broker."""

    revision: str
    time_us: int


@dataclass(frozen=True, slots=True)
class ObservedReactor:
    """Everything the plan of a reactor depends on.

    Attributes:
        scenarios: those that chose the reactor.
        heartbeat_us: when a generator last said that it simulates the reactor's shard.
        offered: the desired state that the last plan offered, and since when.
        publication: the desired state that the broker last acknowledged, and when.
        delivery_problem: why desired state cannot be published now.
    """

    reactor: Reactor
    scenarios: tuple[AnomalyScenario, ...] = ()
    report: ReactorReport | None = None
    heartbeat_us: int | None = None
    offered: Publication | None = None
    publication: Publication | None = None
    delivery_problem: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether telemetry shows what the faults must do, by whoever looked."""

    confirmed: bool
    message: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """What was reported of one run, over all reactors.

    Attributes:
        injected: reactors on which a fault of the run was reported to act, or to act no longer.
        acting: those of them on which one still acts.
    """

    injected: Set[UUID] = frozenset()
    acting: Set[UUID] = frozenset()
    first_injected_us: int | None = None
    last_recovered_us: int | None = None
    verification: Verification | None = None


@dataclass(frozen=True, slots=True)
class ObservedScenario:
    """Everything the plan of a scenario depends on.

    Attributes:
        selection: reactors it acts on, by its status as it is stored.
        conflicts: by name of a reactor, the scenario that this one gives way to there.
        report: of the run in the status; empty when there is none.
    """

    scenario: AnomalyScenario
    selection: Selection
    conflicts: Mapping[str, str] = field(default_factory=dict)
    report: RunReport = field(default_factory=RunReport)
    delivery_problem: str | None = None
