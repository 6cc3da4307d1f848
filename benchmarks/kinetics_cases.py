"""The published point-kinetics cases as typed values, for tests and benchmarks alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reactorsync_generator.plant.kinetics import PointKinetics
from reactorsync_generator.plant.verification import Peak, Reactivity

_TABLES = Path(__file__).parents[1] / "tests" / "data" / "point-kinetics-benchmarks.json"


@dataclass(frozen=True, slots=True)
class Case:
    """Relative power at given times after a known reactivity begins to act.

    Attributes:
        kind: step, ramp, sin or step_adiabatic.
        name: kind, parameter set and the reactivity's number, as printed.
    """

    kind: str
    name: str
    kinetics: PointKinetics
    reactivity: Reactivity
    times_s: tuple[float, ...]
    powers: tuple[float, ...]

    @property
    def dollars(self) -> float:
        """The step of reactivity in units of beta; 0 without a step."""
        return self.reactivity.constant / self.kinetics.beta

    def until(self, time_s: float) -> Case:
        """Return the case without its rows after ``time_s``."""
        rows = sum(time <= time_s for time in self.times_s)
        return Case(
            kind=self.kind,
            name=self.name,
            kinetics=self.kinetics,
            reactivity=self.reactivity,
            times_s=self.times_s[:rows],
            powers=self.powers[:rows],
        )


@dataclass(frozen=True, slots=True)
class PeakCase:
    """The first maximum of the power under a known reactivity."""

    kind: str
    name: str
    kinetics: PointKinetics
    reactivity: Reactivity
    peak: Peak


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_TABLES.read_text("utf-8"))
    return document


@cache
def parameter_set(name: str) -> PointKinetics:
    """Return a published parameter set, such as TRII."""
    numbers = _document()["param_sets"][name]
    return PointKinetics(
        decay_constants_per_s=tuple(map(float, numbers["lambda"])),
        fractions=tuple(map(float, numbers["beta"])),
        generation_time_s=float(numbers["Lambda"]),
    )


def _reactivity(row: dict[str, Any], beta: float) -> Reactivity:
    number = {key: float(row[key]) for key in row.keys() - {"kind", "set", "form", "method"}}
    match row["kind"]:
        case "step":
            return Reactivity(constant=number["rho"])
        case "ramp":
            return Reactivity(slope_per_s=number["dollar_per_s"] * beta)
        case "sin" | "sin_peak":
            return Reactivity(amplitude=number["rho0"], half_period_s=number["T"])
        case "step_adiabatic" | "step_adiabatic_peak":
            return Reactivity(constant=number["rho_dollar"] * beta, feedback_per_s=number["B"])
        case "ramp_adiabatic_peak":
            return Reactivity(slope_per_s=number["a"], feedback_per_s=number["B"])
        case kind:
            raise ValueError(f"unknown kind of case {kind!r}")


def cases() -> tuple[Case, ...]:
    """Return all cases that give the power at times."""
    found = []
    for row in _document()["cases"]:
        if "rows" in row:
            continue
        kinetics = parameter_set(row["set"])
        numbers = {key: value for key, value in row.items() if key not in ("t", "n")}
        varied = row.get("rho") or row.get("rho_dollar") or row.get("dollar_per_s") or row["rho0"]
        found.append(
            Case(
                kind=row["kind"],
                name=f"{row['kind']} {row['set']} {varied}",
                kinetics=kinetics,
                reactivity=_reactivity(numbers, kinetics.beta),
                times_s=tuple(map(float, row["t"])),
                powers=tuple(map(float, row["n"])),
            )
        )
    return tuple(found)


def peak_cases() -> tuple[PeakCase, ...]:
    """Return all cases that give the first maximum."""
    found = []
    for table in _document()["cases"]:
        for values in table.get("rows", ()):
            shared = {key: value for key, value in table.items() if key not in ("rows", "cols")}
            row = {**shared, **dict(zip(table["cols"], values, strict=True))}
            kinetics = parameter_set(table["set"])
            peak = Peak(time_s=float(row.pop("t_peak")), power=float(row.pop("n_peak")))
            found.append(
                PeakCase(
                    kind=table["kind"],
                    name=f"{table['kind']} {' '.join(values[: len(values) - 2])}",
                    kinetics=kinetics,
                    reactivity=_reactivity(row, kinetics.beta),
                    peak=peak,
                )
            )
    return tuple(found)
