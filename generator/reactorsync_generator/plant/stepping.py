"""The plant's step, and the two kernels that run it over a fleet.

One step takes 0.1 s of plant time, on a grid of absolute time. Within it: faults to intensities,
protection, regulation, then core (implicit), coolant ring, pressurizer, secondary side, poisons and
instruments. Reactivity and coolant temperature enter the core's step as straight lines, so power
and loop temperatures are second order in time; pressurizer, controllers and valves are first order.
Each reactor is computed by scalar operations of its own: how many are computed in one call, and how
the time is divided over calls, changes no bit of the result.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from reactorsync_generator.plant.collocation import Array
from reactorsync_generator.plant.containment import leak_flow, step_containment
from reactorsync_generator.plant.coolant import step_coolant, step_pumps
from reactorsync_generator.plant.core import (
    coolant_reactivity,
    device_reactivity,
    poison_reactivity,
    step_boron,
    step_poisons,
    step_power,
)
from reactorsync_generator.plant.faults import PROCESSES, Process, combine
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.layout import SENSORS, Record, Records
from reactorsync_generator.plant.pressurizer import pressurizer_liquid_kg, step_pressurizer
from reactorsync_generator.plant.protection import step_protection
from reactorsync_generator.plant.regulation import (
    boration_ppm_s,
    dilution_kg_s,
    measure_rates,
    step_regulation,
)
from reactorsync_generator.plant.secondary import step_secondary
from reactorsync_generator.plant.sensors import read, step_sensors

_PUMP_TRIP: Final = int(Process.PUMP_TRIP)
_PUMP_BEARING_WEAR: Final = int(Process.PUMP_BEARING_WEAR)
_PRIMARY_LEAK: Final = int(Process.PRIMARY_LEAK)
_LOSS_OF_FEEDWATER: Final = int(Process.LOSS_OF_FEEDWATER)
_STEAM_LINE_BREAK: Final = int(Process.STEAM_LINE_BREAK)
_TURBINE_TRIP: Final = int(Process.TURBINE_TRIP)
_ROD_WITHDRAWAL: Final = int(Process.ROD_WITHDRAWAL)
_BORON_DILUTION: Final = int(Process.BORON_DILUTION)
_LOSS_OF_REGULATION: Final = int(Process.LOSS_OF_REGULATION)


@compiled
def external_reactivity(plant: Record, design: Record, coolant_c: float) -> float:
    """Return the reactivity of everything but the fuel's temperature."""
    return float(
        plant.excess
        + device_reactivity(design, plant.insertion, plant.adjusters_out, plant.shutdown_insertion)
        + poison_reactivity(design, plant.boron_ppm, plant.xenon, plant.moderator_poison)
        + coolant_reactivity(design, coolant_c)
    )


@compiled
def step_plant(
    plant: Record,
    design: Record,
    tables: Record,
    setpoint: float,
    intensities: Array,
    disturbed: bool,
    scratch: Array,
) -> None:
    """Advance one plant's physics by one step under constant fault intensities."""
    h = design.step_s
    before = external_reactivity(plant, design, plant.core_c)
    power = plant.power
    available = 1.0 - intensities[_TURBINE_TRIP]
    step_protection(plant, design, available, disturbed)
    runaway = max(intensities[_ROD_WITHDRAWAL], intensities[_LOSS_OF_REGULATION])
    step_regulation(plant, design, setpoint, available, runaway)
    diluted = dilution_kg_s(plant, design)
    diluted += intensities[_BORON_DILUTION] * design.regulation_dilution_fault_kg_s
    step_boron(plant, design, diluted, boration_ppm_s(plant, design))
    after = external_reactivity(plant, design, plant.core_c + h * plant.core_rate_c_s)

    released_mw, heat_mw = step_power(plant, design, tables, before, after, scratch)
    plant.heat_to_coolant_mw = heat_mw
    plant.released_mj += h * released_mw
    step_poisons(plant, design, 0.5 * (power + plant.power), h)
    measure_rates(plant, design, power)

    liquid = pressurizer_liquid_kg(plant, design)
    leak = 0.0
    if intensities[_PRIMARY_LEAK] > 0.0:
        leak = leak_flow(plant, design, intensities[_PRIMARY_LEAK])
    step_pumps(plant, design, intensities[_PUMP_TRIP], intensities[_PUMP_BEARING_WEAR])
    passed_mw = step_coolant(plant, design, heat_mw)
    plant.to_secondary_mj += h * passed_mw
    step_pressurizer(plant, design, leak, liquid)
    step_containment(plant, design, leak)
    step_secondary(
        plant,
        design,
        passed_mw,
        available,
        intensities[_LOSS_OF_FEEDWATER],
        intensities[_STEAM_LINE_BREAK],
    )


@compiled
def advance_fleet(
    plants: Records,
    inputs: Records,
    faults: Records,
    designs: Records,
    tables: Records,
    indices: npt.NDArray[np.int64],
    from_us: int,
    to_us: int,
    step_us: int,
) -> None:
    """Advance the plants at ``indices`` from ``from_us`` to ``to_us`` in steps of ``step_us``."""
    scratch = np.zeros((4, 3, 3))
    intensities = np.zeros(PROCESSES)
    truth = np.zeros(SENSORS)
    for position in range(indices.shape[0]):
        index = indices[position]
        plant = plants[index]
        order = inputs[index]
        design = designs[order.design]
        count = order.faults
        disturbed = False
        intensities[:] = 0.0
        for start in range(from_us, to_us, step_us):
            if count > 0:
                disturbed = combine(faults[index], count, start, start + step_us, intensities)
            step_plant(
                plant, design, tables[order.design], order.setpoint, intensities, disturbed, scratch
            )
            step_sensors(
                plant,
                design,
                order.seed,
                order.noise,
                faults[index],
                count,
                start,
                start + step_us,
                truth,
            )


@compiled
def read_fleet(
    plants: Records,
    inputs: Records,
    faults: Records,
    designs: Records,
    indices: npt.NDArray[np.int64],
    tick_us: int,
    out: npt.NDArray[np.float32],
) -> None:
    """Write the readings of the plants at ``indices`` at ``tick_us`` into the rows of ``out``."""
    values = np.zeros(SENSORS)
    for position in range(indices.shape[0]):
        index = indices[position]
        order = inputs[index]
        read(
            plants[index],
            designs[order.design],
            order.seed,
            order.noise,
            faults[index],
            order.faults,
            tick_us,
            values,
        )
        for signal in range(SENSORS):
            out[position, signal] = values[signal]
