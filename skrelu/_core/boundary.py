"""The nearest point of the decision boundary to each row, found from region to region.

Each step takes the linear model of one region, projects the row onto that model's boundary, and looks along the
straight line from the row to there for the first place where the conditions hold. So a point that is found is always
the first one on its line. The steps are

1. the row's own region; while nothing is found, the region of the projection, which is a step towards the boundary;
2. from a point found, its region, and the way to the projection halved while that is not nearer.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array
from skrelu._core.projection import project
from skrelu._core.regions import find_patterns, linear_models
from skrelu._core.walk import first_crossing

_MAX_STEPS = 50
_SHORT_STEP = 0.25  # of the way to a projection
_MAX_AXES = 16
_FEW_COLUMNS = 3  # few columns have many local minima
_N_LINES = {True: 128, False: 32}  # with few columns, and with more
_N_STARTS = 4  # of the search on from the lines: the nearest points on them
_REACH = 2.0  # how far lines are looked along, of the distance of the nearest point found
_LINE_LENGTH = 2.0  # in units of the scale; a line goes on to `_BEYOND` times that
_N_FRACTIONS = 6  # of the way to a projection: 1, 1/2, ..., 1/32
_MIN_GAIN = 1e-4  # of the distance, for a step to count
_ROUNDING = 1e-7  # of the distance, for a point to be a projection
_BEYOND = 4.0  # how far a line goes on beyond a projection, as the boundary bends


@dataclass(frozen=True)
class Space:
    """Where points may lie, and how far they are from one another.

    Attributes
    ----------
    scale : ndarray of shape (n_features,)
        The unit of each column in a distance; 0 for a column that must stay.
    low, high : ndarray of shape (n_features,)
        Infinite where a column has no bound.
    """

    scale: Array
    low: Array
    high: Array

    def inside(self, points: Array) -> Array:
        return np.clip(points, self.low, self.high)

    def distances(self, points: Array, rows: Array) -> Array:
        differences = points - rows
        np.divide(differences, self.scale, out=differences, where=self.scale > 0)
        return np.sqrt(np.square(differences).sum(axis=1))

    def ends(self, start: Array, direction: Array) -> Array:
        """Return how far lines stay within the bounds, at most `_BEYOND`."""
        room = np.full(start.shape, np.inf)
        limit = np.where(direction > 0, self.high, self.low)
        np.divide(limit - start, direction, out=room, where=direction != 0)
        return np.clip(room.min(axis=1), 0, _BEYOND)


@dataclass
class Nearest:
    """The nearest points found so far.

    Attributes
    ----------
    points : ndarray of shape (n_rows, n_features)
    distances : ndarray of shape (n_rows,)
        Infinite where nothing is found.
    is_own : ndarray of shape (n_rows,), bool
        Whether the point lies in the row's region, and is the row's projection onto the boundary of its linear model.
    """

    points: Array
    distances: Array
    is_own: Array

    @classmethod
    def none(cls, rows: Array) -> "Nearest":
        """Return that nothing is found for these rows."""
        return cls(np.full(rows.shape, np.nan), np.full(len(rows), np.inf), np.zeros(len(rows), dtype=bool))

    def keep(self, numbers: Array, other: "Nearest", margin: float = 0.0) -> Array:
        """Take those of another search for the rows `numbers` that are nearer by this part; return a mask of them."""
        nearer = other.distances < (1 - margin) * self.distances[numbers]
        where = numbers[nearer]
        self.points[where], self.distances[where] = other.points[nearer], other.distances[nearer]
        self.is_own[where] = other.is_own[nearer]
        return nearer


class BoundarySearch:
    """The search for points that meet conditions on the scores, from each of some rows.

    Parameters
    ----------
    coefs, intercepts : sequences of ndarray
        The network, in float64.
    rows : ndarray of shape (n_rows, n_features)
    conditions : ndarray of shape (n_rows, n_conditions, n_outputs)
        Each asks that its product with the scores is not less than the margin.
    margin : ndarray of shape (n_rows,)
        So small that it does not count, so that a line which only touches the boundary has no place on it.
    space : Space
    known : ndarray of shape (n_rows,)
        The distance of a point that is known already. Some lines are not followed farther than about that.
    """

    def __init__(
        self,
        coefs: Sequence[Array],
        intercepts: Sequence[Array],
        rows: Array,
        conditions: Array,
        margin: Array,
        space: Space,
        known: Array,
    ) -> None:
        self.coefs, self.intercepts = coefs, intercepts
        self.rows, self.conditions, self.margin, self.space = rows, conditions, margin, space
        self.known = known
        self.start = space.inside(rows)
        self._is_inside = (self.start == rows).all(axis=1)
        self.nearest = Nearest.none(rows)

    def run(self) -> None:
        """Search by full steps, then along lines of fixed directions."""
        numbers = np.arange(len(self.rows))
        self._approach(numbers, 1.0)
        self._look_around(numbers)

    def run_longer(self, others: list[Array]) -> None:
        """Search by short steps, then on the lines to given points: `others` has some for each row."""
        self._approach(np.arange(len(self.rows)), _SHORT_STEP)
        for number, points in enumerate(others):
            for point in points:
                self.run_towards(np.array([number]), point[np.newaxis])

    def run_towards(self, numbers: Array, points: Array) -> None:
        """Look on the lines from some rows to given points, and search on from what is found there."""
        self._refine(numbers[self.look_towards(numbers, points)])

    def look_towards(self, numbers: Array, points: Array) -> Array:
        """Look on the lines from some rows to given points; return where something nearer is found."""
        points = np.where(self.space.scale > 0, points, self.rows[numbers])
        return self._improve(numbers, self.space.inside(points), self.known[numbers])

    def _look_around(self, numbers: Array) -> None:
        """Look along the axes of the columns with the largest weights in the first layer, and along other lines."""
        weights = np.sqrt(np.square(self.coefs[0]).sum(axis=1)) * self.space.scale
        columns = np.argsort(-weights, kind="stable")[:_MAX_AXES]
        columns = columns[weights[columns] > 0]
        axes = np.eye(len(columns))
        n_lines = _N_LINES[len(columns) <= _FEW_COLUMNS]
        lines = np.random.RandomState(0).standard_normal((n_lines, len(columns)))
        lines = np.concatenate((axes, -axes, lines / np.linalg.norm(lines, axis=1, keepdims=True)))
        if not lines.size:
            return
        ways = np.zeros((len(lines), self.rows.shape[1]))
        ways[:, columns] = _LINE_LENGTH * lines * self.space.scale[columns]
        reach = _REACH * np.minimum(self.nearest.distances, self.known)
        distances = np.array([self._look(numbers, self.start + way, reach).distances for way in ways])
        order = distances.argsort(axis=0, kind="stable")
        for line in order[:_N_STARTS]:
            self._search_on(numbers, self.start + ways[line], reach)

    def _search_on(self, numbers: Array, targets: Array, reach: Array) -> None:
        """Search on from what is found on the lines to the targets, whatever is known."""
        search = copy(self)
        search.nearest = Nearest.none(self.rows)
        search._refine(numbers[search.nearest.keep(numbers, self._look(numbers, targets, reach))])
        self.nearest.keep(numbers, search.nearest, _MIN_GAIN)

    def _approach(self, searching: Array, step: float) -> None:
        """Go to the projection, or a part of the way, until a point is found; then search on from there."""
        at, rows, space = self.rows.copy(), self.rows, self.space
        is_found = np.zeros(len(at), dtype=bool)
        for _ in range(_MAX_STEPS):
            if not len(searching):
                break
            targets = self._project(searching, at[searching])
            crossed = self._improve(searching, targets)
            is_found[searching] |= crossed
            moved = space.distances(targets, at[searching]) > _MIN_GAIN * space.distances(targets, rows[searching])
            at[searching] += step * (targets - at[searching])
            searching = searching[moved & ~is_found[searching]]
        self._refine(np.flatnonzero(is_found))

    def _refine(self, searching: Array) -> None:
        """Project onto the boundary of the region of each point found, while that leads to a nearer one."""
        for _ in range(_MAX_STEPS):
            if not len(searching):
                break
            searching = searching[self._try(searching, self._project(searching, self.nearest.points[searching]))]

    def _project(self, numbers: Array, at: Array) -> Array:
        """Return the projections of rows onto the boundary of the linear models around the points `at`."""
        coef, intercept = linear_models(self.coefs, self.intercepts, self._patterns(at), 1)
        normals = self.conditions[numbers] @ coef
        constants = np.einsum("nck,nk->nc", self.conditions[numbers], intercept) - self.margin[numbers, np.newaxis]
        space = self.space
        return project(self.rows[numbers], np.square(space.scale), normals, constants, space.low, space.high)

    def _patterns(self, points: Array) -> Array:
        return find_patterns(self.coefs, self.intercepts, points, 1)

    def find_own(self) -> None:
        """Find the points that are projections onto the boundary of the row's own linear model, in its region."""
        found = np.flatnonzero(np.isfinite(self.nearest.distances))
        points, rows = self.nearest.points[found], self.rows[found]
        found = found[(self._patterns(points) == self._patterns(rows)).all(axis=1)]
        least = self.space.distances(self._project(found, self.rows[found]), self.rows[found])
        self.nearest.is_own[found] = self.nearest.distances[found] <= (1 + _ROUNDING) * least

    def _try(self, numbers: Array, targets: Array) -> Array:
        """Look towards the projections, and where that finds nothing nearer, towards points on the way to them."""
        gained = self._improve(numbers, targets)
        best = self.nearest.points[numbers]
        for k in range(1, _N_FRACTIONS):
            left = np.flatnonzero(~gained & np.isfinite(self.nearest.distances[numbers]))
            if not len(left):
                break
            points = best[left] + (targets[left] - best[left]) / 2**k
            gained[left] = self._improve(numbers[left], points)
        return gained

    def _improve(self, numbers: Array, targets: Array, known: Array | float = np.inf) -> Array:
        """Look on the lines to the targets and beyond; return where a point is found that is nearer."""
        found = self._look(numbers, targets, np.minimum(self.nearest.distances[numbers], known))
        return self.nearest.keep(numbers, found, _MIN_GAIN)

    def _look(self, numbers: Array, targets: Array, reach: Array) -> Nearest:
        """Return what is found on the lines to the targets and beyond, up to a distance."""
        start = self.start[numbers]
        direction = targets - start
        end = self.space.ends(start, direction)
        inside = self._is_inside[numbers]  # otherwise the distance is not that from the start
        with np.errstate(divide="ignore", invalid="ignore"):  # a target may be the start
            end[inside] = np.fmin(end, reach / self.space.distances(targets, start))[inside]
        crossing = first_crossing(
            self.coefs,
            self.intercepts,
            start,
            direction,
            self.conditions[numbers],
            self.margin[numbers],
            end,
        )
        points = self.space.inside(start + crossing.t[:, np.newaxis] * direction)
        distances = np.where(np.isnan(crossing.t), np.inf, self.space.distances(points, self.rows[numbers]))
        return Nearest(points, distances, np.zeros(len(points), dtype=bool))
