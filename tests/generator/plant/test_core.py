"""Decay heat and xenon against exact references, and the reactivity's signs."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync_generator.plant import load_design
from reactorsync_generator.plant.constants import (
    DESIGN_ROWS,
    compile_design,
    constants,
    kinetics_of,
)
from reactorsync_generator.plant.core import (
    coolant_reactivity,
    device_reactivity,
    fuel_reactivity,
    step_poisons,
    step_power,
)
from reactorsync_generator.plant.layout import DECAY, DELAYED, STATE
from reactorsync_generator.plant.verification import Reactivity, integrate
from tests.generator.plant.operating import constants_of


def test_decay_heat_after_a_long_operation_is_the_standards_curve() -> None:
    """ANS-73 in 11 groups as TRACE has them, infinite irradiation, from the groups' closed form."""
    compiled = constants(0.1)
    row = DESIGN_ROWS[Design.PWR_3_LOOP]
    design = compiled.designs[row : row + 1].copy()
    design["source_reactivity"] = 0.0
    plant = np.zeros(1, STATE)
    plant["lags"][0, DELAYED:] = 1.0
    shares = compiled.tables[row, 0]["heat_share"]
    scratch = np.zeros((4, 3, 3))
    elapsed = 0
    expected = {0: 0.06999, 1: 0.06275305, 10: 0.04994896, 100: 0.03374143, 1000: 0.01922540}
    for second, share in expected.items():
        for _ in range(10 * (second - elapsed)):
            step_power(plant[0], design[0], compiled.tables[row], -0.06, -0.06, scratch)
        elapsed = second
        assert plant["power"][0] == 0.0
        assert shares @ plant["lags"][0, DELAYED : DELAYED + DECAY] == pytest.approx(
            share, abs=5e-9
        )


@pytest.mark.parametrize(
    ("burnup", "hours", "peak_h", "peak"),
    [
        (
            3e-5,
            [1.08887056, 1.24818533, 1.18694568, 0.80617879, 0.24803169],
            5.91294506,
            1.25259967,
        ),
        (
            7.5e-5,
            [1.2315422, 1.74498482, 1.82011314, 1.32323401, 0.42417221],
            8.25627649,
            1.84027354,
        ),
        (
            1.5e-4,
            [1.46932828, 2.57298397, 2.87539224, 2.1849927, 0.71773976],
            9.48577378,
            2.87834405,
        ),
    ],
)
def test_xenon_builds_up_after_a_shutdown_and_decays(
    burnup: float, hours: list[float], peak_h: float, peak: float
) -> None:
    """Exact solution for half-lives of 6.57 h and 9.14 h and yields of .0639 and .00237."""
    row = DESIGN_ROWS[Design.CANDU6]
    design = constants(0.1).designs[row : row + 1].copy()
    design["reactivity_xenon_burnup_per_s"] = burnup
    plant = np.zeros(1, STATE)
    plant["iodine"] = plant["xenon"] = 1.0
    step_s, xenon = 5.0, [1.0]
    for _ in range(40 * 720):
        step_poisons(plant[0], design[0], 0.0, step_s)
        xenon.append(float(plant["xenon"][0]))
    found = [xenon[720 * hour] for hour in (1, 5, 10, 20, 40)]
    np.testing.assert_allclose(found, hours, atol=2e-8)
    assert max(xenon) == pytest.approx(peak, rel=1e-8)
    assert np.argmax(xenon) * step_s / 3600 == pytest.approx(peak_h, abs=2e-3)


def test_poisons_in_equilibrium_stay_there() -> None:
    plant = np.zeros(1, STATE)
    plant["iodine"] = plant["xenon"] = 1.0
    design = constants_of(Design.CANDU6)
    for _ in range(1000):
        step_poisons(plant[0], design, 1.0, 0.1)
    assert plant["iodine"][0] == pytest.approx(1.0, abs=1e-14)
    assert plant["xenon"][0] == pytest.approx(1.0, abs=1e-14)


def test_a_warmer_pwr_loses_reactivity_and_a_voided_candu_gains_it() -> None:
    pwr, candu = constants_of(Design.PWR_3_LOOP), constants_of(Design.CANDU6)
    for design in (pwr, candu):
        assert coolant_reactivity(design, design.core_average_c) == 0.0
        assert fuel_reactivity(design, design.core_fuel_temperature_c + 100.0) < 0.0
    slope = coolant_reactivity(pwr, pwr.core_average_c + 0.5) - coolant_reactivity(
        pwr, pwr.core_average_c - 0.5
    )
    assert slope == pytest.approx(-97e-5, rel=1e-6)
    assert coolant_reactivity(candu, candu.core_average_c + 1.0) > 0.0


def test_devices_are_worth_what_the_design_says_between_their_ends() -> None:
    design = constants_of(Design.PWR_3_LOOP)
    out = device_reactivity(design, 0.0, 0.0, 0.0)
    bank = out - device_reactivity(design, 1.0, 0.0, 0.0)
    shutdown = out - device_reactivity(design, 0.0, 0.0, 1.0)
    assert bank == pytest.approx(0.025)
    assert shutdown == pytest.approx(0.04)
    insertions = np.linspace(0.0, 1.0, 101)
    worths = [device_reactivity(design, float(x), 0.0, 0.0) for x in insertions]
    assert all(np.diff(worths) < 0.0), "deeper is worth more, at every place"
    assert np.diff(worths)[0] == pytest.approx(0.0, abs=1e-6), "an S-curve begins flat"


def test_the_power_after_a_small_step_agrees_with_the_verified_kinetics() -> None:
    """With the feedback frozen, the plant's core is the verified scheme."""
    parameters = load_design(Design.CANDU6)
    design, tables = compile_design(parameters, 0.1)
    design["reactivity_doppler_pcm_per_k"] = 0.0
    design["source_reactivity"] = 0.0
    tables["feedback"] = 0.0
    plant = np.zeros(1, STATE)
    plant["power"] = 1.0
    plant["lags"] = 1.0
    scratch = np.zeros((4, 3, 3))
    for step in range(100):
        begin, end = 1e-5 * step, 1e-5 * (step + 1)
        step_power(plant[0], design[0], tables, begin, end, scratch)
    ramp = Reactivity(slope_per_s=1e-4)
    exact = integrate(kinetics_of(parameters), ramp, (10.0,), step_s=0.1, stages=3)[0]
    assert plant["power"][0] == pytest.approx(exact, rel=1e-12)
