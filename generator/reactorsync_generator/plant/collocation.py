"""Radau IIA collocation: coefficients to double precision, and first-order lags eliminated by it.

An s-stage Radau IIA method has order 2s - 1, is L-stable and stiffly accurate (its last stage is
the end of the step), so prompt lifetimes from 1e-8 s to 1e-3 s need no shorter steps. With a
lifetime of 1e-3 s the orders 5 and 9 are observed; as the equations get stiffer the observed order
falls towards s + 1, at errors that are smaller all the same.
Source: Hairer and Wanner, *Solving Ordinary Differential Equations II*, section IV.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from math import comb

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Collocation:
    """Coefficients of the s-stage Radau IIA method.

    Attributes:
        nodes: stage times as shares of the step, shape (s,); the last is 1.
        matrix: Runge-Kutta matrix A, shape (s, s).
        inverse: inverse of A, shape (s, s).
        weights: quadrature weights b, the last row of A, shape (s,).
    """

    nodes: Array
    matrix: Array
    inverse: Array
    weights: Array

    @property
    def stages(self) -> int:
        """Number of stages s; the order is 2s - 1."""
        return len(self.nodes)


def _radau_polynomial(stages: int) -> list[Decimal]:
    """Coefficients, lowest first, of the derivative whose roots are the nodes.

    It is the (s-1)-th derivative of ``x^(s-1) * (x-1)^s``.
    """
    degree = 2 * stages - 1
    full = [Decimal(0)] * (degree + 1)
    for k in range(stages + 1):
        full[stages - 1 + k] = Decimal(comb(stages, k) * (-1) ** (stages - k))
    for _ in range(stages - 1):
        full = [k * coefficient for k, coefficient in enumerate(full)][1:]
    return full


def _value(coefficients: list[Decimal], x: Decimal) -> Decimal:
    total = Decimal(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def _nodes(stages: int) -> list[Decimal]:
    polynomial = _radau_polynomial(stages)
    derivative = [k * coefficient for k, coefficient in enumerate(polynomial)][1:]
    guesses = np.sort(np.roots([float(c) for c in reversed(polynomial)]).real)
    nodes = []
    for guess in guesses[:-1]:
        x = Decimal(float(guess))
        for _ in range(8):
            x -= _value(polynomial, x) / _value(derivative, x)
        nodes.append(x)
    return [*nodes, Decimal(1)]


def _lagrange_integral(nodes: list[Decimal], j: int) -> list[Decimal]:
    """Coefficients of the integral from 0 of the j-th Lagrange polynomial on ``nodes``."""
    product = [Decimal(1)]
    for m, node in enumerate(nodes):
        if m != j:
            scale = nodes[j] - node
            shifted = [Decimal(0), *product]
            for k, coefficient in enumerate(product):
                shifted[k] -= node * coefficient
            product = [coefficient / scale for coefficient in shifted]
    return [Decimal(0), *(c / (k + 1) for k, c in enumerate(product))]


@cache
def radau_iia(stages: int) -> Collocation:
    """Return the method with ``stages`` stages, computed with 60 digits and rounded.

    Raises:
        ValueError: fewer than 2 stages.
    """
    if stages < 2:
        raise ValueError(f"a Radau IIA method here has at least 2 stages, not {stages}")
    with localcontext() as context:
        context.prec = _DIGITS
        nodes = _nodes(stages)
        integrals = [_lagrange_integral(nodes, j) for j in range(stages)]
        matrix = np.array([[float(_value(f, node)) for f in integrals] for node in nodes])
    return Collocation(
        nodes=np.array([float(node) for node in nodes]),
        matrix=matrix,
        inverse=np.linalg.inv(matrix),
        weights=matrix[-1].copy(),
    )


def lag_weights(collocation: Collocation, rates_per_s: Array, step_s: float) -> Array:
    """Return the stage weights of first-order lags ``y' = rate * (u - y)``, shape (m, s, s).

    For a drive with stage values ``u`` the lag's stage values are exactly
    ``y0 + weights @ (u - y0)``, with ``weights = (I + h*rate*A)^-1 (h*rate*A)``. A precursor group,
    a decay-heat group or the fuel's temperature is thereby known once ``u`` is known, and drops out
    of the system to solve.
    """
    identity = np.eye(collocation.stages)
    scaled = step_s * rates_per_s[:, None, None] * collocation.matrix
    return np.asarray(np.linalg.solve(identity + scaled, scaled), np.float64)
