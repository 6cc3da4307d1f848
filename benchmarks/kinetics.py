"""Point kinetics: errors on the published tables, speed against scipy at equal error, throughput.

scipy's stiff solvers get the analytic Jacobian and give the power every 0.1 s, as the plant does.
Each runs with the loosest tolerance at which it is no less accurate than the plant's scheme.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.integrate import solve_ivp

from benchmarks.kinetics_cases import Case, cases, parameter_set
from reactorsync.designs import Design
from reactorsync_generator.plant import PlantFleet, PlantSpec
from reactorsync_generator.plant.verification import Reactivity, integrate

SCHEMES: Final = ((3, 0.1), (3, 0.01), (5, 0.1), (5, 0.01))
Method = Literal["LSODA", "BDF", "Radau"]
METHODS: Final[tuple[Method, ...]] = ("LSODA", "BDF", "Radau")
SPEED_GOAL: Final = 100.0
THROUGHPUT_GOAL: Final = 1e6

_STEP_S: Final = 0.1
_RUNS: Final = 7
_TOLERANCES: Final = tuple(10.0**-exponent for exponent in np.arange(4.0, 13.25, 0.5))


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Largest relative errors of one table, in the order of SCHEMES."""

    case: str
    rows: int
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """A solver on a case: its error, its time, and how much longer that is than ours.

    ``tolerance`` is None for the plant's own scheme; ``reached`` says that the error is at most
    the plant's.
    """

    case: str
    solver: str
    tolerance: float | None
    error: float
    milliseconds: float
    times_ours: float
    reached: bool


@dataclass(frozen=True, slots=True)
class Throughput:
    """Steps of 0.1 s that one core computes per second."""

    what: str
    steps_per_s: float


def _median_s(work: Callable[[], object], runs: int = _RUNS) -> float:
    """CPU time, so that other work on the machine counts little."""
    spent = []
    for _ in range(runs):
        begin = time.thread_time()
        work()
        spent.append(time.thread_time() - begin)
    return median(spent)


def _error(case: Case, powers: npt.ArrayLike) -> float:
    return float(np.max(np.abs(np.asarray(powers) / np.array(case.powers) - 1.0)))


def _ours(case: Case, stages: int, step_s: float) -> float:
    powers = integrate(case.kinetics, case.reactivity, case.times_s, step_s=step_s, stages=stages)
    return _error(case, powers)


def measure_accuracy() -> list[Accuracy]:
    """Run every table with every scheme."""
    return [
        Accuracy(case.name, len(case.times_s), tuple(_ours(case, s, h) for s, h in SCHEMES))
        for case in cases()
    ]


def _scipy(case: Case, method: Method, tolerance: float) -> npt.NDArray[np.float64]:
    """Return the powers of ``case`` every 0.1 s until its end."""
    rates = np.array(case.kinetics.decay_constants_per_s)
    fractions = np.array(case.kinetics.fractions)
    lifetime, beta = case.kinetics.generation_time_s, case.kinetics.beta
    constant, slope = case.reactivity.constant, case.reactivity.slope_per_s
    jacobian_ = np.diag(np.concatenate([[0.0], -rates]))
    jacobian_[0, 1:] = rates
    jacobian_[1:, 0] = fractions / lifetime

    def jacobian(t: float, _: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        jacobian_[0, 0] = (constant + slope * t - beta) / lifetime
        return jacobian_

    def derivative(t: float, y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        change = np.empty_like(y)
        change[0] = (constant + slope * t - beta) / lifetime * y[0] + rates @ y[1:]
        change[1:] = fractions / lifetime * y[0] - rates * y[1:]
        return change

    end = case.times_s[-1]
    solution = solve_ivp(
        derivative,
        (0.0, end),
        np.concatenate([[1.0], fractions / (lifetime * rates)]),
        method=method,
        jac=jacobian,
        t_eval=np.linspace(0.0, end, round(end / _STEP_S) + 1),
        rtol=tolerance,
        atol=1e-3 * tolerance,
    )
    powers: npt.NDArray[np.float64] = solution.y[0]
    return powers


def _scipy_error(case: Case, method: Method, tolerance: float) -> float:
    powers = _scipy(case, method, tolerance)
    return _error(case, [powers[round(time_s / _STEP_S)] for time_s in case.times_s])


def measure_speed() -> list[Speed]:
    """Compare with scipy on a step and a ramp, at the error of the plant's scheme."""
    found = []
    by_name = {case.name: case for case in cases()}
    for case in (by_name["step TRII 0.003"], by_name["ramp TRII 0.1"].until(8.0)):
        end = case.times_s[-1:]
        ours = _median_s(
            lambda case=case, end=end: integrate(  # type: ignore[misc]
                case.kinetics, case.reactivity, end, step_s=_STEP_S
            )
        )
        goal = _ours(case, 3, _STEP_S)
        name = f"{case.name}, {end[0]:g} s"
        found.append(Speed(name, "Radau IIA, 3 stages", None, goal, 1e3 * ours, 1.0, reached=True))
        for method in METHODS:
            errors = {rtol: _scipy_error(case, method, rtol) for rtol in _TOLERANCES}
            enough = [rtol for rtol, error in errors.items() if error <= goal]
            chosen = max(enough) if enough else min(errors, key=lambda rtol: errors[rtol])
            spent = _median_s(
                lambda case=case, method=method, chosen=chosen: _scipy(  # type: ignore[misc]
                    case, method, chosen
                )
            )
            found.append(
                Speed(
                    name,
                    f"scipy {method}",
                    chosen,
                    errors[chosen],
                    1e3 * spent,
                    spent / ours,
                    reached=bool(enough),
                )
            )
    return found


def _kinetics_rate(reactivity: Reactivity, set_name: str, stages: int) -> float:
    kinetics = parameter_set(set_name)
    steps = 50_000
    integrate(kinetics, reactivity, (_STEP_S * steps,), step_s=_STEP_S, stages=stages)
    return steps / _median_s(
        lambda: integrate(kinetics, reactivity, (_STEP_S * steps,), step_s=_STEP_S, stages=stages)
    )


def _plant_rate(design: Design) -> float:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(design, seed=seed) for seed in range(2000)])
    now = 0

    def second() -> None:
        nonlocal now
        fleet.advance(indices, now, now + 1_000_000)
        now += 1_000_000

    second()
    return 10 * len(indices) / _median_s(second)


