"""What a plan is made from: resources as they are stored, and what the generators reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from uuid import UUID

from reactorsync.planning.targets import Selection
from reactorsync.resources import AnomalyScenario, Reactor


@dataclass(frozen=True, slots=True)
class FaultVerification:
    """What somebody who compared the telemetry with a fault found, and when.

    ``confirmed`` is ``None`` when it could not be judged.
    """

    verified_us: int
    confirmed: bool | None
    message: str = ""

    @property
    def weight(self) -> tuple[bool, int, bool, str]:
        """What makes one finding count more than another: that it says anything, then its time."""
        return (
            self.confirmed is not None,
            self.verified_us,
            self.confirmed is True,
            self.message,
        )


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
    verification: FaultVerification | None = None

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
class AlarmReport:
    """One alarm of one reactor; times in microseconds since 1970.

    ``raised_us`` is ``None`` while only the end of the alarm was heard of, ``cleared_us`` while it
    stands.
    """

    signal: str
    raised_us: int | None = None
    cleared_us: int | None = None

    @property
    def stands(self) -> bool:
        """Whether the alarm stood when it was last heard of."""
        return self.raised_us is not None and self.cleared_us is None


@dataclass(frozen=True, slots=True, order=True)
class DiagnosisReport:
    """The kinds of fault that a diagnosis named, likeliest first, and when; later is greater."""

    made_us: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReactorReport:
    """What generators last reported of one reactor; times in microseconds since 1970.

    Attributes:
        revision: content of the desired state that was taken over last.
        generation: generation of the spec in it.
        power_permille: neutron power last reported, ``None`` before the first report.
        trip_cause: first-out cause while the plant is tripped.
        faults: by fault id.
        open_alarms: alarms that stand; ``None`` while no alarm was heard of, so that what the
            status says still holds.
        diagnosis: the newest.
    """

    revision: str | None = None
    generation: int | None = None
    generator: str | None = None
    shard: int | None = None
    power_permille: int | None = None
    observed_us: int | None = None
    trip_cause: str | None = None
    faults: Mapping[str, FaultReport] = field(default_factory=dict)
    open_alarms: int | None = None
    diagnosis: DiagnosisReport | None = None


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
        nothing_heard: whether no generator was heard of either, on whatever shard, since then.
    """

    reactor: Reactor
    scenarios: tuple[AnomalyScenario, ...] = ()
    report: ReactorReport | None = None
    heartbeat_us: int | None = None
    offered: Publication | None = None
    publication: Publication | None = None
    delivery_problem: str | None = None
    nothing_heard: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether telemetry shows what the faults must do; ``None`` when nobody who looked can say."""

    confirmed: bool | None
    message: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """What was reported of one run, over all reactors.

    The collections are views that go on changing as events come in: whoever keeps a report for
    later must copy what it needs.

    Attributes:
        injected: reactors on which a fault of the run was reported to act.
        acting: those of them on which one still acts.
        ended: reactors on which one was reported to act no longer. That it ever did does not follow
            from it: a generator says so of what was over when it first heard of it, too.
        detected: injected reactors on which an alarm was raised since, and when the first one was.
        delays_us: of those, the times from injection to that alarm, ascending.
        false_alarms: alarms raised while the run lasted on reactors of its namespace that no known
            fault acted on.
        watched: whether anybody was ever heard who raises alarms, diagnoses or verifies faults, be
            it about this run or another one.
    """

    injected: Set[UUID] = frozenset()
    acting: Set[UUID] = frozenset()
    ended: Set[UUID] = frozenset()
    first_injected_us: int | None = None
    last_recovered_us: int | None = None
    verification: Verification | None = None
    detected: Mapping[UUID, int] = field(default_factory=dict)
    delays_us: Sequence[int] = ()
    false_alarms: int = 0
    watched: bool = False


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What is known of a probe of the run at hand; ``passed_us`` is when it first passed."""

    passed_us: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ObservedScenario:
    """Everything the plan of a scenario depends on.

    Attributes:
        selection: reactors it acts on, by its status as it is stored.
        conflicts: by name of a reactor, the scenario that this one gives way to there.
        report: of the run in the status; empty when there is none.
        probes: outcomes by name, of the probes and of ``abortWhen``; none for a probe not yet
            looked at.
    """

    scenario: AnomalyScenario
    selection: Selection
    conflicts: Mapping[str, str] = field(default_factory=dict)
    report: RunReport = field(default_factory=RunReport)
    probes: Mapping[str, ProbeOutcome] = field(default_factory=dict)
    delivery_problem: str | None = None
