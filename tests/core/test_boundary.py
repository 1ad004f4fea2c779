"""The space of points, the record of the nearest ones, and the search on networks where the answer is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_moons

from skrelu import DeepLogisticClassifier
from skrelu._core.boundary import BoundarySearch, Nearest, Space
from skrelu._core.network import score_rows
from skrelu._core.walk import first_crossing


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


def unbounded(scale):
    scale = np.asarray(scale, dtype=float)
    return Space(scale, np.full(len(scale), -np.inf), np.full(len(scale), np.inf))


def search(coefs, intercepts, rows, conditions, space):
    found = BoundarySearch(
        coefs, intercepts, rows, conditions, np.zeros(len(rows)), space, known=np.full(len(rows), np.inf)
    )
    found.run()
    return found


def to_the_other_side(scores):
    return -np.sign(scores)[:, :, np.newaxis]


def test_a_boundary_in_another_region():
    """f = |x| + |y| - 4: the boundary is a diamond, and the four regions are the quadrants."""
    coefs = [np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]]), np.ones((4, 1))]
    intercepts = [np.zeros(4), np.array([-4.0])]
    rows = np.array([[0.1, 0.0], [1.0, 1.0], [-3.0, 0.5], [-0.2, 9.0], [0.01, -0.02]])
    scores = score_rows(coefs, intercepts, rows)
    nearest = search(coefs, intercepts, rows, to_the_other_side(scores), unbounded([1.0, 1.0])).nearest
    x, y = np.abs(rows).T
    # To an edge, or to a corner where the projection onto the edge is beyond it.
    edge = np.abs(x + y - 4) / np.sqrt(2)
    corner = np.minimum(np.hypot(x - 4, y), np.hypot(x, y - 4))
    expected = np.where(np.abs(x - y) <= 4, edge, corner)
    assert_allclose(nearest.distances, expected, rtol=0.01)


@pytest.mark.parametrize("hidden", [(20,), (8, 8), (100,)])
def test_no_line_of_many_leads_to_a_much_nearer_point(hidden):
    X, y = make_moons(150, noise=0.2, random_state=0)
    model = DeepLogisticClassifier(hidden, alpha=0.01, standardize=True, random_state=0, early_stopping=False).fit(X, y)
    conditions = to_the_other_side(model.decision_function(X)[:, None])
    space = unbounded(model.feature_scale_)
    nearest = search(model.coefs_, model.intercepts_, X, conditions, space).nearest
    assert np.isfinite(nearest.distances).all()
    rng = np.random.RandomState(1)
    best = nearest.distances.copy()
    for _ in range(200):
        direction = rng.randn(*X.shape)
        direction /= space.distances(direction, 0)[:, None]
        t = first_crossing(
            model.coefs_, model.intercepts_, X, direction, conditions, np.zeros(len(X)), 1.0 * nearest.distances
        ).t
        best = np.fmin(best, t)
    ratio = nearest.distances / best
    assert ratio.max() < 1.5
    assert np.mean(ratio > 1.01) < 0.04


def test_other_rows_lead_across_a_flat_region():
    """A network that is constant around the row: only a line to a row of the other side finds the boundary."""
    coefs, intercepts = [np.array([[1.0], [0.0]]), np.array([[1.0]])], [np.array([-50.0]), np.array([-1.0])]
    rows = np.zeros((1, 2))
    found = BoundarySearch(
        coefs, intercepts, rows, np.ones((1, 1, 1)), np.zeros(1), unbounded([1.0, 1.0]), known=np.full(1, np.inf)
    )
    found.run()
    assert np.isinf(found.nearest.distances).all()
    found.run_longer([np.array([[80.0, 30.0]])])
    assert_allclose(found.nearest.points, [[51.0, 0.0]], rtol=1e-3, atol=1e-2)
