"""The activation regions of some rows as a table."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skrelu._core.arrays import Array, MatrixLike, Rows
from skrelu._core.regions import Grouping
from skrelu._core.scores import compute_scores
from skrelu._core.threads import Team, count_threads
from skrelu._data.validation import check_known_labels, check_sample_weight, read_labels
from skrelu.inspection._explained import Explained
from skrelu.inspection._local_models import region_models
from skrelu.inspection._tables import make_table

_MAX_VALUES = 2**21  # of the scores that the models of some regions give to all rows


def linear_regions(
    classifier: Any,
    X: MatrixLike,
    y: Any = None,
    sample_weight: ArrayLike | None = None,
    *,
    n_regions: int | None = None,
) -> Any:
    """Return the activation regions that rows of X lie in, as a table.

    Parameters
    ----------
    classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
        A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of these.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as `classifier.predict` takes them.
    y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
        The labels of the rows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    n_regions : int, default=None
        The number of regions in the table, the most populated ones; None means all. With y, the time grows with the
        number of regions times that of rows, because the model of each region is applied to all rows.

    Returns
    -------
    table : pandas.DataFrame of shape (n_regions, n_columns)
        A row for each region, most populated first; a structured array if pandas is not installed. Its columns are

        region : the number of the region, as in `local_linear_models` for the same X.
        count : the number of rows in it.
        share : their part of the weight of all rows.

        with y also

        response_mean, response_std : the mean of the response and its standard deviation. The response is 1 for the
        second class and 0 for the first. With more than two classes, or with multilabel targets, there is one of each
        for each label, as in `response_mean_setosa`.
        log_loss : the mean loss of the region's rows (nats), of the scores as they are, not moderated; for multilabel
        targets the sum over the labels.
        accuracy : the part of the region's rows whose label is predicted; for multilabel targets all labels.
        auc : the area under the ROC curve of the region's linear model on the region's rows. With several scores, the
        mean of each label against the others. NaN where the rows are of one kind.
        auc_all : the same on all rows of X.

        and last

        pattern : the activation pattern as bytes, as `numpy.packbits` writes it, so that regions can be looked up. Two
        regions are neighbours only if their patterns differ in one unit, or in few at a kink.

    Raises
    ------
    TypeError, ValueError
        If the classifier is of another kind, or if X, y, the weights or `n_regions` do not fit.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    local_linear_models : The linear models of the regions.
    LinearRegionsDisplay : The regions of two features as a picture.

    References
    ----------
    A. Sudjianto, W. Knauth, R. Singh, Z. Yang and A. Zhang, 'Unwrapping the black box of deep ReLU networks:
    interpretability, diagnostics, and simplification', arXiv 2011.04041, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import linear_regions
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> table = linear_regions(classifier, X, y)
    >>> int(table["count"].sum())
    569
    >>> list(table.columns)[:5]
    ['region', 'count', 'share', 'response_mean', 'response_std']
    """
    if n_regions is not None and (isinstance(n_regions, bool) or not isinstance(n_regions, int) or n_regions < 1):
        raise ValueError(f"n_regions must be a positive integer or None, got {n_regions!r}.")
    explained = Explained.of(classifier)
    Z = explained.rows(X)
    weights = check_sample_weight(sample_weight, Z)
    if y is not None:
        y = read_labels(y, Z)
        check_known_labels(y, explained.network.labels, "y", "classifier.classes_")
    coef, intercept, groups, patterns = region_models(explained, Z)
    kept = slice(n_regions)
    weights = np.ones(Z.shape[0]) if weights is None else weights
    sums = _Sums(groups, weights, kept)
    columns = {
        "region": np.arange(len(coef))[kept],
        "count": groups.count[kept],
        "share": sums.of_weights / weights.sum(),
    }
    if y is not None:
        columns |= _responses(explained, sums, y)
        columns |= _losses(explained, sums, Z, y)
        columns["auc"], columns["auc_all"] = _areas(explained, (coef[kept], intercept[kept]), groups, Z, y, weights)
    packed = np.empty(len(patterns[kept]), dtype=object)
    packed[:] = [pattern.tobytes() for pattern in patterns[kept]]
    return make_table(columns | {"pattern": packed})


class _Sums:
    """Weighted sums over the rows of each region."""

    def __init__(self, groups: Grouping, weights: Array, kept: slice) -> None:
        self._groups, self._weights, self._kept = groups, weights, kept
        self.of_weights = self._sum(weights)

    def _sum(self, values: Array) -> Array:
        return np.bincount(self._groups.region, values, len(self._groups.count))[self._kept]

    def mean(self, values: Array) -> Array:
        """Return the mean of each region; NaN where all rows weigh 0."""
        total = self.of_weights
        return np.divide(self._sum(self._weights * values), total, out=np.full(len(total), np.nan), where=total > 0)


def _indicators(explained: Explained, y: Array) -> Array:
    """Return for each row and score whether it is of the score's label, of shape (n_samples, n_outputs)."""
    labels = explained.network.labels
    targets = labels.encode(y)
    return targets[:, np.newaxis] == np.arange(labels.n_outputs) if targets.ndim == 1 else targets > 0


