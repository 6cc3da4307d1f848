"""Point kinetics against published tables, at the accuracy that the scheme claims."""

from dataclasses import replace
from math import log2

import numpy as np
import pytest

from benchmarks.kinetics_cases import Case, PeakCase, cases, parameter_set, peak_cases
from reactorsync.designs import Design
from reactorsync_generator.plant import load_design
from reactorsync_generator.plant.constants import kinetics_of
from reactorsync_generator.plant.kinetics import PointKinetics
from reactorsync_generator.plant.verification import Reactivity, first_peak, integrate

CASES = cases()
STEPS = [case for case in CASES if case.kind == "step"]


def names(case: Case | PeakCase) -> str:
    return case.name


def error(case: Case, *, step_s: float, stages: int) -> float:
    powers = integrate(case.kinetics, case.reactivity, case.times_s, step_s=step_s, stages=stages)
    return float(np.max(np.abs(powers / np.array(case.powers) - 1.0)))


def test_the_tables_hold_every_kind_of_case() -> None:
    kinds = [case.kind for case in CASES]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "step": 13,
        "sin": 1,
        "step_adiabatic": 3,
        "ramp": 1,
    }
    assert len(peak_cases()) == 3 + 7 + 8


@pytest.mark.parametrize("case", CASES, ids=names)
def test_five_stages_at_a_hundredth_of_a_second_are_exact_to_ten_digits(case: Case) -> None:
    assert error(case, step_s=0.01, stages=5) <= 1e-10


@pytest.mark.parametrize("case", CASES, ids=names)
def test_five_stages_at_the_plants_step_are_exact_to_nine_digits(case: Case) -> None:
    assert error(case, step_s=0.1, stages=5) <= 1e-9


@pytest.mark.parametrize(
    "case",
    [case for case in STEPS if abs(case.dollars) <= 0.5 and case.name.startswith("step TRII ")],
    ids=names,
)
def test_the_production_step_after_a_jump_of_up_to_half_a_dollar(case: Case) -> None:
    assert error(case, step_s=0.1, stages=3) <= 2e-9


@pytest.mark.parametrize("case", STEPS, ids=names)
def test_the_production_step_after_any_jump(case: Case) -> None:
    assert error(case, step_s=0.1, stages=3) <= 2e-7


def test_the_production_step_on_a_ramp_of_a_tenth_of_a_dollar_per_second() -> None:
    (ramp,) = (case for case in CASES if case.kind == "ramp")
    assert error(ramp.until(8.0), step_s=0.1, stages=3) <= 2e-6
    assert error(ramp, step_s=0.1, stages=3) <= 2e-6, "prompt critical from 10 s: divided steps"


def test_the_production_step_on_a_sinusoid_with_a_lifetime_of_ten_nanoseconds() -> None:
    (sinus,) = (case for case in CASES if case.kind == "sin")
    assert error(sinus, step_s=0.1, stages=3) <= 1e-11


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.kind == "step_adiabatic"], ids=names
)
def test_the_production_step_with_adiabatic_feedback(case: Case) -> None:
    assert error(case, step_s=0.1, stages=3) <= 1e-8


@pytest.mark.parametrize("case", peak_cases(), ids=names)
def test_power_peaks_are_found_in_time_and_height(case: PeakCase) -> None:
    step_s = 0.1 if case.kind == "sin_peak" else 0.001
    if case.kind == "step_adiabatic_peak" and case.peak.time_s > 2.0:
        step_s = 0.01
    found = first_peak(case.kinetics, case.reactivity, step_s=step_s, end_s=300.0)
    assert found.time_s == pytest.approx(case.peak.time_s, rel=2e-9)
    assert found.power == pytest.approx(case.peak.power, rel=1e-10)


def test_a_power_without_a_maximum_is_told() -> None:
    rising = Reactivity(constant=0.001)
    with pytest.raises(ValueError, match="no maximum before 5"):
        first_peak(parameter_set("TRII"), rising, step_s=0.1, end_s=5.0)


