"""The nearest point at which the label of a row changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skrelu._core.arrays import Array, MatrixLike
from skrelu._core.boundary import BoundarySearch, Nearest, Space
from skrelu._core.scores import compute_scores
from skrelu._core.threads import Team, count_threads
from skrelu.inspection._explained import Columns, Explained, check_finite
from skrelu.inspection._space import Table, read_space

_BLOCK_ROWS = 256
_N_OTHER_ROWS = 5  # rows with the wanted label that are tried where the search finds nothing
_MARGIN = 1e-9  # of a row's own way in the scores: how far beyond the boundary a point lies
_SHORTEST = 1e-12  # a distance that counts as 0, in units of the scale
_NUDGES = (
    0.0,
    *10.0 ** np.arange(-12, -3),
)  # steps beyond a point until `predict` says the label: units, or its distance
_FAR = (1.01, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)  # multiples of the distance that are tried after these
_N_LOOKS = 32  # on the way to a point, if the boundary is not where scores change their order
_N_HALVINGS = 30
_NEAR = 1e-3  # of the distance


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """The nearest points with another label.

    Attributes
    ----------
    points : {ndarray, DataFrame} of shape (n_samples, n_features)
        Rows like those of X, as a data frame if X is one; NaN in the columns that may change where none is found.
    label : ndarray of shape (n_samples,) or (n_samples, n_labels)
        What the classifier predicts for each point; where none is found, for the row itself.
    distance : ndarray of shape (n_samples,)
        From the row to the point, in the units of `scale`; NaN where none is found.
    is_found : ndarray of shape (n_samples,), bool
        Whether there is a point. Its label has been checked by `predict`.
    is_within_region : ndarray of shape (n_samples,), bool
        Whether the point lies in the row's own activation region, and is the nearest point, within the bounds, on the
        decision boundary of the row's linear model: exactly, by a projection. Otherwise the search has found it.
    """

    points: Any
    label: Array
    distance: Array
    is_found: Array
    is_within_region: Array


def nearest_counterfactual(
    classifier: Any,
    X: MatrixLike,
    *,
    target: Any = None,
    bounds: Any = None,
    fixed: Any = None,
    scale: str | ArrayLike = "standardized",
    columns: Columns = "auto",
) -> Counterfactuals:
    """Find for each row the nearest point at which the classifier predicts another label.

    In its own region a row's linear model gives the nearest point of the decision boundary by a projection. If this
    point lies outside the region, the search goes on from region to region: it projects the row onto the boundary of
    the next region's model, and walks along the straight line to it, where every change of region and of label is a
    quotient. So no point of the straight line from a row to its counterfactual has the other label earlier. Whether
    another point is nearer, in a direction that the search did not take, is not certain outside the own region. The
    line of a row outside the bounds begins at its nearest point inside.

    Where nothing is found, the search also looks towards rows of X that have the wanted label. So these rows, and the
    unit 'standardized' where it is the deviation in X, depend on the other rows of X.

    A point lies beyond the boundary by about 1e-9 of the difference of scores to be crossed. Rounding it, also to
    float32, may undo the change: round away from the row, or ask `predict`.

    With predictive='laplace' and three or more classes, `predict` compares moderated scores, and their boundary is not
    linear in parts. A point is then moved along its line to where `predict` first says the label. `is_within_region` is
    False if that is more than 0.1% of the way.

    Parameters
    ----------
    classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
        A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of these.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as `classifier.predict` takes them.
    target : label or array-like of shape (n_samples,), default=None
        The label to reach, for all rows or for each; None means any other than the predicted one. A row that has the
        label already is its own counterfactual, at distance 0. For multilabel targets the number of the label that is
        to change.
    bounds : dict or sequence of (low, high), default=None
        The range of each column, None for no bound: a dictionary by the name or the number of the column, or one pair
        for each column. A row outside is first moved to its nearest point inside. Columns that are fixed have no
        bounds.
    fixed : sequence of str or int, or mask of shape (n_features,), default=None
        The columns that must not change. All other columns that enter the network as numbers may take any value, also
        columns of integers and booleans: fix those for which that has no meaning. Columns of an encoder, or of another
        step that is not linear, never change.
    scale : {'standardized', 'given'}, dict or array-like of shape (n_features,), default='standardized'
        The unit of each column in a distance. 'standardized': its standard deviation among the training rows
        (`feature_scale_`); after a StandardScaler or RobustScaler the scaler's unit; if the classifier knows neither,
        the standard deviation in X, and a column that is constant there stays; for a single row 1, with a warning.
        'given': 1.
    columns : {'auto', 'original', 'transformed'}, default='auto'
        For a pipeline, the columns that change. 'auto' and 'original': the columns of X that enter as numbers, through
        linear steps. 'transformed': the features that the last step gets; the points are then rows of these features,
        to which no row of X may belong.

    Returns
    -------
    counterfactuals : Counterfactuals
        With the attributes `points`, `label`, `distance`, `is_found` and `is_within_region`.

    Raises
    ------
    TypeError, ValueError
        If the classifier is of another kind, or if X, a label, a bound, a name or a unit does not fit.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    local_linear_models : The linear model of each row.

    References
    ----------
    S. Wachter, B. Mittelstadt and C. Russell, 'Counterfactual explanations without opening the black box', Harvard
    Journal of Law & Technology 31, 2018.

    F. Croce and M. Hein, 'Minimally distorted adversarial examples with a fast adaptive boundary attack', ICML 2020, go
    to the boundary by projections too.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import nearest_counterfactual
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> found = nearest_counterfactual(classifier, X[:5], fixed=[0, 1])
    >>> bool(found.is_found.all())
    True
    >>> bool((classifier.predict(found.points) != classifier.predict(X[:5])).all())
    True
    >>> bool((found.points[:, :2] == X[:5, :2]).all())
    True
    """
    explained = Explained.of(classifier, columns)
    if columns == "auto" and explained.columns == "transformed":
        Explained.of(classifier, "original")  # says why the columns of X cannot change
    table = Table.of(explained, X)
    space = read_space(explained, table.rows, bounds, fixed, scale)
    before = table.predict(table.given)
    goal = _Goal(before, _read_target(explained, target, len(before)), explained.network.labels.classes)
    coefs, intercepts, _ = explained.inputs
    scores = compute_scores(coefs, intercepts, table.rows, explained.n_jobs)
    check_finite(scores, table.rows)
    margin = _least_margin(coefs, space)
    nearest = Nearest.none(table.rows)
    for stage in _Stage:
        for numbers, conditions in _conditions(explained, goal, scores.shape[1]):
            _Search(explained, table.rows, scores, margin, goal, numbers, conditions, space).run(nearest, stage)
    stays = goal.is_reached(before, np.arange(len(before))) & (space.inside(table.rows) == table.rows).all(axis=1)
    nearest.points[stays], nearest.is_own[stays] = table.rows[stays], True
    points, label, is_near = _check_labels(table, space, goal, nearest.points, _is_curved(explained))
    is_found = np.asarray(np.isfinite(points).all(axis=1))
    distance = np.where(is_found, space.distances(points, table.rows), np.nan)
    return Counterfactuals(table.rebuild(points), label, distance, is_found, is_found & is_near & nearest.is_own)


@dataclass(frozen=True, eq=False)
class _Goal:
    """The labels to reach.

    Attributes
    ----------
    before : ndarray of shape (n_samples,) or (n_samples, n_labels)
        The predicted labels.
    wanted : ndarray of shape (n_samples,) or None
        The position of the wanted label in `classes`, or of the label that is to change; None for any change.
    classes : ndarray
    """

    before: Array
    wanted: Array | None
    classes: Array

    def is_reached(self, label: Array, numbers: Array) -> Array:
        """Return whether these labels of some rows are what is wanted."""
        before = self.before[numbers]
        if self.wanted is None:
            return np.asarray((label != before) if label.ndim == 1 else (label != before).any(axis=1))
        wanted = self.wanted[numbers]
        if label.ndim == 2:
            return np.asarray((label != before)[np.arange(len(numbers)), wanted])
        return np.asarray(label == self.classes[wanted])


def _least_margin(coefs: Sequence[Array], space: Space) -> float:
    """Return a margin for rows on the boundary: the most that scores can change over a distance that counts as 0."""
    scale = np.where(np.isfinite(space.scale), space.scale, 0)[:, np.newaxis]
    return float(_SHORTEST * np.prod([np.linalg.norm(coef, 2) for coef in (scale * coefs[0], *coefs[1:])]))


def _is_curved(explained: Explained) -> bool:
    """Return whether `predict` compares moderated scores, whose order changes elsewhere than that of the scores."""
    return explained.network.is_relative and getattr(explained.classifier, "predictive", None) == "laplace"


def _read_target(explained: Explained, target: Any, n_rows: int) -> Array | None:
    """Return the position of the wanted label of each row in `classes_`, or of the label that is to change."""
    if target is None:
        return None
    classes = explained.network.labels.classes
    found = np.asarray(target)
    if found.ndim > 1 or (found.ndim == 1 and len(found) != n_rows):
        raise ValueError(f"target must be one label or one for each of the {n_rows} rows, got shape {found.shape}.")
    found = np.broadcast_to(found, n_rows)
    positions = np.array([np.flatnonzero(classes == label)[:1] for label in found.tolist()], dtype=object)
    unknown = [label for label, position in zip(found.tolist(), positions, strict=True) if not len(position)]
    if unknown:
        raise ValueError(f"target must be among the labels {classes.tolist()}, got {unknown[0]!r}.")
    return np.concatenate(positions).astype(np.intp)


def _conditions(explained: Explained, goal: _Goal, n_outputs: int) -> Iterator[tuple[Array, Array]]:
    """Yield conditions on the scores under which the label changes, and the rows that they are for.

    A condition is a vector whose product with the scores must not be negative.
    """
    before, wanted, n_rows = goal.before, goal.wanted, len(goal.before)
    numbers, unit = np.arange(n_rows), np.eye(n_outputs)
    if before.ndim == 2:
        for k in range(n_outputs) if wanted is None else np.unique(wanted):
            rows = numbers if wanted is None else np.flatnonzero(wanted == k)
            sign = np.where(before[rows, k] > 0, -1.0, 1.0)
            yield rows, sign[:, np.newaxis, np.newaxis] * unit[k]
        return
    position = (before[:, np.newaxis] == goal.classes).argmax(axis=1)
    if n_outputs == 1:
        sign = 1.0 - 2 * position if wanted is None else 2.0 * wanted - 1
        yield numbers, sign[:, np.newaxis, np.newaxis]
    elif wanted is None:
        for k in range(n_outputs):
            rows = np.flatnonzero(position != k)
            yield rows, (unit[k] - unit[position[rows]])[:, np.newaxis]
    else:
        for k in np.unique(wanted):
            rows = np.flatnonzero(wanted == k)
            yield rows, np.broadcast_to(unit[k] - np.delete(unit, k, axis=0), (len(rows), n_outputs - 1, n_outputs))


class _Stage(Enum):
    """The parts of a search; each goes through all labels that may be reached."""

    FIRST = "from each row"
    LONGER = "where nothing is found"
    TOWARDS_FOUND = "on the lines to what is found, where another label may come first"
    LAST_LOOK = "once more on these lines, and not beyond what is found there"


@dataclass(frozen=True, eq=False)
class _Search:
    """The search for points that meet one set of conditions, in blocks of rows."""

    explained: Explained
    rows: Array
    scores: Array
    margin: float
    goal: _Goal
    numbers: Array
    conditions: Array
    space: Space

    def run(self, nearest: Nearest, stage: _Stage) -> None:
        """Keep the points that are nearer than what is known."""
        coefs, intercepts, _ = self.explained.inputs
        chosen = np.ones(len(self.numbers), dtype=bool)
        if stage is not _Stage.FIRST:
            chosen = np.isinf(nearest.distances[self.numbers]) == (stage is _Stage.LONGER)
        numbers, conditions = self.numbers[chosen], self.conditions[chosen]
        value = np.einsum("nck,nk->nc", conditions, self.scores[numbers]).min(axis=1)
        # Where rounding, or moderated scores, hide that a condition is met already, it must be met by more.
        is_hidden = (value > 0) & ~self.goal.is_reached(self.goal.before[numbers], numbers)
        margin = np.where(is_hidden, 2 * value, _MARGIN * np.abs(value)) + self.margin

        def compute(member: int, block: int) -> None:
            where = slice(block * _BLOCK_ROWS, (block + 1) * _BLOCK_ROWS)
            part = numbers[where]
            search = BoundarySearch(
                coefs,
                intercepts,
                self.rows[part],
                conditions[where],
                margin[where],
                self.space,
                known=nearest.distances[part],
            )
            if stage is _Stage.FIRST:
                search.run()
            elif stage is _Stage.LONGER:
                search.run_longer([self._others(*pair) for pair in zip(part, conditions[where], strict=True)])
            elif stage is _Stage.TOWARDS_FOUND:
                search.run_towards(np.arange(len(part)), nearest.points[part])
            else:
                search.look_towards(np.arange(len(part)), nearest.points[part])
            search.find_own()
            nearest.keep(part, search.nearest)

        with Team(count_threads(self.explained.n_jobs)) as team:
            team.each_block(-(-len(numbers) // _BLOCK_ROWS), compute)

    def _others(self, number: int, conditions: Array) -> Array:
        """Return the nearest rows that meet the conditions."""
        others = self.rows[(self.scores @ conditions.T >= 0).all(axis=1)]
        order = np.argsort(self.space.distances(others, self.rows[number]), kind="stable")
        return others[order[:_N_OTHER_ROWS]]


def _check_labels(
    table: Table, space: Space, goal: _Goal, points: Array, is_curved: bool
) -> tuple[Array, Array, Array]:
    """Move points along their lines to where `predict` says a label that is wanted; NaN where it never does.

    Returns
    -------
    points, label : ndarray
    is_near : ndarray of shape (n_samples,), bool
        Whether a point has moved by no more than rounding explains.
    """
    start = space.inside(table.rows)
    way = points - start
    moved, label = np.full(points.shape, np.nan), goal.before.copy()
    left = np.flatnonzero(np.isfinite(points).all(axis=1))

    def look(numbers: Array, t: Array) -> Array:
        """Take the points at t where their labels are right; return where these are."""
        tried = points[numbers] + (t - 1)[:, np.newaxis] * way[numbers]
        tried = np.where(space.scale > 0, space.inside(tried), table.rows[numbers])
        found = table.predict(table.rebuild(tried, numbers))
        is_right = goal.is_reached(found, numbers)
        moved[numbers[is_right]], label[numbers[is_right]] = tried[is_right], found[is_right]
        return is_right

    length = space.distances(points, start)
    nudges = np.outer(_NUDGES, 1 / np.minimum(np.where(length > 0, length, 1), 1))
    first = np.arange(1, _N_LOOKS) / _N_LOOKS if is_curved else np.array([])
    times = [*(np.full(len(points), t) for t in first), *(1 + nudges)]
    times += [np.full(len(points), t) for t in _FAR]
    wrong, right = np.full(len(points), 0.0 if is_curved else 1.0), np.ones(len(points))
    for t in times:
        if not len(left):
            break
        is_right = look(left, t[left])
        right[left[is_right]] = t[left[is_right]]
        left = left[~is_right]
        wrong[left] = np.maximum(wrong[left], t[left])
    far = np.flatnonzero(np.isfinite(moved).all(axis=1) & (right - wrong > _NEAR))
    for _ in range(_N_HALVINGS if len(far) else 0):
        middle = (wrong[far] + right[far]) / 2
        is_right = look(far, middle)
        right[far] = np.where(is_right, middle, right[far])
        wrong[far] = np.where(is_right, wrong[far], middle)
    return moved, label, np.abs(right - 1) <= _NEAR