def measure_throughput() -> list[Throughput]:
    """Measure the kernels on one core."""
    step = Reactivity(constant=-1e-4)
    adiabatic = Reactivity(constant=0.00645, feedback_per_s=2.5e-6)
    return [
        Throughput("kinetics, 6 groups, 3 stages", _kinetics_rate(step, "TRII", 3)),
        Throughput("kinetics, 6 groups, 5 stages", _kinetics_rate(step, "TRII", 5)),
        Throughput("kinetics with feedback, 3 stages", _kinetics_rate(adiabatic, "TRIII", 3)),
        Throughput("kinetics with feedback, 5 stages", _kinetics_rate(adiabatic, "TRIII", 5)),
        *(Throughput(f"whole plant, {design}", _plant_rate(design)) for design in Design),
    ]


def _accuracy_table(results: Sequence[Accuracy]) -> Table:
    table = Table(title="Largest relative error on the published tables")
    table.add_column("case")
    table.add_column("rows", justify="right")
    for stages, step_s in SCHEMES:
        table.add_column(f"s={stages} h={step_s:g} s", justify="right")
    for each in results:
        table.add_row(each.case, str(each.rows), *(f"{error:.1e}" for error in each.errors))
    return table


def _speed_table(results: Sequence[Speed]) -> Table:
    table = Table(
        title=f"CPU time for one reactor at equal error (goal: {SPEED_GOAL:g} times faster)"
    )
    for heading in ("case", "solver"):
        table.add_column(heading)
    for heading in ("rtol", "error", "ms", "times ours"):
        table.add_column(heading, justify="right")
    for each in results:
        table.add_row(
            each.case,
            each.solver,
            "" if each.tolerance is None else f"{each.tolerance:.1e}",
            f"{each.error:.1e}{'' if each.reached else ' (not reached)'}",
            f"{each.milliseconds:.3f}",
            f"{each.times_ours:.0f}",
        )
    return table


def _throughput_table(results: Sequence[Throughput]) -> Table:
    table = Table(title=f"Steps of 0.1 s per second and core (goal: {THROUGHPUT_GOAL:g})")
    table.add_column("what")
    table.add_column("steps/s", justify="right")
    table.add_column("reactors in real time", justify="right")
    for each in results:
        table.add_row(each.what, f"{each.steps_per_s:,.0f}", f"{each.steps_per_s / 10:,.0f}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the figures to a file if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    accuracy, speed, throughput = measure_accuracy(), measure_speed(), measure_throughput()
    console = Console()
    for table in (_accuracy_table(accuracy), _speed_table(speed), _throughput_table(throughput)):
        console.print(table)
    if options.json is not None:
        figures: dict[str, Any] = {
            "schemes": [{"stages": stages, "step_s": step_s} for stages, step_s in SCHEMES],
            "accuracy": [asdict(each) for each in accuracy],
            "speed": [asdict(each) for each in speed],
            "throughput": [asdict(each) for each in throughput],
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
