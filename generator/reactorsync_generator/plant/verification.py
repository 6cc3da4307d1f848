"""Point kinetics of one reactor by itself, as published benchmark tables pose it.

Reactivity is a step, a ramp, a sinusoid, with or without adiabatic feedback, from equilibrium at
``n = 1``. What is verified is the scheme that the plant runs: :func:`kinetics.solve_stages`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, pi

import numpy as np

from reactorsync_generator.plant.collocation import Array, radau_iia
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.kinetics import (
    DIVISIONS,
    PointKinetics,
    division_level,
    solve_stages,
    stage_tables,
)

_DOUBLING = tuple((2.0**power, 1) for power in range(2, 40))
_DYING_TRANSIENT = ((0.25, 16), (0.5, 16), (1.0, 16), (2.0, 8), *_DOUBLING)
_GROWING_TRANSIENT = ((0.25, 160), *_DOUBLING)
"""After a jump of reactivity: lengths of steps in prompt lifetimes, and how many of each."""


@dataclass(frozen=True, slots=True)
class Reactivity:
    """``constant + slope*t + amplitude*sin(pi*t/half_period) - feedback*integral(n)``."""

    constant: float = 0.0
    slope_per_s: float = 0.0
    amplitude: float = 0.0
    half_period_s: float = 1.0
    feedback_per_s: float = 0.0

    def as_array(self) -> Array:
        """Return the coefficients in the order the kernel expects."""
        angular = pi / self.half_period_s
        return np.array(
            [self.constant, self.slope_per_s, self.amplitude, angular, self.feedback_per_s]
        )


@dataclass(frozen=True, slots=True)
class Peak:
    """A maximum of the power: when, and how high relative to the start."""

    time_s: float
    power: float


@compiled
def _external(coefficients: Array, time_s: float) -> float:
    sine = np.sin(coefficients[3] * time_s)
    return float(coefficients[0] + coefficients[1] * time_s + coefficients[2] * sine)


@compiled
def _march(
    state: Array,
    groups: Array,
    coefficients: Array,
    step_s: float,
    steps: int,
    beta: float,
    mean_decay_per_s: float,
    generation_s: float,
    nodes: Array,
    matrix: Array,
    prompts: Array,
    emissions: Array,
    rises: Array,
    weights: Array,
) -> None:
    """Advance ``state`` (time, power, integral of power) and ``groups`` by ``steps`` steps.

    The tables carry one entry per division of the step.
    """
    size = nodes.shape[0]
    increments = np.empty(size)
    residual = np.empty(size)
    jacobian = np.empty((size, size))
    reactivity = np.empty(size)
    emission = np.empty(size)
    feedback = np.empty((size, size))
    origin = state[0]
    for step in range(steps):
        start = origin + step * step_s
        largest = max(_external(coefficients, start), _external(coefficients, start + step_s))
        largest -= coefficients[4] * state[2]
        level = division_level(largest, step_s, beta, mean_decay_per_s, generation_s)
        parts = DIVISIONS[level]
        h = step_s / parts
        for j in range(size):
            for k in range(size):
                feedback[j, k] = -coefficients[4] * h * matrix[j, k]
        for part in range(parts):
            begin = start + part * h
            power = state[1]
            for j in range(size):
                reactivity[j] = _external(coefficients, begin + nodes[j] * h) - coefficients[4] * (
                    state[2] + nodes[j] * h * power
                )
                emission[j] = 0.0
                for i in range(groups.shape[0]):
                    emission[j] += emissions[level, i, j] * (groups[i] - power)
            solve_stages(
                power,
                reactivity,
                emission,
                feedback,
                prompts[level],
                0.0,
                increments,
                jacobian,
                residual,
            )
            last = size - 1
            for i in range(groups.shape[0]):
                change = rises[level, i, last] * (power - groups[i])
                for k in range(size):
                    change += weights[level, i, last, k] * increments[k]
                groups[i] += change
            released = power
            for k in range(size):
                released += matrix[last, k] * increments[k]
            state[2] += h * released
            state[1] = power + increments[last]
    state[0] = origin + steps * step_s


@lru_cache(maxsize=256)
def _constants(
    kinetics: PointKinetics, step_s: float, stages: int
) -> tuple[float, float, float, Array, Array, Array, Array, Array, Array]:
    """The kernel's constants: kinetics, collocation, and the tables of a step and its divisions."""
    tables = [stage_tables(kinetics, step_s / parts, stages) for parts in DIVISIONS]
    collocation = radau_iia(stages)
    return (
        kinetics.beta,
        kinetics.mean_decay_per_s,
        kinetics.generation_time_s,
        collocation.nodes,
        collocation.matrix,
        np.array([table.prompt for table in tables]),
        np.array([table.emission for table in tables]),
        np.array([table.rise for table in tables]),
        np.array([table.weights for table in tables]),
    )


