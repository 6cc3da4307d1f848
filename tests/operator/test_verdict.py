"""The verdict on a run: its probes, how it was noticed, and the score."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from reactorsync.planning.targets import Selection
from reactorsync.resources import AnomalyScenarioStatus
from reactorsync.resources.scenario_status import ProbeResult, Run, RunPhase
from reactorsync.wire.envelope import to_micros
from reactorsync_operator.reconcile.observed import ObservedScenario, ProbeOutcome, RunReport
from reactorsync_operator.reconcile.probing import LAG
from reactorsync_operator.reconcile.verdict import BeforeState, Verdict, judge
from tests.core.planning.build import NOON, after, scenario, uid_of

NOBODY = Selection(matched=0, chosen=(), failures=())
SIGNAL = {"signal": "neutron_power_percent", "comparison": "Above", "thresholdMilli": 1000}
PASSED = ProbeOutcome(passed_us=to_micros(NOON), message="seen on all 3 targets")
OPEN = ProbeOutcome(message="seen on 1 of 3 targets")
BRUCE = uid_of("bruce-1")


def probe(name: str, phase: str, seconds: int = 60) -> dict[str, object]:
    return {"name": name, "phase": phase, "timeoutSeconds": seconds, "telemetry": SIGNAL}


ALL = [probe("calm", "Before"), probe("seen", "During"), probe("calm-again", "After")]


def run(phase: RunPhase = RunPhase.RUNNING, *, ends: float = 600, **fields: object) -> Run:
    return Run(number=1, phase=phase, start_time=NOON, end_time=after(ends)).model_copy(
        update=fields
    )


def verdict(
    of: Run,
    now: datetime,
    outcomes: Mapping[str, ProbeOutcome] | None = None,
    *,
    probes: list[dict[str, object]] | None = None,
    abort_when: list[dict[str, object]] | None = None,
    stored: list[ProbeResult] | None = None,
    report: RunReport | None = None,
    final: bool = False,
) -> Verdict:
    status = AnomalyScenarioStatus(run=of, probes=stored or [])
    return judge(
        ObservedScenario(
            scenario=scenario(
                probes=ALL if probes is None else probes, abortWhen=abort_when or [], status=status
            ),
            selection=NOBODY,
            report=report or RunReport(),
            probes=outcomes or {},
        ),
        of,
        now=now,
        final=final,
    )


def passed(found: Verdict) -> dict[str, bool | None]:
    return {result.name: result.passed for result in found.probes}


class TestBefore:
    """Faults wait for the probes that look at the steady state."""

    PROBES = (probe("calm", "Before"), probe("cool", "Before", 30))

    def state(
        self,
        now: datetime,
        outcomes: Mapping[str, ProbeOutcome],
        phase: RunPhase = RunPhase.PROBING,
        stored: list[ProbeResult] | None = None,
    ) -> BeforeState:
        return verdict(run(phase), now, outcomes, probes=[*self.PROBES], stored=stored).before

    def test_without_any_there_is_nothing_to_wait_for(self) -> None:
        assert verdict(run(), NOON, probes=[]).before is BeforeState.NONE

    def test_all_must_pass(self) -> None:
        assert self.state(after(5), {"calm": PASSED}) is BeforeState.PENDING
        assert self.state(after(5), {"calm": PASSED, "cool": PASSED}) is BeforeState.PASSED

    def test_one_that_does_not_pass_in_time_is_enough(self) -> None:
        just_before = after(30)
        assert self.state(just_before, {"calm": PASSED}) is BeforeState.PENDING
        assert self.state(just_before + LAG, {"calm": PASSED}) is BeforeState.FAILED

    def test_one_that_passed_in_time_may_be_heard_of_late(self) -> None:
        assert self.state(after(100), {"calm": PASSED, "cool": PASSED}) is BeforeState.PASSED

    def test_once_the_run_goes_on_they_have_passed(self) -> None:
        assert self.state(after(5), {}, RunPhase.RUNNING) is BeforeState.PASSED

    def test_after_a_restart_the_status_tells(self) -> None:
        stored = [ProbeResult(name="calm", passed=True), ProbeResult(name="cool", passed=True)]
        assert self.state(after(5), {}, stored=stored) is BeforeState.PASSED

    def test_the_next_moment_is_when_one_fails(self) -> None:
        found = verdict(run(RunPhase.PROBING), NOON, probes=[*self.PROBES])
        assert found.next_moment == after(30) + LAG


class TestResults:
    """What stands in ``status.probes``."""

    def test_open_ones_say_how_far_they_are(self) -> None:
        found = verdict(run(), after(5), {"seen": OPEN})
        assert ProbeResult(name="seen", message="seen on 1 of 3 targets") in found.probes
        assert found.undecided

    def test_a_probe_fails_when_its_time_is_up(self) -> None:
        found = verdict(run(), after(60) + LAG, {"seen": OPEN})
        assert ProbeResult(name="seen", passed=False, message=OPEN.message) in found.probes

    def test_one_of_which_nothing_was_seen_says_so(self) -> None:
        found = verdict(run(), after(60) + LAG)
        assert found.probes[1] == ProbeResult(
            name="seen", passed=False, message="nothing of it was seen"
        )

    def test_a_passed_one_stays_passed_whoever_restarts(self) -> None:
        stored = [ProbeResult(name="seen", passed=True, message="as it was")]
        found = verdict(run(), after(500), {"seen": OPEN}, stored=stored)
        assert stored[0] in found.probes

    def test_a_failed_one_stays_failed(self) -> None:
        stored = [ProbeResult(name="seen", passed=False)]
        assert passed(verdict(run(), after(500), {"seen": PASSED}, stored=stored))["seen"] is False

    def test_results_of_another_run_do_not_count(self) -> None:
        stored = [ProbeResult(name="seen", passed=True)]
        status = AnomalyScenarioStatus(run=run(), probes=stored)
        found = judge(
            ObservedScenario(scenario=scenario(probes=ALL, status=status), selection=NOBODY),
            run(number=2),
            now=after(1),
            final=False,
        )
        assert passed(found)["seen"] is None

    def test_messages_fit_the_status(self) -> None:
        found = verdict(run(), after(5), {"seen": ProbeOutcome(message="x" * 1000)})
        assert len(found.probes[1].message) == 256

    def test_nothing_fails_while_the_clock_is_held(self) -> None:
        held = run(held_since=after(30))
        found = verdict(held, after(3000), {"seen": OPEN})
        assert passed(found)["seen"] is None
        assert found.next_moment is None

    def test_what_an_early_end_cut_short_is_neither_passed_nor_failed(self) -> None:
        ended = run(RunPhase.ABORTED, ends=10, injected_time=after(1))
        found = verdict(ended, after(300), {"seen": OPEN})
        assert passed(found)["seen"] is None
        assert passed(found)["calm-again"] is False
        assert not found.undecided


class TestUndecided:
    """The outcome waits for the probes after the run."""

    def test_the_end_is_not_the_end_of_the_probes(self) -> None:
        found = verdict(run(RunPhase.COMPLETED), after(601), {"seen": PASSED})
        assert found.undecided
        assert found.next_moment == after(660) + LAG

    def test_it_is_once_they_passed(self) -> None:
        over = run(RunPhase.COMPLETED)
        assert not verdict(over, after(601), {"seen": PASSED, "calm-again": PASSED}).undecided

    def test_it_is_once_they_failed(self) -> None:
        found = verdict(run(RunPhase.COMPLETED), after(660) + LAG, {"seen": PASSED})
        assert not found.undecided
        assert passed(found)["calm-again"] is False

    def test_before_a_fault_acted_there_is_no_after(self) -> None:
        assert not verdict(run(RunPhase.ABORTED, ends=5), after(6)).undecided

    def test_a_report_that_is_news_tells_that_faults_acted(self) -> None:
        report = RunReport(injected={BRUCE}, first_injected_us=to_micros(after(1)))
        ended = run(RunPhase.ABORTED, ends=5)
        assert verdict(ended, after(6), report=report).undecided


class TestAbort:
    """A condition that ends the run."""

    WHEN = (probe("too-hot", "During"),)

    def test_it_is_named(self) -> None:
        outcomes = {"too-hot": ProbeOutcome(passed_us=1, message="seen on default/bruce-1")}
        found = verdict(run(), after(5), outcomes, probes=[], abort_when=[*self.WHEN])
        assert found.abort == "too-hot: seen on default/bruce-1"
        assert not found.undecided

    def test_it_stays_named_after_a_restart(self) -> None:
        stored = [ProbeResult(name="too-hot", passed=True, message="seen on default/bruce-1")]
        ended = run(RunPhase.ABORTED, ends=5)
        found = verdict(ended, after(6), probes=[], abort_when=[*self.WHEN], stored=stored)
        assert found.abort == "too-hot: seen on default/bruce-1"

    def test_a_run_that_none_has_ended(self) -> None:
        found = verdict(run(RunPhase.COMPLETED), after(602), probes=[], abort_when=[*self.WHEN])
        assert found.abort is None
        assert passed(found) == {"too-hot": False}


class TestScore:
    """A grade for those who watch, once everything is known."""

    OUTCOMES: Mapping[str, ProbeOutcome] = {
        "calm": PASSED,
        "seen": PASSED,
        "calm-again": PASSED,
    }
    NOTICED = RunReport(
        injected=frozenset({BRUCE}), detected={BRUCE: to_micros(after(6))}, delays_us=(6_000_000,)
    )

    @pytest.mark.parametrize(
        ("outcomes", "report", "score"),
        [
            pytest.param(OUTCOMES, NOTICED, 100, id="everything noticed, after a hundredth"),
            pytest.param(OUTCOMES, RunReport(injected={BRUCE}), 58, id="no alarm"),
            pytest.param(
                {**OUTCOMES, "seen": OPEN}, NOTICED, 80, id="what is probed During counts twice"
            ),
        ],
    )
    def test_it_comes_with_the_final_outcome(
        self, outcomes: Mapping[str, ProbeOutcome], report: RunReport, score: int
    ) -> None:
        over = run(RunPhase.COMPLETED)
        assert verdict(over, after(700), outcomes, report=report, final=True).score == score
        assert verdict(over, after(700), outcomes, report=report).score is None

    def test_an_aborted_run_has_none(self) -> None:
        ended = run(RunPhase.ABORTED, ends=300, injected_time=after(1))
        found = verdict(ended, after(700), self.OUTCOMES, report=self.NOTICED, final=True)
        assert found.score is None

    @pytest.mark.parametrize(
        ("report", "score"),
        [
            pytest.param(RunReport(injected={BRUCE}), None, id="nobody was ever heard"),
            pytest.param(RunReport(injected={BRUCE}, watched=True), 30, id="somebody missed it"),
            pytest.param(NOTICED, 100, id="somebody noticed"),
        ],
    )
    def test_where_nobody_watches_there_is_nothing_to_grade(
        self, report: RunReport, score: int | None
    ) -> None:
        found = verdict(run(RunPhase.COMPLETED), after(700), report=report, probes=[], final=True)
        assert found.score == score
        assert found.detection is not None

    def test_a_run_of_which_nothing_can_be_graded_has_none(self) -> None:
        assert verdict(run(RunPhase.COMPLETED), after(700), probes=[], final=True).score is None
