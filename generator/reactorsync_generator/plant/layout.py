"""What a plant's state consists of, and how states, inputs and designs lie in memory.

One row per reactor, one named column per quantity, all float64: numba's kernels and numpy read the
same arrays, a fleet is one block of memory, and a snapshot is a copy of rows.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from reactorsync.signals import SIGNALS
from reactorsync.trips import TripCause

Records = npt.NDArray[np.void]
"""A structured array of one of the types below."""

Record = Any
"""One row of such an array, by reference. numba and numpy give its fields as attributes."""

DELAYED: Final = 15
"""Room for delayed groups: six of precursors and nine of photoneutrons."""

DECAY: Final = 11
"""Decay-heat groups."""

LAGS: Final = DELAYED + DECAY
SENSORS: Final = len(SIGNALS)
STAGES: Final = 3

TRIP_CAUSES: Final = len(TripCause)
"""Room for a timer per ``TripCause``, at the index of its number."""


class Mode(IntEnum):
    """What the power regulation is doing."""

    RUN = 0
    TRIPPED = 1
    RESTART = 2


_STATE_FIELDS: Final[list[tuple[Any, ...]]] = [
    # Core. Powers and lags are shares of rated power.
    ("power", np.float64),
    ("lags", np.float64, (LAGS,)),
    ("fuel_c", np.float64),
    ("iodine", np.float64),
    ("xenon", np.float64),
    ("excess", np.float64),
    ("reactivity", np.float64),
    # Heat carried by the primary coolant, node by node in the direction of flow.
    ("core_c", np.float64),
    ("core_rate_c_s", np.float64),
    ("core_exit_c", np.float64),
    ("hot_leg_c", np.float64),
    ("tube_exit_c", np.float64),
    ("cold_leg_c", np.float64),
    ("pump_speed", np.float64),
    ("bearing_wear", np.float64),
    ("primary_mass_kg", np.float64),
    ("boron_ppm", np.float64),
    # Pressurizer.
    ("steam_mass_kg", np.float64),
    ("pressurizer_c", np.float64),
    # Steam generators and turbine.
    ("steam_c", np.float64),
    ("steam_rate_c_s", np.float64),
    ("secondary_mass_kg", np.float64),
    ("boiling_share", np.float64),
    ("feedwater_kg_s", np.float64),
    ("feedwater_integral", np.float64),
    ("feedwater_c", np.float64),
    ("valve", np.float64),
    ("valve_integral", np.float64),
    ("load", np.float64),
    ("generator_mw", np.float64),
    ("containment_steam_kg", np.float64),
    # Regulation and protection.
    ("insertion", np.float64),
    ("adjusters_out", np.float64),
    ("moderator_poison", np.float64),
    ("shutdown_insertion", np.float64),
    ("demand", np.float64),
    ("log_rate_per_s", np.float64),
    ("power_rate_per_s", np.float64),
    ("mode", np.float64),
    ("trip_cause", np.float64),
    ("trip_time_s", np.float64),
    ("healthy_s", np.float64),
    ("suspected_s", np.float64, (TRIP_CAUSES,)),
    ("isolated", np.float64),
    # Results of the last step that instruments and protection see.
    ("heat_to_coolant_mw", np.float64),
    ("primary_flow_kg_s", np.float64),
    ("primary_mpa", np.float64),
    ("pressurizer_percent", np.float64),
    ("steam_mpa", np.float64),
    ("steam_generator_percent", np.float64),
    ("steam_flow_kg_s", np.float64),
    ("containment_kpa", np.float64),
    ("vibration_mm_s", np.float64),
    # The books: what has been released, taken and passed on since the plant was added.
    ("released_mj", np.float64),
    ("to_secondary_mj", np.float64),
    ("exchanged_mj", np.float64),
    ("primary_gained_kg", np.float64),
    ("secondary_gained_kg", np.float64),
    # Instruments: the lagged measurement, and what a stuck one holds (NaN: not stuck).
    ("measured", np.float64, (SENSORS,)),
    ("held", np.float64, (SENSORS,)),
]

STATE: Final = np.dtype(_STATE_FIELDS)
STATE_SIZE: Final = STATE.itemsize // 8
"""Float64 numbers in one plant's state."""

_NAMES = ",".join(f"{field[0]}:{STATE[field[0]].shape}" for field in _STATE_FIELDS)
LAYOUT: Final = f"plant-1-{hashlib.blake2b(_NAMES.encode(), digest_size=4).hexdigest()}"
"""Name of the state's layout; snapshots of another layout are not restored."""

INPUT: Final = np.dtype(
    [
        ("design", np.int64),
        ("seed", np.int64),
        ("setpoint", np.float64),
        ("noise", np.float64),
        ("faults", np.int64),
    ]
)
"""What a reactor is told: row of its design, seed, power setpoint, noise factor, fault count."""

FAULT: Final = np.dtype(
    [
        ("kind", np.int64),
        ("shape", np.int64),
        ("signal", np.int64),
        ("start_us", np.int64),
        ("ramp_us", np.int64),
        ("end_us", np.int64),
        ("intensity", np.float64),
        ("sign", np.float64),
    ]
)

STAGE_TABLE: Final = np.dtype(
    [
        ("prompt", np.float64, (STAGES, STAGES)),
        ("emission", np.float64, (DELAYED, STAGES)),
        ("rise", np.float64, (LAGS,)),
        ("gain", np.float64, (LAGS, STAGES)),
        ("heat_share", np.float64, (DECAY,)),
        ("heat_rise", np.float64, (DECAY, STAGES)),
        ("heat_gain", np.float64, (STAGES, STAGES)),
        ("fuel_gain", np.float64, (STAGES, STAGES)),
        ("feedback", np.float64, (STAGES, STAGES)),
        ("nodes", np.float64, (STAGES,)),
        ("weights", np.float64, (STAGES,)),
    ]
)
"""Constants of one kinetics step of a design, for one division of the step."""
