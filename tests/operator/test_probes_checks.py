"""What targets have shown of a probe."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorsync.planning.targets import Candidate
from reactorsync.planning.timeline import Window
from reactorsync.resources.scenario import AlarmProbe, DiagnosisProbe, TelemetryProbe
from reactorsync.signals import SIGNAL_INDEX, SIGNAL_NAMES
from reactorsync.wire.envelope import to_micros
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync.wire.keys import shard_of
from reactorsync_operator.probes.checks import AlarmCheck, DiagnosisCheck
from reactorsync_operator.probes.telemetry_check import TelemetryCheck
from reactorsync_operator.reconcile.observed import AlarmReport, DiagnosisReport
from tests.core.planning.build import NOON, uid_of

SHARDS = 4
SIGNAL = "core_outlet_temperature_c"
START = to_micros(NOON)
WINDOW = Window(START, START + 60_000_000)
HOT = TelemetryProbe.model_validate(
    {"signal": SIGNAL, "comparison": "Above", "thresholdMilli": 310_500}
)
COLD = TelemetryProbe.model_validate(
    {"signal": SIGNAL, "comparison": "Below", "thresholdMilli": 250_000}
)


def target(name: str, uid: UUID | None = None) -> Candidate:
    return Candidate(rank=name, reactor=name, uid=uid or uid_of(name), created=NOON)


UNITS = [target(f"unit-{number}") for number in range(10)]


def frames(readings: Mapping[str, float], second: float = 1.0) -> list[Frame]:
    """The frames of one tick, one of each shard."""
    by_shard: dict[int, list[str]] = {}
    for name in readings:
        by_shard.setdefault(shard_of(f"default/{name}", SHARDS), []).append(name)
    made = []
    for shard, names in by_shard.items():
        values = np.full((len(SIGNAL_NAMES), len(names)), 100.0, dtype=np.float32)
        values[SIGNAL_INDEX[SIGNAL]] = [readings[name] for name in names]
        made.append(
            Frame(
                tick_us=START + int(second * 1_000_000),
                origin=FrameOrigin(shard=shard, run="test", epoch=1, sequence=0),
                reactors=reactor_column([f"default/{name}" for name in names]),
                trip_causes=np.zeros(len(names), dtype=np.uint8),
                readings=values,
            )
        )
    return made


def telemetry(
    probe: TelemetryProbe = HOT, *, needs_all: bool = True, targets: list[Candidate] | None = None
) -> TelemetryCheck:
    check = TelemetryCheck(probe, namespace="default", needs_all=needs_all, shards=SHARDS)
    check.set_targets(UNITS[:3] if targets is None else targets)
    return check


def see(check: TelemetryCheck, readings: Mapping[str, float], second: float = 1.0) -> None:
    for frame in frames(readings, second):
        check.see(frame, WINDOW)


class TestTelemetry:
    """A signal beyond a threshold."""

    def test_every_target_must_show_it_at_some_moment(self) -> None:
        check = telemetry()
        see(check, {"unit-0": 311, "unit-1": 300, "unit-2": 311}, 1)
        assert not check.passed
        assert check.outcome.message == f"{SIGNAL} above 310.5 degC on 2 of 3 targets"
        see(check, {"unit-0": 300, "unit-1": 312, "unit-2": 300}, 7)
        assert check.outcome.passed_us == START + 7_000_000
        assert check.outcome.message == (
            f"{SIGNAL} above 310.5 degC on all 3 targets, the last at 12:00:07Z"
        )

    def test_to_abort_one_is_enough(self) -> None:
        check = telemetry(needs_all=False)
        see(check, {"unit-0": 300, "unit-1": 300, "unit-2": 300}, 1)
        assert check.outcome.message == f"{SIGNAL} above 310.5 degC on 0 of 3 targets"
        see(check, {"unit-0": 300, "unit-1": 311.25, "unit-2": 300}, 2)
        assert check.outcome.passed_us == START + 2_000_000
        assert check.outcome.message == (
            f"{SIGNAL} above 310.5 degC on default/unit-1 at 12:00:02Z: 311.25 degC"
        )

    @pytest.mark.parametrize(
        ("probe", "reading", "shown"),
        [
            (HOT, 310.5, False),
            (HOT, 310.6, True),
            (COLD, 250.0, False),
            (COLD, 249.9, True),
            (HOT, float("nan"), False),
            (COLD, float("nan"), False),
        ],
    )
    def test_the_threshold_itself_and_no_reading_are_not_beyond(
        self, probe: TelemetryProbe, reading: float, *, shown: bool
    ) -> None:
        check = telemetry(probe, targets=UNITS[:1])
        see(check, {"unit-0": reading})
        assert check.passed is shown

    @pytest.mark.parametrize(("second", "counts"), [(-0.001, False), (0, True), (60, False)])
    def test_only_what_happens_in_the_window_counts(self, second: float, *, counts: bool) -> None:
        check = telemetry(targets=UNITS[:1])
        see(check, {"unit-0": 400}, second)
        assert check.passed is counts

    def test_reactors_that_are_no_targets_do_not_count(self) -> None:
        check = telemetry(needs_all=False)
        see(check, {"unit-7": 400, "unit-8": 400})
        assert not check.passed

    def test_without_targets_nothing_passes(self) -> None:
        check = telemetry(targets=[])
        see(check, {"unit-0": 400})
        assert not check.passed
        assert check.outcome.message == "there is no target to look at"

    def test_what_a_target_has_shown_is_remembered_while_others_come_and_go(self) -> None:
        check = telemetry(targets=UNITS[:2])
        see(check, {"unit-0": 400, "unit-1": 300})
        check.set_targets(UNITS[:3])
        assert check.missing == 2
        see(check, {"unit-1": 400, "unit-2": 300}, 5)
        check.set_targets(UNITS[:2])
        assert check.outcome.passed_us == START + 5_000_000

    def test_a_reactor_made_anew_has_shown_nothing(self) -> None:
        check = telemetry(targets=UNITS[:1])
        check = telemetry(targets=UNITS[:2])
        see(check, {"unit-0": 400})
        check.set_targets([target("unit-0", uid_of("another")), UNITS[1]])
        assert check.missing == 2

    def test_once_passed_it_stays_so(self) -> None:
        check = telemetry(targets=UNITS[:1])
        see(check, {"unit-0": 400})
        outcome = check.outcome
        check.set_targets(UNITS)
        see(check, {"unit-1": 300}, 9)
        assert check.outcome == outcome

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from([unit.reactor for unit in UNITS]),
                st.floats(300, 320, width=32),
                min_size=1,
            ),
            max_size=6,
        )
    )
    def test_it_passes_when_each_target_has_shown_it_and_not_before(
        self, ticks: list[dict[str, float]]
    ) -> None:
        check = telemetry(targets=UNITS[:4])
        waiting = {unit.reactor for unit in UNITS[:4]}
        for second, readings in enumerate(ticks):
            see(check, readings, second)
            waiting -= {name for name, value in readings.items() if value > 310.5}
            assert check.passed is not bool(waiting)


@dataclass
class Told:
    """What events told of alarms and diagnoses."""

    of_alarms: dict[UUID, list[AlarmReport]] = field(default_factory=dict)
    of_diagnoses: dict[UUID, list[DiagnosisReport]] = field(default_factory=dict)

    def alarms(self, reactor: UUID) -> Collection[AlarmReport]:
        return self.of_alarms.get(reactor, [])

    def diagnoses(self, reactor: UUID) -> Collection[DiagnosisReport]:
        return self.of_diagnoses.get(reactor, [])


def at(second: float) -> int:
    return START + int(second * 1_000_000)


class TestAlarm:
    """An alarm of a signal."""

    PROBE = AlarmProbe(signal=SIGNAL)

    def check(self, count: int = 1, *, needs_all: bool = True) -> AlarmCheck:
        check = AlarmCheck(self.PROBE, namespace="default", needs_all=needs_all)
        check.set_targets(UNITS[:count])
        return check

    @pytest.mark.parametrize(
        ("alarm", "passed_at"),
        [
            pytest.param(AlarmReport(SIGNAL, at(5)), at(5), id="raised within"),
            pytest.param(AlarmReport(SIGNAL, at(5), at(6)), at(5), id="and gone again"),
            pytest.param(AlarmReport(SIGNAL, at(-5)), at(0), id="standing since before"),
            pytest.param(AlarmReport(SIGNAL, at(-5), at(0)), None, id="gone before"),
            pytest.param(AlarmReport(SIGNAL, at(60)), None, id="raised after"),
            pytest.param(AlarmReport(SIGNAL, None, at(5)), None, id="beginning unknown"),
            pytest.param(AlarmReport("reactivity_pcm", at(5)), None, id="of another signal"),
        ],
    )
    def test_it_stands_at_some_moment_of_the_window(
        self, alarm: AlarmReport, passed_at: int | None
    ) -> None:
        check = self.check()
        check.look(Told({UNITS[0].uid: [alarm]}), WINDOW)
        assert check.outcome.passed_us == passed_at

    def test_every_target_needs_one_of_its_own(self) -> None:
        check = self.check(2)
        told = Told({UNITS[0].uid: [AlarmReport(SIGNAL, at(5))]})
        assert check.look(told, WINDOW)
        assert not check.look(told, WINDOW)
        assert check.outcome.message == f"alarm of {SIGNAL} on 1 of 2 targets"
        told.of_alarms[UNITS[1].uid] = [AlarmReport(SIGNAL, at(7))]
        assert check.look(told, WINDOW)
        assert check.outcome.passed_us == at(7)

    def test_to_abort_the_first_is_enough(self) -> None:
        check = self.check(3, needs_all=False)
        check.look(Told({UNITS[1].uid: [AlarmReport(SIGNAL, at(5))]}), WINDOW)
        assert check.outcome.message == f"alarm of {SIGNAL} on default/unit-1 at 12:00:05Z"


class TestDiagnosis:
    """A diagnosis that names a fault."""

    @pytest.mark.parametrize(
        ("top", "diagnosis", "passes"),
        [
            (1, DiagnosisReport(at(5), ("PumpTrip", "PrimaryLeak")), True),
            (1, DiagnosisReport(at(5), ("PrimaryLeak", "PumpTrip")), False),
            (2, DiagnosisReport(at(5), ("PrimaryLeak", "PumpTrip")), True),
            (1, DiagnosisReport(at(-1), ("PumpTrip",)), False),
            (1, DiagnosisReport(at(60), ("PumpTrip",)), False),
            (1, DiagnosisReport(at(5), ()), False),
        ],
    )
    def test_it_must_rank_it_high_enough_within_the_window(
        self, top: int, diagnosis: DiagnosisReport, *, passes: bool
    ) -> None:
        probe = DiagnosisProbe.model_validate({"fault": "PumpTrip", "top": top})
        check = DiagnosisCheck(probe, namespace="default", needs_all=True)
        check.set_targets(UNITS[:1])
        check.look(Told(of_diagnoses={UNITS[0].uid: [diagnosis]}), WINDOW)
        assert check.passed is passes