def _responses(explained: Explained, sums: _Sums, y: Array) -> dict[str, Array]:
    labels = explained.network.labels
    columns = {}
    for k, response in enumerate(_indicators(explained, y).T):
        mean = sums.mean(response)
        suffix = "" if labels.n_outputs == 1 else f"_{labels.classes[k]}"
        columns[f"response_mean{suffix}"] = mean
        columns[f"response_std{suffix}"] = np.sqrt(mean * (1 - mean))
    return columns


def _losses(explained: Explained, sums: _Sums, Z: Rows, y: Array) -> dict[str, Array]:
    coefs, intercepts, labels = explained.network
    scores = compute_scores(coefs, intercepts, Z, explained.n_jobs)
    is_right = labels.decode(scores) == y
    is_right = is_right.all(axis=1) if is_right.ndim == 2 else is_right
    log_probabilities = labels.loss.log_probabilities(labels.per_class(scores))
    is_of = _indicators(explained, y)
    if labels.n_outputs == 1:
        is_of = np.hstack((~is_of, is_of))
    if labels.is_multilabel:
        log_probabilities = np.where(is_of, log_probabilities, labels.loss.log_probabilities(-scores))
        losses = -log_probabilities.sum(axis=1)
    else:
        losses = -log_probabilities[is_of]
    return {"log_loss": sums.mean(losses), "accuracy": sums.mean(is_right)}


def _areas(
    explained: Explained, models: tuple[Array, Array], groups: Grouping, Z: Rows, y: Array, weights: Array
) -> tuple[Array, Array]:
    """Return the areas under the ROC curve of each region's model, on its own rows and on all."""
    coef, intercept = models
    n_regions, n_outputs, _ = coef.shape
    is_of = _indicators(explained, y)
    order = np.argsort(groups.region, kind="stable")
    ends = np.cumsum(groups.count)
    own, everywhere = np.empty(n_regions), np.empty(n_regions)
    n_block = max(_MAX_VALUES // (Z.shape[0] * n_outputs), 1)

    def compute(member: int, block: int) -> None:
        for r in range(block * n_block, min((block + 1) * n_block, n_regions)):
            scores = Z @ coef[r].T + intercept[r]
            everywhere[r] = _mean_area(is_of, scores, weights)
            rows = order[ends[r] - groups.count[r] : ends[r]]
            own[r] = _mean_area(is_of[rows], scores[rows], weights[rows])

    with Team(count_threads(explained.n_jobs)) as team:
        team.each_block(-(-n_regions // n_block), compute)
    return own, everywhere


def _mean_area(is_of: Array, scores: Array, weights: Array) -> float:
    areas = [area_under_curve(*column, weights) for column in zip(is_of.T, scores.T, strict=True)]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else np.nan


def area_under_curve(is_positive: Array, scores: Array, weights: Array) -> float:
    """Return the area under the ROC curve; NaN if all rows are of one kind.

    `sklearn.metrics.roc_auc_score` has the same value. It takes several times as long, which counts for thousands of
    regions.
    """
    order = np.argsort(scores)
    scores, positive = scores[order], np.where(is_positive, weights, 0)[order]
    negative = weights[order] - positive
    starts = np.flatnonzero(np.concatenate(([True], scores[1:] != scores[:-1])))
    positive, negative = np.add.reduceat(positive, starts), np.add.reduceat(negative, starts)
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative / 2  # rows of equal scores count half
    return float(positive @ below / pairs) if pairs else np.nan
