"""The polygons of the activation regions against plain forward passes over points of the plane."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.regions import find_patterns
from skrelu.inspection._arrangement import Polygons, Window, find_borders, find_regions

SIZES = [
    (2, 1),
    (2, 3),
    (2, 1, 1),
    (2, 12, 1),
    (2, 12, 10),
    (2, 8, 8, 1),
    (2, 10, 6, 3),
    (2, 6, 6, 6, 1),
    (2, 7, 5, 6, 10),
]
EDGE = 1e-7  # a point nearer to a zero of a unit than this, of the unit's slope, is near an edge


def random_network(sizes, seed, bias=0.5):
    """Return weights whose lines cross the unit square."""
    rng = np.random.default_rng(seed)
    coefs = [rng.normal(size=shape) for shape in pairwise(sizes)]
    intercepts = [bias * rng.normal(size=n) for n in sizes[1:]]
    intercepts[0] = intercepts[0] - coefs[0].sum(axis=0) * rng.uniform(size=sizes[1])
    return coefs, intercepts


def forward(coefs, intercepts, X):
    """Return the inputs of all hidden units and the scores, written out."""
    inputs, z = [np.zeros((len(X), 0))], X
    for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
        inputs.append(z @ coef + intercept)
        z = np.maximum(inputs[-1], 0)
    return np.concatenate(inputs, axis=1), z @ coefs[-1] + intercepts[-1]


def split(polygons):
    return np.split(polygons.points, polygons.starts[1:])


def grid(n):
    s, t = np.meshgrid((np.arange(n) + 0.437) / n, (np.arange(n) + 0.591) / n)
    return np.column_stack((s.ravel(), t.ravel()))


def contains(polygon, points, margin):
    """Return whether each point is in a convex polygon, or outside by no more than the margin."""
    inside = np.ones(len(points), dtype=bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        length = np.hypot(*(b - a))
        if length > 0:
            inside &= (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0]) >= -margin * length
    return inside


def check(coefs, intercepts, n_grid=40):
    """Check all that the regions of a network must be, and return them."""
    regions = find_regions(coefs, intercepts)
    polygons = split(regions.polygons)
    areas = regions.polygons.areas()
    assert (areas > -1e-15).all()
    assert areas.sum() == pytest.approx(1, rel=1e-12)
    assert len(np.unique(regions.pattern, axis=0)) == len(polygons)
    assert all(contains(polygon, polygon, 1e-9).all() for polygon in polygons)  # convex and counter-clockwise

    centroids = np.array([polygon.mean(axis=0) for polygon in polygons])
    is_wide = areas > 1e-9
    patterns = find_patterns(coefs, intercepts, centroids, 1)
    assert_array_equal(patterns[is_wide], regions.pattern[is_wide])
    _, scores = forward(coefs, intercepts, centroids)
    ours = np.einsum("nd,ndk->nk", np.column_stack((centroids, np.ones(len(centroids)))), regions.scores)
    assert_allclose(ours, scores, rtol=1e-9, atol=1e-9 * np.abs(scores).max())

    points = grid(n_grid)
    number = {bytes(pattern): number for number, pattern in enumerate(regions.pattern)}
    inputs, _ = forward(coefs, intercepts, points)
    is_clear = (np.abs(inputs) >= EDGE * np.abs(inputs).max(axis=0, initial=0)).all(axis=1)
    assert is_clear.mean() > 0.9
    points = points[is_clear]
    keys = [bytes(pattern) for pattern in find_patterns(coefs, intercepts, points, 1)]
    for key in set(keys):
        own = points[[other == key for other in keys]]
        assert contains(polygons[number[key]], own, 1e-9).all()
    return regions


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_regions_are_those_of_a_forward_pass(sizes, seed):
    check(*random_network(sizes, seed))


@pytest.mark.parametrize("seed", range(3))
def test_one_layer_has_as_many_regions_as_its_lines_make(seed):
    """1 + lines + crossings, for lines in general position."""
    (W, V), (b, c) = random_network((2, 30, 1), seed)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) @ W + b
    is_line = (corners.min(axis=0) < 0) & (corners.max(axis=0) > 0)
    lines = np.flatnonzero(is_line)
    n_crossings = 0
    for i, j in ((i, j) for i in lines for j in lines if i < j):
        point = np.linalg.solve(W[:, [i, j]].T, -b[[i, j]])
        n_crossings += bool(((point > 0) & (point < 1)).all())
    regions = find_regions((W, V), (b, c))
    assert n_crossings > 10
    assert len(regions.polygons) == 1 + len(lines) + n_crossings


def test_without_a_hidden_layer_there_is_one_square():
    regions = find_regions([np.array([[1.0], [2.0]])], [np.array([-1.0])])
    assert_array_equal(regions.polygons.points, Polygons.unit_square().points)
    assert regions.pattern.shape == (1, 0)
    assert_array_equal(regions.scores, [[[1.0], [2.0], [-1.0]]])


def test_lines_through_vertices_make_no_slivers():
    """Both diagonals, the middle lines, and the square's own sides: eight triangles."""
    W = np.array([[1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0], [-1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]])
    b = np.array([0.0, -1.0, -0.5, -0.5, 0.0, -1.0, -1.0])
    regions = check([W, np.ones((7, 1))], [b, np.zeros(1)])
    assert_allclose(regions.polygons.areas(), np.full(8, 1 / 8), rtol=1e-12)


