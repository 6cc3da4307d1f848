"""Laws that hold whatever happens: energy, mass, possible states, bounded errors in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactorsync.designs import Design
from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.scenario import Shape
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec
from reactorsync_generator.plant.layout import Records
from tests.generator.plant.operating import Course, at, constants_of, fault, operate

PROCESS_FAULTS = [kind for kind, info in FAULTS.items() if not info.acts_on_sensor]


def stored_mj(course: Course, design: Design) -> npt.NDArray[np.float64]:
    """Heat in fuel and primary loops, by the temperatures."""
    record = constants_of(design)
    masses = {
        "core_c": 0.5 * record.primary_core_mass_kg,
        "core_exit_c": 0.5 * record.primary_core_mass_kg,
        "hot_leg_c": record.primary_hot_leg_mass_kg,
        "tube_exit_c": record.primary_tube_mass_kg,
        "cold_leg_c": record.primary_cold_leg_mass_kg,
    }
    heat: npt.NDArray[np.float64] = course["fuel_c"] * record.fuel_capacity_mj_per_k
    for node, mass in masses.items():
        heat += course[node] * (record.heat_capacity_mj_kg_k * mass)
    return heat


@pytest.mark.parametrize(
    ("design", "kind"),
    [
        (design, kind)
        for design in Design
        for kind in PROCESS_FAULTS
        if design in FAULTS[kind].designs
    ],
)
def test_energy_and_mass_balances_close_in_every_transient(design: Design, kind: FaultKind) -> None:
    course = operate(design, [fault(kind, end=300)], seconds=600)
    residual_mw = np.diff(
        stored_mj(course, design)
        - course["released_mj"]
        + course["to_secondary_mj"]
        - course["exchanged_mj"]
    )
    rated = constants_of(design).core_rated_thermal_mw
    assert np.abs(residual_mw).max() / rated < 1e-9
    for mass, gained in (
        ("primary_mass_kg", "primary_gained_kg"),
        ("secondary_mass_kg", "secondary_gained_kg"),
    ):
        np.testing.assert_allclose(np.diff(course[mass]), np.diff(course[gained]), atol=1e-6)


@pytest.mark.parametrize(
    ("design", "kind", "power", "kelvin", "mpa"),
    [
        (Design.PWR_3_LOOP, FaultKind.ROD_WITHDRAWAL, 1e-4, 1e-3, 2e-3),
        (Design.PWR_3_LOOP, FaultKind.PRIMARY_LEAK, 1e-4, 5e-3, 0.02),
        (Design.CANDU6, FaultKind.TURBINE_TRIP, 2e-3, 0.15, 0.03),
    ],
)
def test_a_four_times_shorter_step_changes_little(
    design: Design, kind: FaultKind, power: float, kelvin: float, mpa: float
) -> None:
    faults = [fault(kind, start=1, intensity=0.6)]
    coarse = operate(design, faults, seconds=60)
    fine = operate(design, faults, seconds=60, step_us=25_000)
    np.testing.assert_allclose(coarse["power"], fine["power"], atol=power)
    np.testing.assert_allclose(coarse["hot_leg_c"], fine["hot_leg_c"], atol=kelvin)
    np.testing.assert_allclose(coarse["primary_mpa"], fine["primary_mpa"], atol=mpa)


@st.composite
def fault_sequences(draw: st.DrawFn, design: Design) -> list[FaultInput]:
    kinds = [kind for kind in PROCESS_FAULTS if design in FAULTS[kind].designs]
    faults = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.floats(0, 1200))
        faults.append(
            fault(
                draw(st.sampled_from(kinds)),
                start=start,
                end=start + draw(st.floats(0.5, 2400)),
                intensity=draw(st.floats(0.01, 1.0)),
                shape=draw(st.sampled_from(Shape)),
                ramp=draw(st.floats(0.2, 600)),
            )
        )
    return faults


def assert_physical(states: Records) -> None:
    for name in states.dtype.names or ():
        if name == "held":
            continue
        assert np.isfinite(states[name]).all(), name
    for name in ("power", "lags", "iodine", "xenon", "boron_ppm", "pump_speed", "steam_flow_kg_s"):
        assert (states[name] >= 0.0).all(), name
    for name in ("primary_mass_kg", "steam_mass_kg", "secondary_mass_kg", "containment_steam_kg"):
        assert (states[name] >= 0.0).all(), name
    for name in ("fuel_c", "core_c", "hot_leg_c", "cold_leg_c", "steam_c", "pressurizer_c"):
        assert (states[name] > 0.0).all(), name
    for name in (
        "insertion",
        "shutdown_insertion",
        "adjusters_out",
        "moderator_poison",
        "load",
        "bearing_wear",
    ):
        assert ((states[name] >= 0.0) & (states[name] <= 1.0)).all(), name
    assert ((states["primary_mpa"] > 0.0) & (states["primary_mpa"] < 22.0)).all()
    assert ((states["steam_mpa"] > 0.0) & (states["steam_mpa"] < 12.0)).all()
    assert (states["fuel_c"] < 2800.0).all()


@given(
    data=st.data(),
    design=st.sampled_from(Design),
    setpoint=st.integers(200, 1000),
    other=st.integers(200, 1000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_sequence_of_faults_leads_to_an_impossible_state(
    data: st.DataObject, design: Design, setpoint: int, other: int
) -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(design, setpoint)])
    fleet.set_faults(int(indices[0]), data.draw(fault_sequences(design)))
    for minute in range(90):
        if minute == 20:
            fleet.set_setpoint(int(indices[0]), other)
        fleet.advance(indices, at(60 * minute), at(60 * minute + 60))
        assert_physical(fleet.states(indices))


def test_dozens_of_random_plants_stay_physical_for_hours() -> None:
    random = np.random.default_rng(7)
    fleet = PlantFleet()
    designs = [list(Design)[n % 2] for n in range(60)]
    indices = fleet.add([PlantSpec(design, seed=n) for n, design in enumerate(designs)])
    for index, design in zip(indices.tolist(), designs, strict=True):
        kinds = [kind for kind in PROCESS_FAULTS if design in FAULTS[kind].designs]
        fleet.set_faults(
            index,
            [
                fault(
                    kinds[random.integers(len(kinds))],
                    start=float(start := random.uniform(0, 1800)),
                    end=float(start + random.uniform(1, 3600)),
                    intensity=float(random.uniform(0.05, 1.0)),
                    shape=list(Shape)[random.integers(4)],
                    ramp=float(random.uniform(1, 600)),
                )
                for _ in range(random.integers(1, 5))
            ],
        )
    for minute in range(0, 120, 2):
        fleet.advance(indices, at(60 * minute), at(60 * minute + 120))
        assert_physical(fleet.states(indices))
    assert (fleet.states(indices)["mode"] == 0).mean() > 0.7, "most have come back"