def _advance(
    kinetics: PointKinetics,
    coefficients: Array,
    state: Array,
    groups: Array,
    *,
    duration_s: float,
    steps: int,
    stages: int,
) -> None:
    step_s = duration_s / steps
    _march(
        state,
        groups,
        coefficients,
        step_s,
        steps,
        *_constants(kinetics, step_s, stages),
    )


def _initial(kinetics: PointKinetics) -> tuple[Array, Array]:
    return np.array([0.0, 1.0, 0.0]), np.ones(len(kinetics.fractions))


def _schedule(
    kinetics: PointKinetics, reactivity: Reactivity, start_s: float, end_s: float, step_s: float
) -> list[tuple[float, int]]:
    """Divide an interval into pieces of equal steps: (length of the piece, number of steps).

    After a jump of reactivity at time 0 the steps begin at a quarter of a prompt lifetime and
    double as the prompt transient dies away; when it grows, they stay short longer.
    """
    pieces = []
    if reactivity.constant != 0.0:
        prompt_s = kinetics.generation_time_s / max(abs(reactivity.constant - kinetics.beta), 1e-4)
        grown_s = 0.0
        dies = reactivity.constant < kinetics.beta
        for share, steps in _DYING_TRANSIENT if dies else _GROWING_TRANSIENT:
            length_s = share * prompt_s
            grown_s += steps * length_s
            if length_s >= step_s:
                break
            if start_s < grown_s:
                length_s = min(grown_s, end_s) - start_s
                pieces.append((length_s, min(steps, ceil(length_s / (share * prompt_s) - 1e-9))))
                start_s += length_s
            if grown_s >= end_s:
                return pieces
    pieces.append((end_s - start_s, max(1, ceil((end_s - start_s) / step_s - 1e-9))))
    return pieces


def integrate(
    kinetics: PointKinetics,
    reactivity: Reactivity,
    times_s: tuple[float, ...],
    *,
    step_s: float,
    stages: int = 3,
) -> Array:
    """Return the relative power at ``times_s``, from equilibrium with ``n = 1`` at time 0.

    Each interval between two times is divided into equal steps no longer than ``step_s``. A step in
    which the power would grow by more than ``exp(MAX_GROWTH)`` is divided by 10 or 100, and when
    reactivity jumps at time 0 the first steps resolve the prompt transient.

    Raises:
        ValueError: ``times_s`` does not ascend from above 0, or the step is not positive.
    """
    if step_s <= 0.0:
        raise ValueError(f"step_s is {step_s}, it must be positive")
    coefficients = reactivity.as_array()
    state, groups = _initial(kinetics)
    powers = []
    for time in times_s:
        if time <= state[0]:
            raise ValueError(f"times_s must ascend from above 0, found {time} after {state[0]}")
        for length, steps in _schedule(kinetics, reactivity, state[0], time, step_s):
            _advance(
                kinetics,
                coefficients,
                state,
                groups,
                duration_s=length,
                steps=steps,
                stages=stages,
            )
        state[0] = time
        powers.append(state[1])
    return np.array(powers)


def first_peak(
    kinetics: PointKinetics,
    reactivity: Reactivity,
    *,
    step_s: float,
    end_s: float,
    stages: int = 5,
) -> Peak:
    """Return the first maximum of the power after time 0.

    Steps until the power falls, then finds by bisection-safe secant the last step's length at which
    the power's derivative, taken from the differential equation itself, is zero.

    Raises:
        ValueError: the power does not fall before ``end_s``.
    """
    coefficients = reactivity.as_array()
    state, groups = _initial(kinetics)
    origin = state.copy(), groups.copy()

    def derivative(at: Array, delayed: Array) -> float:
        rho = _external(coefficients, at[0]) - coefficients[4] * at[2]
        emitted = np.dot(kinetics.fractions, delayed - at[1])
        return float((rho * at[1] + emitted) / kinetics.generation_time_s)

    def reached(step: float) -> tuple[Array, Array]:
        at, delayed = origin[0].copy(), origin[1].copy()
        if step > 0.0:
            _advance(
                kinetics,
                coefficients,
                at,
                delayed,
                duration_s=step,
                steps=1,
                stages=stages,
            )
        return at, delayed

    while True:
        if origin[0][0] >= end_s:
            raise ValueError(f"the power has no maximum before {end_s} s")
        arrived = reached(step_s)
        if derivative(*arrived) < 0.0:
            break
        origin = arrived
    low, high = 0.0, step_s
    while high - low > 1e-12 * step_s:
        middle = 0.5 * (low + high)
        if derivative(*reached(middle)) < 0.0:
            high = middle
        else:
            low = middle
    at, _ = reached(low)
    return Peak(time_s=float(at[0]), power=float(at[1]))
