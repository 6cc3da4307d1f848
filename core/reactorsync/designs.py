"""The reactor designs that can be declared, named as in the field's literature."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Design(StrEnum):
    """A reactor design that the generator can simulate.

    The parameters behind each name are representative of the type and taken from public sources;
    none is vendor data.
    """

    CANDU6 = "Candu6"
    PWR_3_LOOP = "Pwr3Loop"


@dataclass(frozen=True, slots=True)
class DesignInfo:
    """What a reader needs to know of a design before declaring one."""

    design: Design
    title: str
    description: str
    rated_thermal_mw: float
    rated_electrical_mw: float


DESIGNS: dict[Design, DesignInfo] = {
    info.design: info
    for info in (
        DesignInfo(
            design=Design.CANDU6,
            title="CANDU 6",
            description=(
                "Pressurised heavy-water reactor with 380 horizontal channels, regulated by "
                "light-water liquid zones; delayed photoneutrons keep it warm after a shutdown."
            ),
            rated_thermal_mw=2062.0,
            rated_electrical_mw=706.5,
        ),
        DesignInfo(
            design=Design.PWR_3_LOOP,
            title="PWR, three loops",
            description=(
                "Pressurised light-water reactor with three loops, control rods and soluble boron."
            ),
            rated_thermal_mw=2895.0,
            rated_electrical_mw=940.0,
        ),
    )
}
