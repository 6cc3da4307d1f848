"""The plant simulator: physics, faults and instruments of a fleet of reactors, without any I/O.

Start at :mod:`~reactorsync_generator.plant.fleet` (what a caller uses) and
:mod:`~reactorsync_generator.plant.stepping` (what happens in a step).
"""

from reactorsync_generator.plant.faults import FaultInput
from reactorsync_generator.plant.fleet import STEP_US, PlantFleet, PlantSpec
from reactorsync_generator.plant.layout import LAYOUT, STATE_SIZE
from reactorsync_generator.plant.parameters import DesignParameters, InvalidDesign, load_design

__all__ = [
    "LAYOUT",
    "STATE_SIZE",
    "STEP_US",
    "DesignParameters",
    "FaultInput",
    "InvalidDesign",
    "PlantFleet",
    "PlantSpec",
    "load_design",
]
