"""Radau IIA: the textbook coefficients, the order conditions, and exact lags."""

import numpy as np
import pytest

from reactorsync_generator.plant.collocation import lag_weights, radau_iia


def test_two_stages_are_the_textbook_method() -> None:
    method = radau_iia(2)
    np.testing.assert_allclose(method.nodes, [1 / 3, 1.0], rtol=1e-15)
    np.testing.assert_allclose(method.matrix, [[5 / 12, -1 / 12], [3 / 4, 1 / 4]], rtol=1e-15)


def test_three_stages_have_the_published_nodes() -> None:
    root = np.sqrt(6.0)
    np.testing.assert_allclose(
        radau_iia(3).nodes, [(4 - root) / 10, (4 + root) / 10, 1.0], rtol=1e-15
    )


@pytest.mark.parametrize("stages", [2, 3, 4, 5, 7])
def test_quadrature_is_exact_to_the_order_of_the_method(stages: int) -> None:
    method = radau_iia(stages)
    for power in range(2 * stages - 1):
        assert method.weights @ method.nodes**power == pytest.approx(1 / (power + 1), rel=1e-14)
    beyond = method.weights @ method.nodes ** (2 * stages - 1)
    assert beyond != pytest.approx(1 / (2 * stages), rel=1e-7)


@pytest.mark.parametrize("stages", [3, 5])
def test_stage_integrals_are_exact_for_polynomials(stages: int) -> None:
    method = radau_iia(stages)
    for power in range(stages):
        np.testing.assert_allclose(
            method.matrix @ method.nodes**power,
            method.nodes ** (power + 1) / (power + 1),
            atol=1e-15,
        )


def test_a_single_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 stages"):
        radau_iia(1)


@pytest.mark.parametrize("stages", [3, 5])
def test_a_lag_under_constant_drive_decays_as_the_exponential(stages: int) -> None:
    rates, step = np.array([1e-7, 0.0127, 0.3]), 0.1
    risen = lag_weights(radau_iia(stages), rates, step)[:, -1].sum(axis=1)
    np.testing.assert_allclose(risen, -np.expm1(-rates * step), rtol=1e-11)
