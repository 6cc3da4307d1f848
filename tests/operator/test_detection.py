"""How a run was noticed, by what was reported and by what the status says already."""

from reactorsync.planning.targets import Selection
from reactorsync.resources import AnomalyScenarioStatus
from reactorsync.resources.scenario_status import Detection, Run, RunPhase, TargetCounts
from reactorsync_operator.reconcile.detection import detection_of
from reactorsync_operator.reconcile.observed import ObservedScenario, RunReport
from tests.core.planning.build import NOON, after, scenario, uid_of

NOBODY = Selection(matched=0, chosen=(), failures=())
UNITS = [uid_of(f"unit-{number}") for number in range(4)]


def run(phase: RunPhase = RunPhase.COMPLETED, number: int = 1) -> Run:
    return Run(number=number, phase=phase, start_time=NOON, end_time=after(600))


def found(
    report: RunReport, of: Run, status: AnomalyScenarioStatus | None = None
) -> Detection | None:
    return detection_of(
        ObservedScenario(scenario=scenario(status=status), selection=NOBODY, report=report), of
    )


THREE_OF_FOUR = RunReport(
    injected=frozenset(UNITS),
    detected=dict.fromkeys(UNITS[:3], 1),
    delays_us=(2_000_000, 5_500_000, 90_000_000),
    false_alarms=2,
)


def test_there_is_none_while_nothing_was_injected() -> None:
    assert found(RunReport(), run()) is None


def test_a_run_that_is_over() -> None:
    assert found(THREE_OF_FOUR, run()) == Detection(
        detected=3, missed=1, false_alarms=2, time_to_detect_milliseconds=5500
    )


def test_nothing_is_missed_before_the_end() -> None:
    detection = found(THREE_OF_FOUR, run(RunPhase.RUNNING))
    assert detection is not None
    assert detection.missed == 0


def stored(number: int) -> AnomalyScenarioStatus:
    return AnomalyScenarioStatus(
        run=run(number=number),
        targets=TargetCounts(injected=4),
        detection=Detection(detected=3, false_alarms=2, time_to_detect_milliseconds=5500),
    )


def test_what_a_broker_has_forgotten_stands_in_the_status() -> None:
    assert found(RunReport(), run(), stored(1)) == Detection(
        detected=3, missed=1, false_alarms=2, time_to_detect_milliseconds=5500
    )


def test_what_the_status_says_of_another_run_does_not_count() -> None:
    assert found(RunReport(), run(number=2), stored(1)) is None


def test_what_turned_out_otherwise_is_taken_back() -> None:
    report = RunReport(injected=frozenset(UNITS), false_alarms=1)
    detection = found(report, run(), stored(1))
    assert detection == Detection(detected=0, missed=4, false_alarms=1)