def test_many_lines_through_one_point_make_no_slivers():
    angles = np.pi * (np.arange(40) + 0.5) / 40
    W = np.stack((np.cos(angles), np.sin(angles)))
    center = np.array([0.3137, 0.7219])
    regions = find_regions([W, np.ones((40, 1))], [-center @ W, np.zeros(1)])
    assert len(regions.polygons) == 80
    assert regions.polygons.areas().sum() == pytest.approx(1, rel=1e-12)


def test_equal_units_and_scaled_ones_divide_once():
    w, b = np.array([[0.7], [-0.4]]), -0.11
    scales = np.array([1.0, 1.0, -1.0, 3.0, -1 / 3, 1e-9, 1e200, 1e-200])
    regions = find_regions([w * scales, np.ones((8, 1))], [b * scales, np.zeros(1)])
    assert len(regions.polygons) == 2
    assert_array_equal(np.unpackbits(regions.pattern[0], count=8), scales > 0)
    assert_array_equal(np.unpackbits(regions.pattern[1], count=8), scales < 0)


def test_units_that_are_constant_divide_nothing():
    W = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    b = np.array([2.0, 0.0, -3.0, -0.25])
    regions = check([W, np.ones((4, 1))], [b, np.zeros(1)])
    assert sorted(np.unpackbits(regions.pattern, axis=1, count=4).tolist()) == [[1, 0, 0, 0], [1, 0, 0, 1]]


def test_where_a_whole_layer_is_dead_the_next_one_is_constant():
    coefs, intercepts = random_network((2, 5, 4, 1), 3)
    intercepts[0] = -np.abs(coefs[0]).sum(axis=0) - 1
    assert len(check(coefs, intercepts).polygons) == 1


@pytest.mark.parametrize("seed", range(6))
def test_two_units_that_cancel_are_constant_in_the_next_layer(seed):
    rng = np.random.default_rng(seed)
    W, V = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    b = np.array([3.0, 3.0, 3.0])  # all active
    regions = find_regions(
        [np.hstack((W, W)), np.vstack((V, -V)), np.ones((4, 1))], [np.tile(b, 2), np.zeros(4), [0.0]]
    )
    assert len(regions.polygons) == len(find_regions([W, np.ones((3, 1))], [b, np.zeros(1)]).polygons)


