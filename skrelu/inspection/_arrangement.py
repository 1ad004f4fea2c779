"""The activation regions of a network in a rectangle of a plane, as exact polygons, and the lines between its labels.

In a convex polygon in which the same units of all earlier layers are active, the input of each unit of the next layer
is one affine function. So its zero line divides each polygon that it crosses in two. Layer after layer and unit after
unit, the rectangle is divided into the regions.

All polygons are in the coordinates (s, t) of the unit square, whatever the units of the columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skrelu._core.arrays import Array

_MAX_VALUES = 2**20  # of the affine functions of a block of polygons
_ON_THE_LINE = 1e-13  # of the square's side: how near to a line a vertex counts as one of its points
_ROUNDING = 4 * np.finfo(np.float64).eps  # of the terms of a sum


@dataclass(frozen=True, eq=False)
class Polygons:
    """Convex polygons, each with its vertices counter-clockwise.

    Attributes
    ----------
    points : ndarray of shape (n_points, 2)
        The vertices of the first polygon, then those of the second, and so on.
    starts : ndarray of shape (n_polygons,)
        The place of the first vertex of each polygon.
    """

    points: Array
    starts: Array

    @classmethod
    def unit_square(cls) -> "Polygons":
        return cls(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), np.zeros(1, dtype=np.intp))

    @classmethod
    def joined(cls, parts: Sequence["Polygons"]) -> "Polygons":
        counts = np.concatenate([part.counts for part in parts])
        return cls(np.concatenate([part.points for part in parts]), np.cumsum(counts) - counts)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, where: slice) -> "Polygons":
        starts = np.append(self.starts, len(self.points))
        first, last = starts[where.start], starts[min(where.stop, len(self))]
        return Polygons(self.points[first:last], self.starts[where] - first)

    @cached_property
    def counts(self) -> Array:
        """The number of vertices of each polygon."""
        return np.diff(self.starts, append=len(self.points))

    @cached_property
    def following(self) -> Array:
        """The place of the vertex after each vertex."""
        following = np.arange(1, len(self.points) + 1)
        following[self.starts + self.counts - 1] = self.starts
        return following

    def evaluate(self, functions: Array) -> Array:
        """Return the values at all vertices of one affine function for each polygon, of shape (n_polygons, 3)."""
        slope_s, slope_t, constant = np.repeat(functions, self.counts, axis=0).T
        return slope_s * self.points[:, 0] + slope_t * self.points[:, 1] + constant

    def areas(self) -> Array:
        """Return the area of each polygon."""
        arms = self.points - np.repeat(self.points[self.starts], self.counts, axis=0)
        following = arms[self.following]
        return np.add.reduceat(arms[:, 0] * following[:, 1] - arms[:, 1] * following[:, 0], self.starts) / 2

    def divide(self, values: Array, tolerance: Array) -> tuple["Polygons", Array, Array]:
        """Divide each polygon that the zero line of its function crosses.

        A vertex at which the function is within the tolerance lies on the line. So the parts of a polygon always
        fill it, also where a line passes through a vertex.

        Parameters
        ----------
        values : ndarray of shape (n_points,)
            The function of each polygon at its vertices.
        tolerance : ndarray of shape (n_polygons,)

        Returns
        -------
        polygons : Polygons
            All polygons in their order, of those divided the positive part; then their negative parts.
        divided : ndarray of int
            The numbers of the polygons that are divided.
        is_positive : ndarray of bool
            The sign of the function in each of the new polygons; where it is 0, False.
        """
        highest, lowest = np.maximum.reduceat(values, self.starts), np.minimum.reduceat(values, self.starts)
        is_divided = (highest > tolerance) & (lowest < -tolerance)
        is_positive = highest + lowest > 0
        if not is_divided.any():
            return self, np.zeros(0, dtype=np.intp), is_positive
        width, within = np.repeat(tolerance, self.counts), np.repeat(is_divided, self.counts)
        is_above, is_below = values > width, values < -width
        after = self.following
        is_cut = within & ((is_above & is_below[after]) | (is_below & is_above[after]))
        before, after = np.flatnonzero(is_cut), after[is_cut]
        fraction = values[before] / (values[before] - values[after])
        slots = np.empty((len(self.points), 2, 2))  # each vertex, and the cut of the edge that begins there
        slots[:, 0] = self.points
        slots[before, 1] = self.points[before] + fraction[:, np.newaxis] * (self.points[after] - self.points[before])
        parts = []
        for is_kept in (~(within & is_below), within & ~is_above):
            is_filled = np.column_stack((is_kept, is_cut))
            counts = np.add.reduceat(is_filled.sum(axis=1), self.starts)
            counts = counts[counts > 0]
            parts.append(Polygons(slots[is_filled], np.cumsum(counts) - counts))
        is_positive = np.concatenate((is_positive | is_divided, np.zeros(len(parts[1]), dtype=bool)))
        return Polygons.joined(parts), np.flatnonzero(is_divided), is_positive


class Regions(NamedTuple):
    """The activation regions in the unit square.

    Attributes
    ----------
    polygons : Polygons
    pattern : ndarray of shape (n_regions, n_bytes), uint8
        The pattern of each region, packed as in `skrelu._core.regions`.
    scores : ndarray of shape (n_regions, 3, n_outputs)
        The affine functions of the scores: their slopes by s and by t, and their values at s = t = 0.
    """

    polygons: Polygons
    pattern: Array
    scores: Array


class Borders(NamedTuple):
    """The line segments at which the label changes.

    Attributes
    ----------
    segments : ndarray of shape (n_segments, 2, 2)
        The two ends of each.
    labels : ndarray of shape (n_segments, 2)
        The numbers of the two labels whose scores are equal and largest, the smaller first.
    """

    segments: Array
    labels: Array


class Window(NamedTuple):
    """A rectangle in the plane of two columns, as the unit square with the coordinates (s, t).

    Attributes
    ----------
    chosen : sequence of two int
        The numbers of the two columns.
    corner : ndarray of shape (n_columns,)
        The row at s = t = 0, the lowest values of the two columns.
    width : ndarray of shape (2,)
        The range of the two columns.
    """

    chosen: Sequence[int]
    corner: Array
    width: Array

    @classmethod
    def around(cls, rows: Array, chosen: Sequence[int], row: Array, margin: float) -> "Window":
        """Return the window that shows the rows, in the plane through `row`; `margin` is a fraction of their range."""
        low, high = rows[:, chosen].min(axis=0), rows[:, chosen].max(axis=0)
        extent = high - low
        beyond = np.where(extent > 0, margin * extent, np.maximum(np.abs(high), 1) / 2)
        corner = row.copy()
        corner[chosen] = low - beyond
        return cls(chosen, corner, extent + 2 * beyond)

    @property
    def low(self) -> Array:
        return self.corner[self.chosen]

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The lowest and the highest value of the first column, then of the second."""
        (left, bottom), (right, top) = self.low.tolist(), (self.low + self.width).tolist()
        return left, right, bottom, top

    def place(self, points: Array) -> Array:
        """Return points (s, t) in the two columns."""
        return self.low + self.width * points

    def rows(self, points: Array) -> Array:
        """Return points (s, t) in all columns."""
        rows = np.tile(self.corner, (len(points), 1))
        rows[:, self.chosen] = self.place(points)
        return rows

    def restrict(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return the network as a function of (s, t)."""
        slopes = self.width[:, np.newaxis] * coefs[0][self.chosen]
        return [slopes, *coefs[1:]], [self.corner @ coefs[0] + intercepts[0], *intercepts[1:]]

    def models(self, scores: Array) -> tuple[Array, Array]:
        """Return coefficients by the two columns, and intercepts, from the `scores` of `Regions`."""
        coef = scores[:, :2].transpose(0, 2, 1) / self.width
        return coef, scores[:, 2] - coef @ self.low


@np.errstate(under="ignore")
def find_regions(coefs: Sequence[Array], intercepts: Sequence[Array]) -> Regions:
    """Return the activation regions in the unit square of a network of two inputs, in float64."""
    functions = np.concatenate((coefs[0], intercepts[0][np.newaxis]))[np.newaxis]
    size = np.abs(functions).sum(axis=1)
    found = list(_refine(coefs[1:], intercepts[1:], Polygons.unit_square(), np.zeros((1, 0), bool), functions, size))
    return Regions(
        Polygons.joined([polygons for polygons, _, _ in found]),
        np.packbits(np.concatenate([active for _, active, _ in found]), axis=1),
        np.concatenate([scores for _, _, scores in found]),
    )


def _refine(
    coefs: Sequence[Array],
    intercepts: Sequence[Array],
    polygons: Polygons,
    active: Array,
    functions: Array,
    size: Array,
) -> Iterator[tuple[Polygons, Array, Array]]:
    """Yield the regions in the given polygons, in blocks, with the active units of all layers and the scores.

    Parameters
    ----------
    coefs, intercepts : list of ndarray
        The layers above this one.
    polygons : Polygons
    active : ndarray of shape (n_polygons, n_units)
        The units of the layers below that are active.
    functions : ndarray of shape (n_polygons, 3, m_l)
        The inputs of this layer's units; if it is the last layer, the scores.
    size : ndarray of shape (n_polygons, m_l)
        The size of the terms that they are sums of.
    """
    if not coefs:
        yield polygons, active, functions
        return
    polygons, parents, is_positive = _divide_by_units(polygons, functions, size)
    n_block = max(_MAX_VALUES // (3 * max(coefs[0].shape)), 1)
    for first in range(0, len(polygons), n_block):
        block = slice(first, first + n_block)
        hidden = functions[parents[block]] * is_positive[block, np.newaxis]
        above = hidden @ coefs[0]
        above[:, 2] += intercepts[0]
        size = np.abs(hidden).sum(axis=1) @ np.abs(coefs[0]) + np.abs(intercepts[0])
        all_active = np.concatenate((active[parents[block]], is_positive[block]), axis=1)
        yield from _refine(coefs[1:], intercepts[1:], polygons[block], all_active, above, size)


def _divide_by_units(polygons: Polygons, functions: Array, size: Array) -> tuple[Polygons, Array, Array]:
    """Divide polygons by the zero lines of all units of a layer.

    Returns
    -------
    polygons : Polygons
    parents : ndarray of shape (n_polygons,)
        The number of the polygon that each is a part of.
    is_positive : ndarray of shape (n_polygons, m_l)
    """
    parents = np.arange(len(polygons))
    is_positive = np.zeros(size.shape, dtype=bool)
    for unit in range(size.shape[1]):
        own = functions[parents, :, unit]
        tolerance = _tolerance(own, size[parents, unit])
        polygons, divided, signs = polygons.divide(polygons.evaluate(own), tolerance)
        parents = np.concatenate((parents, parents[divided]))
        is_positive = np.concatenate((is_positive, is_positive[divided]))
        is_positive[:, unit] = signs
    return polygons, parents, is_positive


def _tolerance(functions: Array, size: Array) -> Array:
    """Return the values below which affine functions, of shape (n, 3), count as 0."""
    return _ON_THE_LINE * np.abs(functions[:, :2]).sum(axis=1) + _ROUNDING * size


@np.errstate(under="ignore")
def find_borders(polygons: Polygons, scores: Array) -> Borders:
    """Return the segments between labels: where two scores are equal, and none is larger.

    Where two labels have equal scores on both sides of a line the smaller one is predicted, as by `argmax`.

    Parameters
    ----------
    polygons : Polygons
        Regions in which the scores are affine functions.
    scores : ndarray of shape (n_regions, 3, n_labels)
        A score for each of at least two labels. For two classes, 0 and the score.
    """
    parents, labels = np.arange(len(polygons)), np.zeros(len(polygons), dtype=np.intp)
    for label in range(1, scores.shape[2]):
        gap, tolerance = _compare(scores, parents, np.full(len(parents), label), labels)
        polygons, divided, is_larger = polygons.divide(polygons.evaluate(gap), tolerance)
        parents = np.concatenate((parents, parents[divided]))
        labels = np.where(is_larger, label, np.concatenate((labels, labels[divided])))
    ends, pairs = [np.zeros((0, 2, 2))], [np.zeros((0, 2), dtype=np.intp)]
    owner = np.repeat(np.arange(len(polygons)), polygons.counts)
    for label in range(scores.shape[2] - 1):
        gap, tolerance = _compare(scores, parents, labels, np.full(len(parents), label))
        values = polygons.evaluate(gap)
        is_border = (labels > label) & (np.maximum.reduceat(values, polygons.starts) > tolerance)
        is_on_line = (np.abs(values) <= tolerance[owner]) & is_border[owner]
        edges = np.flatnonzero(is_on_line & is_on_line[polygons.following])
        ends.append(np.stack((polygons.points[edges], polygons.points[polygons.following[edges]]), axis=1))
        pairs.append(np.column_stack((np.full(len(edges), label), labels[owner[edges]])))
    return Borders(np.concatenate(ends), np.concatenate(pairs))


def _compare(scores: Array, parents: Array, larger: Array, smaller: Array) -> tuple[Array, Array]:
    """Return how much the score of one label exceeds that of another in each polygon, and the tolerance of that."""
    first, second = scores[parents, :, larger], scores[parents, :, smaller]
    gap = first - second
    return gap, _tolerance(gap, np.abs(first).sum(axis=1) + np.abs(second).sum(axis=1))
