"""Straight lines through activation regions, against a dense scan of the line."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.regions import find_patterns
from skrelu._core.walk import first_crossing


def scores_of(coefs, intercepts, X):
    for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
        X = np.maximum(X @ coef + intercept, 0)
    return X @ coefs[-1] + intercepts[-1]


def random_network(rng, sizes):
    coefs = [rng.randn(a, b) for a, b in pairwise(sizes)]
    intercepts = [0.5 * rng.randn(b) for b in sizes[1:]]
    if len(sizes) > 2:
        coefs[0][:, 0], intercepts[0][0] = 0, -1.0  # never active
    return coefs, intercepts


def scan(coefs, intercepts, start, direction, conditions, margin, end, n=20001):
    """Return the first t where all conditions hold, by a grid and bisection, or NaN."""

    def least(t):
        points = start + np.atleast_1d(t)[:, None] * direction
        return (scores_of(coefs, intercepts, points) @ conditions.T).min(axis=1) - margin

    grid = np.linspace(0, end, n)
    met = np.flatnonzero(least(grid) >= 0)
    if not len(met):
        return np.nan
    if met[0] == 0:
        return 0.0
    low, high = grid[met[0] - 1], grid[met[0]]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if least(middle)[0] >= 0 else (middle, high)
    return high


@pytest.mark.parametrize("n_conditions", [1, 3])
@pytest.mark.parametrize("sizes", [(3, 1), (3, 8, 1), (3, 8, 6, 4), (2, 5, 5, 5, 10)])
def test_first_crossing_equals_a_dense_scan(sizes, n_conditions):
    rng = np.random.RandomState(len(sizes))
    coefs, intercepts = random_network(rng, sizes)
    n = 12
    start, direction = rng.randn(n, sizes[0]), rng.randn(n, sizes[0])
    if len(sizes) > 2:  # some units are exactly zero at the start of a line, or all along it
        start[0] = -intercepts[0][1] * coefs[0][:, 1] / np.square(coefs[0][:, 1]).sum()
        direction[1] -= (direction[1] @ coefs[0][:, 2]) / np.square(coefs[0][:, 2]).sum() * coefs[0][:, 2]
    conditions = rng.randn(n, n_conditions, sizes[-1])
    margin = np.where(np.arange(n) % 2, 0.3, 1e-9)
    found = first_crossing(coefs, intercepts, start, direction, conditions, margin, np.full(n, 4.0))
    expected = [scan(coefs, intercepts, *line, 4.0) for line in zip(start, direction, conditions, margin, strict=True)]
    assert np.isfinite(expected).any()
    assert_allclose(found.t, expected, rtol=1e-7, atol=1e-9)


def test_number_of_changes_is_that_of_patterns_along_the_line():
    rng = np.random.RandomState(0)
    coefs, intercepts = random_network(rng, (3, 6, 5, 1))
    start, direction = rng.randn(8, 3), rng.randn(8, 3)
    never = np.full(8, 1e9)
    found = first_crossing(coefs, intercepts, start, direction, np.ones((8, 1, 1)), never, np.full(8, 3.0))
    assert np.isnan(found.t).all()
    for k in range(8):
        points = start[k] + np.linspace(0, 3, 200001)[:, None] * direction[k]
        patterns = find_patterns(coefs, intercepts, points, 1)
        assert found.n_changes[k] == (patterns[1:] != patterns[:-1]).any(axis=1).sum()
    assert found.n_changes.max() > 3


def test_line_without_end_finds_what_is_far_and_nothing_where_the_score_does_not_rise():
    coefs, intercepts = [np.array([[1.0, -1.0]]), np.array([[1.0], [-1.0]])], [np.zeros(2), np.array([-1000.0])]
    start, direction = np.zeros((3, 1)), np.array([[1.0], [-1.0], [0.0]])
    found = first_crossing(coefs, intercepts, start, direction, np.ones((3, 1, 1)), np.zeros(3), np.full(3, np.inf))
    assert_array_equal(found.t, [1000.0, np.nan, np.nan])
