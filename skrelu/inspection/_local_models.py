"""The linear model of each row: the score around it, exactly."""

from dataclasses import dataclass
from typing import Any

from skrelu._core.arrays import Array, MatrixLike, Rows
from skrelu._core.regions import Grouping, group_patterns, linear_models, trace_patterns
from skrelu.inspection._explained import Columns, Explained, check_finite


@dataclass(frozen=True, eq=False)
class LocalLinearModels:
    """The linear models of some rows, one for each activation region.

    Attributes
    ----------
    coef : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
        The derivative of each score by each column, in scores (nats) for one unit of the column.
    intercept : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The score is `coef` times x plus `intercept`.
    region : ndarray of shape (n_samples,)
        The number of each row's activation region, from 0; the region with the most rows of X has number 0. Of regions
        with as many rows, the one whose first row comes first is first.
    pattern : ndarray of shape (n_regions, n_bytes), uint8
        The pattern of each region: for each hidden unit 1 where its input is positive, layer by layer, packed as by
        `numpy.packbits`.
    feature_names : ndarray of str
        The names of the columns that `coef` belongs to.
    columns : {'original', 'transformed'}
        Whether these are the columns of X, or the features that the last step of a pipeline gets.
    """

    coef: Array
    intercept: Array
    region: Array
    pattern: Array
    feature_names: Array
    columns: str


def local_linear_models(classifier: Any, X: MatrixLike, *, columns: Columns = "auto") -> LocalLinearModels:
    r"""Return for each row the linear model that the network is around it.

    A network of rectified linear units is a linear function wherever the same units are active. The part of space where
    they are is an activation region. With the pattern :math:`\mathrm{pos}(z_l)` of x,

    .. math::

        f(x) = P_1 W_1 x + \sum_l P_l b_l, \qquad
        P_l = \prod_{k=0}^{L-l-1} W_{L-k} \mathrm{diag}(\mathrm{pos}(z_{L-k-1}))

    (see `docs/theory`), so the coefficients are exact: nothing is sampled or fitted.

    Parameters
    ----------
    classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
        A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of these.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as `classifier.predict` takes them.
    columns : {'auto', 'original', 'transformed'}, default='auto'
        For a pipeline, the columns that the coefficients belong to. 'original': the columns of X, which needs steps
        that are linear in them, such as scalers. 'transformed': the features that the last step gets, named by
        `get_feature_names_out`. 'auto': those of X if possible, otherwise the transformed ones.

    Returns
    -------
    models : LocalLinearModels
        With the attributes `coef`, `intercept`, `region`, `pattern`, `feature_names` and `columns`. For two classes
        there is one score; otherwise one for each class or label, and `coef` is 3-d. `coef` times x plus `intercept` is
        `decision_function` to rounding; with predictive='laplace' the scores before they are moderated. Behind a
        SimpleImputer a missing value in x is what stands in its place.

    Raises
    ------
    TypeError
        If the classifier is of another kind.
    ValueError
        If X does not fit, if scores overflow, or if `columns='original'` and a step is not linear.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    linear_regions : The regions as a table.
    LocalExplanationDisplay : The parts of one score as a picture.

    References
    ----------
    A. Sudjianto, W. Knauth, R. Singh, Z. Yang and A. Zhang, 'Unwrapping the black box of deep ReLU networks:
    interpretability, diagnostics, and simplification', arXiv 2011.04041, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import local_linear_models
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> models = local_linear_models(classifier, X)
    >>> models.coef.shape
    (569, 30)
    >>> scores = (models.coef * X).sum(axis=1) + models.intercept
    >>> bool(np.allclose(scores, classifier.decision_function(X), rtol=1e-10))
    True
    """
    explained = Explained.of(classifier, columns, linear=True)
    Z = explained.rows(X)
    coef, intercept, groups, patterns = region_models(explained, Z, of_base=True)
    if explained.n_outputs == 1:
        coef, intercept = coef[:, 0], intercept[:, 0]
    if len(coef) < len(groups.region):  # otherwise each region has one row, and they are in the order of the rows
        coef, intercept = coef[groups.region], intercept[groups.region]
    return LocalLinearModels(coef, intercept, groups.region, patterns, explained.names, explained.columns)


def region_models(explained: Explained, Z: Rows, *, of_base: bool = False) -> tuple[Array, Array, Grouping, Array]:
    """Return the linear model of each region that rows of the network's features lie in.

    Returns
    -------
    coef : ndarray of shape (n_regions, n_outputs, n_features)
        By the network's features, with `of_base` by the columns of the base.
    intercept : ndarray of shape (n_regions, n_outputs)
    groups : Grouping
        The regions of the rows.
    patterns : ndarray of shape (n_regions, n_bytes), uint8
    """
    coefs, intercepts, _ = explained.network
    patterns, scores = trace_patterns(coefs, intercepts, Z, explained.n_jobs)
    groups = group_patterns(patterns)
    patterns = patterns[groups.first]
    if of_base:
        coefs, intercepts, _ = explained.inputs
    coef, intercept = linear_models(coefs, intercepts, patterns, explained.n_jobs)
    for results in (scores, coef, intercept):
        check_finite(results, Z)
    return coef, intercept, groups, patterns