@pytest.mark.parametrize("units", [(1e9, 1e-6), (1e-6, 1e9), (1e12, 1e12)])
def test_units_of_the_columns_do_not_matter(units):
    coefs, intercepts = random_network((2, 10, 6, 2), 5)
    expected = find_regions(coefs, intercepts)
    low, width = np.array([3.0, -2.0]) * units, np.array(units)
    # The same network in columns low + width * (s, t).
    far = [coefs[0] / width[:, np.newaxis], *coefs[1:]], [intercepts[0] - (low / width) @ coefs[0], *intercepts[1:]]
    regions = find_regions(*Window([0, 1], low, width).restrict(*far))
    assert_array_equal(regions.pattern, expected.pattern)
    assert_allclose(regions.polygons.points, expected.polygons.points, atol=1e-9)
    assert_allclose(regions.scores, expected.scores, rtol=1e-9, atol=1e-9)


def test_a_window_and_its_plane():
    coefs, intercepts = random_network((6, 5, 3), 1)
    rng = np.random.default_rng(0)
    rows, row, points = rng.normal(size=(9, 6)), rng.normal(size=6), rng.uniform(size=(20, 2))
    window = Window.around(rows, [4, 1], row, 0.25)
    low, high = rows.min(axis=0), rows.max(axis=0)
    assert_allclose(window.limits[:2], [low[4] - (high - low)[4] / 4, high[4] + (high - low)[4] / 4])
    assert_allclose(window.limits[2:], [low[1] - (high - low)[1] / 4, high[1] + (high - low)[1] / 4])
    placed = np.tile(row, (20, 1))
    placed[:, 4] = window.limits[0] + points[:, 0] * (window.limits[1] - window.limits[0])
    placed[:, 1] = window.limits[2] + points[:, 1] * (window.limits[3] - window.limits[2])
    assert_allclose(window.rows(points), placed)
    assert_allclose(window.place(points), placed[:, [4, 1]])
    ours = forward(*window.restrict(coefs, intercepts), points)
    for found, expected in zip(ours, forward(coefs, intercepts, placed), strict=True):
        assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_column_with_one_value_has_a_window():
    window = Window.around(np.array([[3.0, -8.0, 0.0]]), [1, 2], np.zeros(3), 0.1)
    assert window.limits == (-12.0, -4.0, -0.5, 0.5)


def test_models_in_the_units_of_the_columns():
    window = Window([2, 0], np.array([5.0, 0.0, -3.0]), np.array([4.0, 10.0]))
    rng = np.random.default_rng(0)
    scores, points = rng.normal(size=(1, 3, 2)), rng.uniform(size=(7, 2))
    coef, intercept = window.models(scores)
    assert_allclose(window.place(points) @ coef[0].T + intercept[0], np.column_stack((points, np.ones(7))) @ scores[0])


def test_blocks_change_nothing(monkeypatch):
    network = random_network((2, 12, 8, 5, 3), 2)
    expected = find_regions(*network)
    monkeypatch.setattr("skrelu.inspection._arrangement._MAX_VALUES", 200)
    regions = find_regions(*network)
    order, others = (np.lexsort(found.pattern.T) for found in (regions, expected))
    assert_array_equal(regions.pattern[order], expected.pattern[others])
    assert_allclose(regions.scores[order], expected.scores[others], rtol=1e-12, atol=1e-12)
    assert_allclose(regions.polygons.areas()[order], expected.polygons.areas()[others], atol=1e-15)


