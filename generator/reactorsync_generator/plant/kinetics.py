"""Point kinetics by Radau IIA collocation with all delayed groups eliminated analytically.

The equations, for the relative power ``n`` and any number of delayed groups scaled so that
``y_i = n`` in equilibrium::

    dn/dt   = (rho - beta)/Lambda * n + 1/Lambda * sum(beta_i * y_i) + source
    dy_i/dt = lambda_i * (n - y_i)

Every ``y_i`` is a first-order lag of ``n``, so its stage values are known linear functions of the
stage values of ``n`` (:func:`~reactorsync_generator.plant.collocation.lag_weights`). What is left
to solve is one s x s system per step; Newton's method when reactivity depends on ``n``. The unknowns
are the increments ``n_j - n_0``, so that an equilibrium is kept to the last bit.

The plant model uses :func:`solve_stages` inside its own step. :func:`integrate` and
:func:`first_peak` are the scalar form that is checked against published benchmark tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, pi

import numpy as np

from reactorsync_generator.plant.collocation import Array, Collocation, lag_weights, radau_iia
from reactorsync_generator.plant.jit import compiled

MAX_GROWTH = 0.25
"""Growth exponent of the power over one step beyond which the step is divided."""

DIVISIONS = (1, 10, 100)
"""Into how many equal parts a step can be divided."""

_PROMPT_LIFETIMES = 40
_MAX_ITERATIONS = 20
_TOLERANCE = 1e-15


@dataclass(frozen=True, slots=True)
class PointKinetics:
    """A reactor's kinetic parameters.

    Attributes:
        decay_constants_per_s: lambda of each delayed group, neutron precursors and photoneutrons.
        fractions: effective delayed fraction beta of each group; the total is their sum.
        generation_time_s: prompt neutron generation time Lambda.
    """

    decay_constants_per_s: tuple[float, ...]
    fractions: tuple[float, ...]
    generation_time_s: float

    @property
    def beta(self) -> float:
        """Total effective delayed neutron fraction."""
        return sum(self.fractions)

    @property
    def mean_decay_per_s(self) -> float:
        """Decay constant of the delayed groups weighted by their fractions."""
        products = zip(self.fractions, self.decay_constants_per_s, strict=True)
        return sum(fraction * decay for fraction, decay in products) / self.beta


@dataclass(frozen=True, slots=True)
class Reactivity:
    """Reactivity ``constant + slope*t + amplitude*sin(pi*t/half_period) - feedback*integral(n)``."""

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


@dataclass(frozen=True, slots=True, eq=False)
class StageTables:
    """What a step of fixed length needs to know of the delayed groups, for one step length.

    Attributes:
        step_s: the step's length h.
        prompt: ``Lambda/h * A^-1 + beta*I - K``, shape (s, s), where ``K @ increments`` is what the
            increments add to the delayed emission.
        emission: ``beta_i * (1 - r_ij)``, shape (m, s): delayed emission at stage j per unit of
            ``y_i - n`` at the start of the step.
        rise: ``r_ij``, shape (m, s): the part of ``n - y_i`` that group i makes up until stage j.
        weights: stage weights of the groups, shape (m, s, s).
    """

    step_s: float
    prompt: Array
    emission: Array
    rise: Array
    weights: Array


@cache
def stage_tables(kinetics: PointKinetics, step_s: float, stages: int) -> StageTables:
    """Return the tables of ``kinetics`` for steps of ``step_s`` with ``stages`` stages."""
    collocation = radau_iia(stages)
    rates = np.array(kinetics.decay_constants_per_s)
    fractions = np.array(kinetics.fractions)
    weights = lag_weights(collocation, rates, step_s)
    rise = weights.sum(axis=2)
    prompt = kinetics.generation_time_s / step_s * collocation.inverse
    prompt += kinetics.beta * np.eye(stages) - np.einsum("i,ijk->jk", fractions, weights)
    return StageTables(
        step_s=step_s,
        prompt=prompt,
        emission=fractions[:, None] * (1.0 - rise),
        rise=rise,
        weights=weights,
    )


@compiled
def solve_linear(matrix: Array, right: Array) -> None:
    """Solve ``matrix @ x = right`` by elimination with partial pivoting; ``x`` replaces ``right``."""
    size = right.shape[0]
    for k in range(size):
        pivot = k
        for i in range(k + 1, size):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(k, size):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
            right[k], right[pivot] = right[pivot], right[k]
        for i in range(k + 1, size):
            factor = matrix[i, k] / matrix[k, k]
            for j in range(k + 1, size):
                matrix[i, j] -= factor * matrix[k, j]
            right[i] -= factor * right[k]
    for k in range(size - 1, -1, -1):
        total = right[k]
        for j in range(k + 1, size):
            total -= matrix[k, j] * right[j]
        right[k] = total / matrix[k, k]


@compiled
def solve_stages(
    power: float,
    reactivity: Array,
    emission: Array,
    feedback: Array,
    prompt: Array,
    source: float,
    increments: Array,
    jacobian: Array,
    residual: Array,
) -> None:
    """Solve one step's collocation equations for ``increments[j] = n_j - n_0`` (length s).

    ``reactivity`` and ``emission`` hold, per stage, what is known before the step is: reactivity
    without the effect of the increments, and delayed emission less ``beta*n_0``. Reactivity at stage
    j is ``reactivity[j] + feedback[j] @ increments``. ``source`` is Lambda times the external
    source. ``jacobian`` (s, s) and ``residual`` (s) are scratch space.
    """
    size = increments.shape[0]
    for j in range(size):
        increments[j] = 0.0
    for _ in range(_MAX_ITERATIONS):
        for j in range(size):
            stage_power = power + increments[j]
            stage_reactivity = reactivity[j]
            loss = 0.0
            for k in range(size):
                stage_reactivity += feedback[j, k] * increments[k]
                loss += prompt[j, k] * increments[k]
                jacobian[j, k] = prompt[j, k] - stage_power * feedback[j, k]
            jacobian[j, j] -= stage_reactivity
            residual[j] = stage_reactivity * stage_power + emission[j] + source - loss
        solve_linear(jacobian, residual)
        change = 0.0
        scale = abs(power)
        for j in range(size):
            increments[j] += residual[j]
            change = max(change, abs(residual[j]))
            scale = max(scale, abs(increments[j]))
        if change <= _TOLERANCE * scale:
            break


@compiled
def division_level(
    reactivity: float, step_s: float, beta: float, mean_decay_per_s: float, generation_s: float
) -> int:
    """Return the index into :data:`DIVISIONS` that keeps the power's growth per part moderate.

    The growth rate is the positive root of the inhour equation with one delayed group.
    """
    excess = reactivity - beta
    inner = excess * excess + 4.0 * mean_decay_per_s * generation_s * max(reactivity, 0.0)
    growth = step_s * (excess + np.sqrt(inner)) / (2.0 * generation_s)
    if growth <= MAX_GROWTH:
        return 0
    if growth <= MAX_GROWTH * DIVISIONS[1]:
        return 1
    return 2


@compiled
def _external(coefficients: Array, time_s: float) -> float:
    return (
        coefficients[0]
        + coefficients[1] * time_s
        + coefficients[2] * np.sin(coefficients[3] * time_s)
    )


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


def _advance(
    kinetics: PointKinetics,
    coefficients: Array,
    state: Array,
    groups: Array,
    *,
    duration_s: float,
    steps: int,
    collocation: Collocation,
) -> None:
    step_s = duration_s / steps
    tables = [stage_tables(kinetics, step_s / parts, collocation.stages) for parts in DIVISIONS]
    _march(
        state,
        groups,
        coefficients,
        step_s,
        steps,
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


def _initial(kinetics: PointKinetics) -> tuple[Array, Array]:
    return np.array([0.0, 1.0, 0.0]), np.ones(len(kinetics.fractions))


def _schedule(
    kinetics: PointKinetics, reactivity: Reactivity, start_s: float, end_s: float, step_s: float
) -> list[tuple[float, int]]:
    """Divide an interval into pieces of equal steps: (length of the piece, number of steps).

    After a jump of reactivity at time 0 the prompt transient is resolved until nothing of it is
    left; from there the steps double.
    """
    pieces = []
    if reactivity.constant != 0.0:
        prompt_s = kinetics.generation_time_s / max(abs(reactivity.constant - kinetics.beta), 1e-4)
        fine_s = 0.25 * prompt_s
        settled_s = min(end_s, _PROMPT_LIFETIMES * prompt_s)
        if start_s < settled_s:
            steps = ceil((settled_s - start_s) / min(fine_s, step_s))
            pieces.append((settled_s - start_s, steps))
            start_s = settled_s
            while fine_s < min(step_s, 0.25 * (end_s - start_s)):
                pieces.append((fine_s, 1))
                start_s += fine_s
                fine_s *= 2.0
    if start_s < end_s:
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
                collocation=radau_iia(stages),
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
    collocation = radau_iia(stages)
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
                collocation=collocation,
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
