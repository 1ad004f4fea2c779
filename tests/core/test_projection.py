"""Projections onto half-spaces within bounds, against a general solver."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from skrelu._core.projection import project


def random_problem(seed, n_conditions):
    rng = np.random.RandomState(seed)
    p = rng.randint(2, 6)
    scale = np.where(rng.rand(p) < 0.2, 0.0, 0.5 + rng.rand(p))
    scale[0] = 1.0
    low = np.where(rng.rand(p) < 0.5, -np.inf, -1.0)
    high = np.where(rng.rand(p) < 0.5, np.inf, 1.0)
    low[scale == 0], high[scale == 0] = -np.inf, np.inf
    normals, x = rng.randn(n_conditions, p), 2 * rng.randn(p)
    inside = np.where(scale > 0, np.clip(rng.randn(p), low, high), x)  # meets all conditions
    return x, scale, normals, 0.1 * rng.rand(n_conditions) - normals @ inside, low, high


@pytest.mark.parametrize("n_conditions", [1, 2, 4])
@pytest.mark.parametrize("seed", range(12))
def test_nearest_point_equals_that_of_a_general_solver(seed, n_conditions):
    x, scale, normals, constants, low, high = random_problem(seed, n_conditions)
    found = project(x[None], scale**2, normals[None], constants[None], low, high)[0]
    moves = scale > 0
    assert (found[~moves] == x[~moves]).all()
    assert (low <= found).all()
    assert (found <= high).all()
    assert (normals @ found + constants >= -1e-6).all()  # the turns converge linearly
    rest = constants + normals[:, ~moves] @ x[~moves]
    best = minimize(
        lambda q: np.square((q - x[moves]) / scale[moves]).sum(),
        np.clip(x, low, high)[moves],
        jac=lambda q: 2 * (q - x[moves]) / scale[moves] ** 2,
        bounds=list(zip(low[moves], high[moves], strict=True)),
        constraints={"type": "ineq", "fun": lambda q: normals[:, moves] @ q + rest, "jac": lambda q: normals[:, moves]},
        method="SLSQP",
        options={"ftol": 1e-11, "maxiter": 500},
    )
    assert best.success
    assert_allclose(found[moves], best.x, atol=1e-4)


def test_without_bounds_one_condition_is_the_closed_formula():
    rng = np.random.RandomState(0)
    x, w, scale = rng.randn(5, 3), rng.randn(5, 3), np.array([1.0, 2.0, 0.5])
    bound = np.full(3, np.inf)
    q = project(x, scale**2, w[:, None], np.full((5, 1), -4.0) - np.einsum("np,np->n", w, x)[:, None], -bound, bound)
    assert_allclose(np.sqrt((((q - x) / scale) ** 2).sum(axis=1)), 4 / np.linalg.norm(w * scale, axis=1), rtol=1e-12)


def test_condition_that_bounds_forbid_is_met_as_far_as_possible():
    normals = np.array([[[1.0, -2.0, 0.0]]])
    q = project(np.zeros((1, 3)), np.ones(3), normals, np.array([[-10.0]]), np.full(3, -1.0), np.full(3, 1.0))
    assert_allclose(q, [[1.0, -1.0, 0.0]])


def test_rows_do_not_depend_on_one_another_and_stay_as_given():
    x, scale, normals, constants, low, high = random_problem(3, 3)
    X = np.stack((x, x + 1, x - 1))
    given = X.copy()
    many = project(X, scale**2, np.stack([normals] * 3), np.stack([constants] * 3), low, high)
    for k in range(3):
        alone = project(X[k][None], scale**2, normals[None], constants[None], low, high)
        assert_allclose(many[k], alone[0], rtol=1e-12)
    assert (given == X).all()
