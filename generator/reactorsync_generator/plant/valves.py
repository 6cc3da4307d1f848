"""Valves that open between two pressures."""

from __future__ import annotations

from reactorsync_generator.plant.jit import compiled


@compiled
def opening(pressure_mpa: float, start_mpa: float, full_mpa: float) -> float:
    """Return how far a valve is open that opens between two pressures, 0 to 1."""
    return min(max((pressure_mpa - start_mpa) / (full_mpa - start_mpa), 0.0), 1.0)
