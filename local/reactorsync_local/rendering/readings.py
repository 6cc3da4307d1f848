"""Readings as people read them: the digits that mean something, short titles, units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from reactorsync.signals import SIGNAL_INDEX, SIGNALS, Signal
from reactorsync.trips import TripCause
from reactorsync_local.rendering.table import Column, TableLines, render_table

_UNITS: Final = {"degC": "°C", "degC/s": "°C/s"}
_MISSING: Final = "–"


def signal_of(name: str) -> Signal:
    """Return the registry's entry of a signal."""
    return SIGNALS[SIGNAL_INDEX[name]]


def unit_text(signal: Signal) -> str:
    """Return a signal's unit as it is written: ``°C`` for ``degC``."""
    return _UNITS.get(signal.unit, signal.unit)


def value_text(signal: Signal, value: float | None) -> str:
    """Return a reading with the digits that mean something; a dash where there is none."""
    if value is None or value != value:
        return _MISSING
    text = f"{value:.{signal.decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def trip_title(label: str) -> str:
    """Return a trip cause in words: ``Low primary flow`` for ``LowPrimaryFlow``."""
    return next((cause.title for cause in TripCause if cause.label == label), label)


def readings_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> TableLines:
    """Return stored readings (time, trip cause, a column per signal) as a table."""

    def column(index: int, title: str) -> Column[Sequence[str]]:
        if title not in SIGNAL_INDEX:
            return Column(title.upper(), lambda row: _time_or_text(title, row[index]))
        signal = signal_of(title)

        def cell(row: Sequence[str]) -> Text:
            return Text(value_text(signal, float(row[index]) if row[index] else None))

        return Column(f"{short_title(signal)} {unit_text(signal)}", cell)

    return render_table([column(index, title) for index, title in enumerate(titles)], rows)


def short_title(signal: Signal) -> str:
    """Return a signal's title short enough for a column."""
    return _SHORT.get(signal.name, signal.title).upper()


_SHORT: Final = {
    "neutron_power_percent": "power",
    "thermal_power_mw": "thermal",
    "fuel_temperature_c": "fuel",
    "core_inlet_temperature_c": "inlet",
    "core_outlet_temperature_c": "outlet",
    "primary_pressure_mpa": "pressure",
    "primary_flow_kg_s": "flow",
    "pressurizer_level_percent": "pzr level",
    "control_rod_position_percent": "rods",
    "liquid_zone_level_percent": "zones",
    "boron_concentration_ppm": "boron",
    "steam_pressure_mpa": "steam",
    "steam_generator_level_percent": "sg level",
    "steam_flow_kg_s": "steam flow",
    "feedwater_flow_kg_s": "feed flow",
    "generator_power_mw": "output",
    "containment_pressure_kpa": "containment",
    "pump_vibration_mm_s": "vibration",
}


def _time_or_text(title: str, text: str) -> str:
    """Shorten a stored time to milliseconds: ticks are multiples of 100 ms."""
    if title != "time" or len(text) < 23:
        return text
    return f"{text[:23].replace(' ', 'T')}Z"
