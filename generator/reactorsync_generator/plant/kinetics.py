"""Point kinetics by Radau IIA collocation with all delayed groups eliminated analytically.

The equations, for the relative power ``n`` and any number of delayed groups scaled so that
``y_i = n`` in equilibrium::

    dn/dt   = (rho - beta)/Lambda * n + 1/Lambda * sum(beta_i * y_i) + source
    dy_i/dt = lambda_i * (n - y_i)

Every ``y_i`` is a first-order lag of ``n``, so its stage values are known linear functions of the
stage values of ``n`` (:func:`~reactorsync_generator.plant.collocation.lag_weights`). What is left
to solve is one s x s system per step, by Newton's method when reactivity depends on ``n``. The
unknowns are the increments ``n_j - n_0``, so that an equilibrium is kept to the last bit.

The plant's core uses :func:`solve_stages` inside its step; ``verification`` uses the same function
to reproduce published benchmark tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reactorsync_generator.plant.collocation import Array, lag_weights, radau_iia
from reactorsync_generator.plant.jit import compiled

MAX_GROWTH = 0.25
"""Growth exponent of the power over one step beyond which the step is divided."""

DIVISIONS = (1, 10, 100)
"""Into how many equal parts a step can be divided."""

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
    """Solve ``matrix @ x = right`` with partial pivoting; ``x`` replaces ``right``."""
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
    without the effect of the increments, and delayed emission less ``beta*n_0``. Reactivity at
    stage j is ``reactivity[j] + feedback[j] @ increments``. ``source`` is Lambda times the external
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