@pytest.mark.parametrize(("stages", "step_s", "order"), [(3, 0.125, 5), (5, 0.25, 9)])
def test_the_observed_order_is_twice_the_stages_less_one(
    stages: int, step_s: float, order: int
) -> None:
    kinetics = PointKinetics((0.0124, 0.111, 1.14), (0.001, 0.0025, 0.002), 1e-3)
    sinus = Reactivity(amplitude=-0.5 * kinetics.beta, half_period_s=2.0)
    exact = integrate(kinetics, sinus, (8.0,), step_s=0.02, stages=7)[0]
    errors = [
        abs(integrate(kinetics, sinus, (8.0,), step_s=h, stages=stages)[0] - exact)
        for h in (step_s, step_s / 2)
    ]
    assert log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_the_misprinted_decay_constant_is_caught_by_the_tables() -> None:
    right = parameter_set("TRII")
    rates = list(right.decay_constants_per_s)
    rates[2] = 0.155
    misprinted = replace(right, decay_constants_per_s=tuple(rates))
    case = next(case for case in STEPS if case.name == "step TRII 0.003")
    powers = integrate(misprinted, case.reactivity, case.times_s, step_s=0.01, stages=5)
    np.testing.assert_allclose(powers, [2.22480, 8.79935, 34.3300], rtol=5e-6)
    assert error(replace(case, kinetics=misprinted), step_s=0.01, stages=5) > 6e-3


@pytest.mark.parametrize(
    ("design", "reactivity", "powers"),
    [
        (
            Design.PWR_3_LOOP,
            0.001,
            {0.1: 1.1905121009297, 1: 1.2503825023649, 10: 1.6395136941392, 60: 4.5212500736204},
        ),
        (
            Design.PWR_3_LOOP,
            -0.0615,
            {
                0.1: 0.091949473501715,
                1: 0.072765009908155,
                10: 0.027956815858817,
                60: 0.0054218526863545,
            },
        ),
        (
            Design.CANDU6,
            0.0003,
            {0.1: 1.02530605884, 1: 1.0682756090614, 10: 1.152398297149, 60: 1.4604898501375},
        ),
        (
            Design.CANDU6,
            -0.08,
            {
                0.1: 0.063552093563424,
                1: 0.050514949902702,
                10: 0.020201804985656,
                100: 0.0024927974768118,
                1000: 3.2829279828747e-4,
                3600: 1.6415249768781e-4,
            },
        ),
    ],
)
def test_the_designs_own_kinetics_give_their_reference_values(
    design: Design, reactivity: float, powers: dict[float, float]
) -> None:
    kinetics = kinetics_of(load_design(design))
    found = integrate(
        kinetics, Reactivity(constant=reactivity), tuple(powers), step_s=0.1, stages=5
    )
    np.testing.assert_allclose(found, list(powers.values()), rtol=1e-11)


def test_photoneutrons_keep_a_shut_down_candu_four_decades_brighter() -> None:
    kinetics = kinetics_of(load_design(Design.CANDU6))
    precursors_only = PointKinetics(
        kinetics.decay_constants_per_s[:6], kinetics.fractions[:6], kinetics.generation_time_s
    )
    shutdown = Reactivity(constant=-0.08)
    bright = integrate(kinetics, shutdown, (1000.0,), step_s=0.1)[0]
    dark = integrate(precursors_only, shutdown, (1000.0,), step_s=0.1)[0]
    assert bright / dark == pytest.approx(27_000, rel=0.05)


@pytest.mark.parametrize(("times", "step_s"), [((0.0,), 0.1), ((2.0, 1.0), 0.1), ((1.0,), 0.0)])
def test_impossible_times_and_steps_are_refused(times: tuple[float, ...], step_s: float) -> None:
    with pytest.raises(ValueError, match=r"times_s must ascend|step_s is 0"):
        integrate(parameter_set("TRII"), Reactivity(), times, step_s=step_s)
