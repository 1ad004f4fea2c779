"""How much each column matters, row by row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skrelu._core.arrays import Array, MatrixLike
from skrelu._data.validation import check_sample_weight
from skrelu.inspection._explained import Columns, Explained
from skrelu.inspection._local_models import region_models

_MAX_VALUES = 2**20  # of the coefficients of a block of regions


@dataclass(frozen=True, eq=False)
class LocalFeatureImportance:
    """The importance of each column, for each row and for all.

    Attributes
    ----------
    importances : ndarray of shape (n_samples, n_features)
        The variance that the column gives to the score under the row's linear model, in squared scores (nats squared).
    importances_mean : ndarray of shape (n_features,)
        Their mean over the rows.
    importances_std : ndarray of shape (n_features,)
        Their standard deviation over the rows.
    feature_names : ndarray of str
        The names of the columns.
    columns : {'original', 'transformed'}
        Whether these are the columns of X, or the features that the last step of a pipeline gets.
    """

    importances: Array
    importances_mean: Array
    importances_std: Array
    feature_names: Array
    columns: str


def local_feature_importance(
    classifier: Any, X: MatrixLike, *, sample_weight: ArrayLike | None = None, columns: Columns = "auto"
) -> LocalFeatureImportance:
    r"""Return how much each column matters to the scores, for each row and on average.

    The importance of column j for row i is its squared local coefficient times the variance of the column in X,

    .. math:: I_{ij} = \mathrm{coef}_{ij}^2 \, \mathrm{var}(x_j),

    the variance of the score if the row's linear model held everywhere and column j alone varied as it does in X. It
    does not depend on the units of the columns.

    Parameters
    ----------
    classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
        A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of these.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as `classifier.predict` takes them. The variances are those of these rows, so give many.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, for the variances and the means.
    columns : {'auto', 'original', 'transformed'}, default='auto'
        For a pipeline, the columns that the importances belong to. 'original': the columns of X. A column that enters
        as several features, as after an encoder, has the variance of the sum of their parts. 'transformed': the
        features that the last step gets. 'auto': the columns of X if the steps can be followed, otherwise the
        transformed ones.

    Returns
    -------
    importance : LocalFeatureImportance
        With the attributes `importances`, `importances_mean`, `importances_std`, `feature_names` and `columns`. With
        several outputs the mean over the scores; for more than two classes of the scores less their mean over the
        classes, as only differences have a meaning.

    Raises
    ------
    TypeError, ValueError
        If the classifier is of another kind, if X or the weights do not fit, or if `columns='original'` and a step
        cannot be followed.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    local_linear_models : The coefficients themselves.
    sklearn.inspection.permutation_importance : How much worse predictions become without a column.

    Notes
    -----
    `feature_importances_` of the classifier comes from the fit: it is high where the data determine the weights of a
    feature and their penalty is small, and it sums to 1. The importance here comes from the fitted function on the rows
    of X, whatever the penalty was. Both are for standardised columns. Neither says what the labels depend on, only what
    the model uses.

    References
    ----------
    A. Sudjianto, W. Knauth, R. Singh, Z. Yang and A. Zhang, 'Unwrapping the black box of deep ReLU networks:
    interpretability, diagnostics, and simplification', arXiv 2011.04041, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import local_feature_importance
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> importance = local_feature_importance(classifier, X)
    >>> importance.importances.shape
    (178, 13)
    >>> importance.feature_names[importance.importances_mean.argmax()]
    'proline'
    """
    explained = Explained.of(classifier, columns)
    Z = explained.rows(X)
    if Z.shape[0] < 2:
        raise ValueError("X must hold at least two rows, as the importance of a column depends on its variance in X.")
    weights = check_sample_weight(sample_weight, Z)
    weights = np.full(Z.shape[0], 1 / Z.shape[0]) if weights is None else weights / weights.sum()
    coef, _, groups, _ = region_models(explained, Z)
    if explained.network.is_relative:
        coef -= coef.mean(axis=1, keepdims=True)
    variances = _Variances(explained, explained.base_rows(X, Z), weights)
    of_region = np.empty((len(coef), len(explained.names)))
    n_rows = max(_MAX_VALUES // coef[0].size, 1)
    for begin in range(0, len(coef), n_rows):
        part = coef[begin : begin + n_rows]
        part = part if explained.base is None else explained.base.coef(part)
        of_region[begin : begin + n_rows] = variances.of_parts(part).mean(axis=1)
    importances = of_region[groups.region]
    mean = weights @ importances
    std = np.sqrt(weights @ np.square(importances - mean))
    return LocalFeatureImportance(importances, mean, std, explained.names, explained.columns)


class _Variances:
    """The variance of the part that each column has in a score, over some rows with weights of sum 1."""

    def __init__(self, explained: Explained, rows: Any, weights: Array) -> None:
        source, self._n_columns = explained.source, len(explained.names)
        counts = np.bincount(source, minlength=self._n_columns)
        self._single = np.flatnonzero(counts[source] == 1)
        self._source = source[self._single]
        self._variances = _variances(rows[:, self._single], weights)
        # A column with several features has the variance of the sum of their parts.
        several = np.flatnonzero(counts > 1)
        self._members = {column: np.flatnonzero(source == column) for column in several}
        self._covariances = {column: _covariance(rows[:, self._members[column]], weights) for column in several}

    def of_parts(self, coef: Array) -> Array:
        """Return the variances of shape (n, n_outputs, n_columns), from coefficients by the columns of the base."""
        variances = np.zeros((*coef.shape[:2], self._n_columns))
        variances[..., self._source] = np.square(coef[..., self._single]) * self._variances
        for column, members in self._members.items():
            part = coef[..., members]
            variances[..., column] = np.maximum(((part @ self._covariances[column]) * part).sum(axis=-1), 0)
        return variances


def _variances(rows: Any, weights: Array) -> Array:
    """Return the variance of each column, 0 for a constant one."""
    if sparse.issparse(rows):
        with np.errstate(invalid="ignore"):
            variances = mean_variance_axis(rows, axis=0, weights=weights.astype(rows.dtype))[1]
        return np.maximum(variances, 0)
    center = weights @ rows
    return np.asarray(weights @ np.square(rows - center))


def _covariance(rows: Any, weights: Array) -> Array:
    """Return the covariance matrix of a few columns."""
    if sparse.issparse(rows):
        rows = rows.toarray()
    centred = rows - weights @ rows
    return (centred * weights[:, np.newaxis]).T @ centred
