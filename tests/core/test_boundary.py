"""The space of points and the record of the nearest ones; the search itself is tested in inspection/."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.boundary import BoundarySearch, Nearest, Space


def test_space():
    space = Space(np.array([2.0, 1.0, 0.0]), np.array([-1.0, -np.inf, -np.inf]), np.array([1.0, np.inf, np.inf]))
    rows = np.array([[0.0, 0.0, 5.0], [3.0, 1.0, 5.0]])
    assert_array_equal(space.inside(rows), [[0, 0, 5], [1, 1, 5]])
    assert_allclose(space.distances(rows + np.array([2.0, 2.0, 0.0]), rows), np.sqrt(5))
    assert_allclose(space.ends(np.zeros((3, 3)), np.array([[0.5, 1, 0], [-0.1, 0, 0], [0, 1, 0]])), [2, 4, 4])


def test_keeps_what_is_nearer_by_the_margin():
    nearest = Nearest.none(np.zeros((2, 1)))
    numbers = np.arange(2)
    first = Nearest(np.ones((2, 1)), np.array([1.0, np.inf]), np.array([True, False]))
    assert_array_equal(nearest.keep(numbers, first, 0.1), [True, False])
    second = Nearest(np.full((2, 1), 0.95), np.full(2, 0.95), np.zeros(2, dtype=bool))
    assert_array_equal(nearest.keep(numbers, second, 0.1), [False, True])
    assert_array_equal(nearest.is_own, [True, False])


def test_known_distance_does_not_hide_what_is_nearer():
    rng = np.random.RandomState(0)
    coefs, intercepts = [rng.randn(2, 20), rng.randn(20, 1)], [rng.randn(20), rng.randn(1)]
    rows = rng.randn(40, 2)
    scores = np.maximum(rows @ coefs[0] + intercepts[0], 0) @ coefs[1]
    intercepts[1] = -np.median(scores, axis=0)  # half of the rows on either side
    scores += intercepts[1]
    conditions = -np.sign(scores)[:, :, np.newaxis]
    space = Space(np.ones(2), np.full(2, -np.inf), np.full(2, np.inf))

    def search(known):
        found = BoundarySearch(coefs, intercepts, rows, conditions, np.full(40, 1e-9), space, known)
        found.run()
        return found.nearest.distances

    free = search(np.full(40, np.inf))
    assert np.isfinite(free).all()
    assert_allclose(search(free * 1.01), free, rtol=1e-3)
