"""The verdict on a run: what its probes say, how it was noticed and what that is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from reactorsync.planning.score import DURING_WEIGHT, GradedProbe, Watch, score
from reactorsync.resources.scenario_status import Detection, ProbeResult, Run, RunPhase
from reactorsync.wire.envelope import from_micros
from reactorsync_operator.reconcile.detection import detection_of
from reactorsync_operator.reconcile.observed import ObservedScenario, ProbeOutcome
from reactorsync_operator.reconcile.probing import (
    PlacedProbe,
    ProbeRole,
    is_over,
    place_probes,
    run_clock,
)

_MESSAGE_LENGTH: Final = 256


class BeforeState(StrEnum):
    """Where the Before probes of a run stand, all together."""

    NONE = "None"
    PENDING = "Pending"
    PASSED = "Passed"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of the run from those who watch it.

    Attributes:
        probes: results in the order of the spec, ``probes`` before ``abortWhen``.
        detection: ``None`` while nothing was injected.
        score: once the outcome is final, if there was anything to grade.
        before: whether the faults may be let go.
        abort: why ``abortWhen`` ends, or ended, the run; names the probe.
        undecided: whether a probe that counts for the outcome may still pass or fail.
        next_moment: when the verdict may change though nothing is observed.
    """

    probes: tuple[ProbeResult, ...]
    detection: Detection | None
    score: int | None
    before: BeforeState
    abort: str | None
    undecided: bool
    next_moment: datetime | None


@dataclass(frozen=True, slots=True)
class _Judged:
    placed: PlacedProbe
    result: ProbeResult
    is_open: bool
    """Whether it may still pass or fail."""


def judge(observed: ObservedScenario, run: Run, *, now: datetime, final: bool) -> Verdict:
    """Return the verdict on ``run`` at ``now``; a score only when the outcome is ``final``.

    What the status says of a probe of the same run stands for good, so that nothing is decided
    twice, whoever restarts.
    """
    if run.injected_time is None and observed.report.first_injected_us is not None:
        injected_time = from_micros(observed.report.first_injected_us)
        run = run.model_copy(update={"injected_time": injected_time})
    stored = _stored(observed, run)
    clock = run_clock(run, now)
    judged = [
        _judged(
            placed,
            run,
            outcome=observed.probes.get(placed.probe.name),
            stored=stored.get(placed.probe.name),
            clock=clock,
        )
        for placed in place_probes(observed.scenario.spec, run)
    ]
    detection = detection_of(observed, run)
    return Verdict(
        probes=tuple(one.result for one in judged),
        detection=detection,
        score=_score(observed, run, judged, detection) if final else None,
        before=_before(judged, run),
        abort=_abort(judged),
        undecided=any(one.is_open for one in judged if one.placed.role is not ProbeRole.ABORT),
        next_moment=_next_moment(judged, run, now),
    )


def _stored(observed: ObservedScenario, run: Run) -> Mapping[str, ProbeResult]:
    """Return what the status says of the probes of this very run."""
    status = observed.scenario.status
    if status.run is None or status.run.number != run.number:
        return {}
    return {result.name: result for result in status.probes if result.passed is not None}


def _judged(
    placed: PlacedProbe,
    run: Run,
    *,
    outcome: ProbeOutcome | None,
    stored: ProbeResult | None,
    clock: datetime,
) -> _Judged:
    name = placed.probe.name
    seen = outcome.message[:_MESSAGE_LENGTH] if outcome is not None else ""
    if stored is not None:
        return _Judged(placed, stored, is_open=False)
    if outcome is not None and outcome.passed_us is not None:
        return _Judged(placed, ProbeResult(name=name, passed=True, message=seen), is_open=False)
    if placed.window is None:
        # Those after the end have their turn only when the end is known.
        is_to_come = placed.role is not ProbeRole.BEFORE and not is_over(run)
        return _Judged(placed, ProbeResult(name=name, message=seen), is_open=is_to_come)
    if placed.decided_at is None or clock < placed.decided_at:
        return _Judged(placed, ProbeResult(name=name, message=seen), is_open=True)
    if _was_cut_short(placed, run):
        message = "the run was ended before its time was up"
        return _Judged(placed, ProbeResult(name=name, message=message), is_open=False)
    return _Judged(
        placed,
        ProbeResult(name=name, passed=False, message=seen or "nothing of it was seen"),
        is_open=False,
    )


def _was_cut_short(placed: PlacedProbe, run: Run) -> bool:
    """Return whether the probe had less than the time it was promised, by an early end."""
    if placed.role is not ProbeRole.DURING or run.phase is not RunPhase.ABORTED:
        return False
    assert placed.window is not None  # noqa: S101 - only those with a window are asked about
    seconds = (placed.window.end_us - placed.window.start_us) / 1_000_000
    return seconds < placed.probe.timeout_seconds


def _before(judged: Iterable[_Judged], run: Run) -> BeforeState:
    results = [one.result for one in judged if one.placed.role is ProbeRole.BEFORE]
    if not results:
        return BeforeState.NONE
    if any(result.passed is False for result in results):
        return BeforeState.FAILED
    is_waiting = run.phase in (RunPhase.PENDING, RunPhase.PROBING)
    if is_waiting and any(result.passed is None for result in results):
        return BeforeState.PENDING
    return BeforeState.PASSED


def _abort(judged: Iterable[_Judged]) -> str | None:
    for one in judged:
        if one.placed.role is ProbeRole.ABORT and one.result.passed:
            return f"{one.result.name}: {one.result.message}"[:_MESSAGE_LENGTH]
    return None


def _next_moment(judged: Iterable[_Judged], run: Run, now: datetime) -> datetime | None:
    if run.held_since is not None:
        return None
    moments = (one.placed.decided_at for one in judged if one.is_open)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def _score(
    observed: ObservedScenario,
    run: Run,
    judged: Iterable[_Judged],
    detection: Detection | None,
) -> int | None:
    """Return the score of a run that went its whole way.

    One that was aborted has none: nobody had the time to notice that the spec promised them. Nor
    has one where nobody watches: no probe asks anything, and nobody was ever heard.
    """
    spec, found = observed.scenario.spec, detection or Detection()
    is_watched = observed.report.watched or found.detected > 0 or bool(spec.probes)
    if run.phase is not RunPhase.COMPLETED or not is_watched:
        return None
    return score(
        Watch(
            probes=[
                GradedProbe(
                    passed=one.result.passed,
                    weight=DURING_WEIGHT if one.placed.role is ProbeRole.DURING else 1,
                )
                for one in judged
                if one.placed.role is not ProbeRole.ABORT and one.result.passed is not None
            ],
            targets=found.detected + found.missed,
            detected=found.detected,
            time_to_detect_ms=found.time_to_detect_milliseconds,
            run_ms=int((run.end_time - run.start_time).total_seconds() * 1000),
            severity_percent=max(stage.severity_percent for stage in spec.stages),
            false_alarms=found.false_alarms,
        )
    )