def labels_and_borders(coefs, intercepts):
    """Return a function from points to labels, and the borders, of classes."""
    regions = find_regions(coefs, intercepts)
    scores = regions.scores
    if scores.shape[2] == 1:
        scores = np.concatenate((np.zeros_like(scores), scores), axis=2)

    def predict(points):
        found = forward(coefs, intercepts, points)[1]
        return (found[:, 0] > 0).astype(int) if found.shape[1] == 1 else found.argmax(axis=1)

    return predict, find_borders(regions.polygons, scores)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_borders_are_where_the_label_changes(sizes, seed):
    coefs, intercepts = random_network(sizes, seed)
    # A border must be there in most cases: the scores at two points are made opposite.
    _, ends = forward(coefs, intercepts, np.array([[0.3, 0.4], [0.8, 0.6]]))
    intercepts[-1] = intercepts[-1] - ends.mean(axis=0)
    predict, (segments, labels) = labels_and_borders(coefs, intercepts)
    assert (labels[:, 0] < labels[:, 1]).all()

    # Each segment has its two labels on its sides.
    length = np.hypot(*(segments[:, 1] - segments[:, 0]).T)
    long = length > 1e-5
    middle = segments[long].mean(axis=1)
    across = (segments[long, 1] - segments[long, 0])[:, ::-1] * [1, -1] / length[long, np.newaxis]
    sides = np.stack([predict(middle + step * across) for step in (1e-8, -1e-8)], axis=1)
    assert_array_equal(np.sort(sides, axis=1), labels[long])

    # Each change between neighbours on a grid crosses a segment, and equal neighbours cross an even number.
    n = 30
    points = grid(n).reshape(n, n, 2)
    n_changes = 0
    for start, stop in ((points[:, :-1], points[:, 1:]), (points[:-1], points[1:])):
        start, stop = start.reshape(-1, 2), stop.reshape(-1, 2)
        is_change = predict(start) != predict(stop)
        crossings = count_crossings(start, stop, segments)
        n_changes += is_change.sum()
        assert (crossings[is_change] > 0).all()
        if coefs[-1].shape[1] == 1:
            assert_array_equal(crossings % 2, is_change)
    assert n_changes or sizes == (2, 1, 1)  # one unit, which may be dead


def count_crossings(start, stop, segments):
    """Return how many segments each of the lines from `start` to `stop` crosses."""
    a, b = segments[:, 0], segments[:, 1]

    def side(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    start, stop = start[:, np.newaxis], stop[:, np.newaxis]
    is_crossed = (side(start, stop, a) > 0) != (side(start, stop, b) > 0)
    return (is_crossed & ((side(a, b, start) > 0) != (side(a, b, stop) > 0))).sum(axis=1)


def test_three_classes_meet_in_a_point():
    """Scores 0, s - 1/2 and t - 1/2: three half-lines from the middle."""
    scores = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, -0.5, -0.5]])[np.newaxis]
    segments, labels = find_borders(Polygons.unit_square(), scores)
    ends = {tuple(pair): sorted(map(tuple, segment)) for pair, segment in zip(labels.tolist(), segments, strict=True)}
    assert ends == {
        (0, 1): [(0.5, 0.0), (0.5, 0.5)],
        (0, 2): [(0.0, 0.5), (0.5, 0.5)],
        (1, 2): [(0.5, 0.5), (1.0, 1.0)],
    }


def test_a_border_on_the_line_of_a_unit_is_found_once():
    """The score relu(s - 1/2) - relu(1/2 - s) is 0 where both units are."""
    network = [np.array([[1.0, -1.0], [0.0, 0.0]]), np.array([[1.0], [-1.0]])], [np.array([-0.5, 0.5]), np.zeros(1)]
    _, (segments, labels) = labels_and_borders(*network)
    assert labels.tolist() == [[0, 1]]
    assert sorted(segments[0].tolist()) == [[0.5, 0.0], [0.5, 1.0]]


def test_a_flat_score_of_zero_has_its_border_where_it_begins_to_rise():
    network = [np.array([[1.0], [0.0]]), np.array([[1.0]])], [np.array([-0.5]), np.zeros(1)]
    _, (segments, _) = labels_and_borders(*network)
    assert [sorted(segment) for segment in segments.tolist()] == [[[0.5, 0.0], [0.5, 1.0]]]


def test_one_label_everywhere_has_no_border():
    scores = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 5.0]])[np.newaxis]
    segments, labels = find_borders(Polygons.unit_square(), scores)
    assert segments.shape == (0, 2, 2)
    assert labels.shape == (0, 2)


def test_a_hundred_units_take_little_time():
    """A few thousand polygons; the time is measured elsewhere, this ends at all."""
    regions = find_regions(*random_network((2, 100, 1), 0))
    assert len(regions.polygons) > 1000
    assert regions.polygons.areas().sum() == pytest.approx(1, rel=1e-9)
