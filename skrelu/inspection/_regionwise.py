"""A network simplified: its activation regions merged into a few, each with one logistic regression."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skrelu._classifier import DeepLogisticClassifier
from skrelu._core.arrays import Array, MatrixLike, Rows
from skrelu._core.scores import compute_scores
from skrelu._data.labels import Labels
from skrelu._data.parameters import make_random_state
from skrelu._data.validation import check_known_labels, check_sample_weight, read_labels
from skrelu._predictor import Predictor
from skrelu._warnings import warn_caller
from skrelu.inspection._explained import Explained, check_finite
from skrelu.inspection._merging import Merged, ModelSpace, assign_rows, distil, merge_regions
from skrelu.inspection._tables import make_table

_N_UNITS = 20  # of the network, if none is given
_TABLE_COLUMNS = ("region", "class", "count", "share", "response_mean", "log_loss", "network_log_loss", "intercept")


def simplify(
    classifier: Any,
    X: MatrixLike,
    y: ArrayLike,
    n_regions: int,
    *,
    sample_weight: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> "RegionwiseLogisticClassifier":
    """Merge the activation regions of a fitted network into a few logistic regressions.

    The network is not fitted again. The result has its own price: the log-loss that the few formulas cost.

    Parameters
    ----------
    classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
        A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of these.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows as `classifier.predict` takes them, best the training rows.
    y : array-like of shape (n_samples,)
        Their labels. The formulas do not depend on them, the price and the table do.
    n_regions : int
        The largest number of merged regions.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    random_state : int, RandomState instance or None, default=0
        Determines the starts of k-means.

    Returns
    -------
    simplified : RegionwiseLogisticClassifier
        A fitted classifier, whose `estimator` is the given one, frozen.

    Raises
    ------
    TypeError
        If the classifier is of another kind.
    ValueError
        If `n_regions` is not a positive integer, if X does not fit, if y holds other labels than the classifier knows,
        or if the classifier is one of multilabel targets.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    RegionwiseLogisticClassifier : The estimator, with the method and its references.
    local_linear_models : The exact linear model of each row.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import simplify
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> simplified = simplify(classifier, X, y, 3)
    >>> simplified.coef_.shape
    (3, 1, 30)
    >>> bool(simplified.price_ < 0.02)
    True
    """
    Explained.of(classifier, linear=True)
    simplified = RegionwiseLogisticClassifier(FrozenEstimator(classifier), n_regions, random_state=random_state)
    return simplified.fit(X, y, sample_weight)


class RegionwiseLogisticClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""A few logistic regressions in place of a network of rectified linear units, which stays the gate.

    A network of rectified linear units is one logistic regression in each activation region, but there may be as many
    regions as rows. Here they are merged into at most `n_regions`. Each merged region has one formula,

    .. math:: f(x) = \mathrm{coef}_{r(x)} \cdot x + \mathrm{intercept}_{r(x)},

    that can be read and printed. The merged region r(x) of a row comes from the network: the row's activation pattern
    gives its exact linear model, and that belongs to the merged region whose center is nearest. So the few formulas are
    readable; the rule that chooses among them is not, and predictions need the network. `price_` says what the merging
    costs.

    Parameters
    ----------
    estimator : DeepLogisticClassifier, MLPClassifier or Pipeline, default=None
        The network to be simplified: one of these classifiers, a DeepLogisticClassifierCV, or a pipeline that ends in
        one. An MLPClassifier must have the activation 'relu'. `fit` fits a clone of it, unless it is a fitted one in
        scikit-learn's FrozenEstimator. None means a DeepLogisticClassifier((20,)), see Notes.
    n_regions : int, default=5
        The largest number of merged regions.
    alpha : float, default=1.0
        Strength of the L2 penalty on the difference between a merged region's coefficients and the mean of the local
        coefficients of its rows, for columns of deviation 1. 0 means no penalty. It is added to the sum of the losses
        over the rows of the region.
    random_state : int, RandomState instance or None, default=None
        Determines the starts of k-means and, if `estimator` is None, the network. Pass an int for the same result in
        every call.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features, if X had names that are all strings.
    estimator_ : estimator
        The fitted network; of a frozen one that one itself.
    n_regions_ : int
        The number of merged regions, fewer than `n_regions` if the network has fewer regions. Region 0 has the most
        rows.
    coef_ : ndarray of shape (`n_regions_`, n_outputs, n_columns)
        The coefficients of each merged region, in nats for one unit of the column: n_outputs is 1 for two classes, else
        the number of classes. The columns are those of X, if the steps of a pipeline are linear in them; otherwise the
        features that the last step gets.
    intercept_ : ndarray of shape (`n_regions_`, n_outputs)
        The intercepts. With more than two classes the coefficients and intercepts of a region add up to 0 over the
        classes.
    column_names_ : ndarray of str of shape (n_columns,)
        The names of the columns of `coef_`.
    region_count_ : ndarray of shape (`n_regions_`,)
        The number of training rows of each merged region, without rows of weight 0.
    region_share_ : ndarray of shape (`n_regions_`,)
        Their part of the weight of all training rows.
    region_response_ : ndarray of shape (`n_regions_`, n_classes)
        The part of each class in the weight of the region's training rows.
    region_log_loss_, region_network_log_loss_ : ndarray of shape (`n_regions_`,)
        The mean log-loss (nats) of the training rows of each merged region, of this model and of the network.
    price_ : float
        The mean log-loss of the training rows minus that of the network (nats per row): positive if the few formulas
        are worse than the network. For other rows, use `price`.

    See Also
    --------
    simplify : The same for a fitted network.
    local_linear_models : The exact linear model of each row.
    linear_regions : The regions as a table.

    Notes
    -----
    The exact models of the activation regions are grouped by k-means, weighted by their rows. The squared distance of
    two models is the mean over the training rows of the squared difference of their scores.

    The logistic regression of a merged region is fitted to the probabilities of the network for the rows in it, not to
    their labels (distillation). So each class has a score in each region, even where all rows have the same label. The
    penalty pulls the coefficients to the mean of the region's local models, not to 0.

    On 22 tables (105 to 1200 training rows, 4 splits), with a network of 20 units fitted to standardised columns, the
    log-losses of test rows relative to that of the network were, as geometric means::

        merged regions                                           1      2      5     10
        these models                                         1.165  1.065  1.054  1.040
          labels and probabilities, half and half                   1.087  1.082  1.071
          LogisticRegression(C=10), fitted to probabilities         1.093  1.167  1.223
          no regression: the means of the local models              1.331  1.156  1.104
          regions moved to the formula with the lowest loss         1.130  1.156  1.122
        DeepLogisticClassifier(()), fitted to the labels     1.149

    With networks of 5 or 100 units five formulas had higher log-losses (0.189 and 0.176, with 20 units 0.173, 2
    splits), so the default network has 20 units. On the adult census (10,000 training rows, one-hot columns, 20 units,
    3 splits) the log-loss of test rows was 0.2975 for the network, 0.3092, 0.3052, 0.3024 and 0.3012 for 1, 2, 5 and 10
    formulas in place of 4000 regions, and 0.3098 for DeepLogisticClassifier(()).

    References
    ----------
    A. Sudjianto, W. Knauth, R. Singh, Z. Yang and A. Zhang, 'Unwrapping the black box of deep ReLU networks:
    interpretability, diagnostics, and simplification', arXiv 2011.04041, 2020, for the merging of regions.

    G. Hinton, O. Vinyals and J. Dean, 'Distilling the knowledge in a neural network', arXiv 1503.02531, 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from skrelu.inspection import RegionwiseLogisticClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> model = RegionwiseLogisticClassifier(n_regions=2, random_state=0).fit(X, y)
    >>> model.score(X_test, y_test) > 0.95
    True
    >>> model.apply(X_test).max() < model.n_regions_ == 2
    True
    """

    __module__ = "skrelu.inspection"  # the path in saved models and in users' imports

    def __init__(
        self,
        estimator: Any = None,
        n_regions: int = 5,
        *,
        alpha: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_regions = n_regions
        self.alpha = alpha
        self.random_state = random_state

    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the network, unless it is frozen, and merge its activation regions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, also for the fit of the network. Rows of weight 0 do not count.

        Returns
        -------
        self : RegionwiseLogisticClassifier

        Raises
        ------
        TypeError, ValueError
            If a parameter, X, y or the weights do not fit, or if y is multilabel.
        """
        self._check_parameters()
        y = _check_one_column(y)
        estimator = self._fit_network(X, y, sample_weight)
        explained = Explained.of(estimator, linear=True)
        labels = explained.network.labels
        if labels.is_multilabel:
            raise ValueError("estimator must be a classifier of one label per row, got one of multilabel targets.")
        Z = explained.rows(X)
        y = read_labels(y, Z)
        weights = check_sample_weight(sample_weight, Z)
        log_probabilities = _network_log_probabilities(explained, X, Z)
        if weights is None:
            weights = np.ones(len(y))
        elif not weights.all():
            counted = np.flatnonzero(weights)
            Z, y, weights, log_probabilities = Z[counted], y[counted], weights[counted], log_probabilities[counted]
        check_known_labels(y, labels, "y", "the network")

        merged = merge_regions(
            explained.network,
            Z,
            weights,
            int(self.n_regions),
            n_jobs=explained.n_jobs,
            random_state=make_random_state(self.random_state),
        )
        coef, intercept = self._distil(labels, merged, Z, np.exp(log_probabilities), weights)
        own = labels.loss.log_probabilities(labels.per_class(_apply_models(Z, coef, intercept, merged.region)))
        losses = _losses(labels, own, y), _losses(labels, log_probabilities, y)

        self.estimator_ = estimator
        self.classes_ = labels.classes
        self.n_features_in_ = getattr(estimator, "n_features_in_", Z.shape[1])
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(estimator, "feature_names_in_"):
            self.feature_names_in_ = estimator.feature_names_in_
        if explained.base is not None:
            coef, intercept = explained.base.coef(coef), explained.base.intercept(coef, intercept)
        self.coef_, self.intercept_, self.column_names_ = coef, intercept, explained.names
        self._space, self._centers = (merged.space.center, merged.space.factor, merged.space.root), merged.centers
        self._describe(labels, losses, y, merged.region, weights)
        return self

    def _distil(
        self, labels: Labels, merged: Merged, Z: Rows, probabilities: Array, weights: Array
    ) -> tuple[Array, Array]:
        """Return the coefficients and intercepts of a regression for each merged region, by the network's features."""
        coef, intercept, failures = merged.coef.copy(), merged.intercept.copy(), []
        for r in range(len(coef)):
            where = np.flatnonzero(merged.region == r)
            coef[r], intercept[r], outcome = distil(
                Z[where],
                probabilities[where],
                weights[where],
                (merged.coef[r], merged.intercept[r]),
                merged.space,
                labels,
                alpha=float(self.alpha),
            )
            if not outcome.is_converged:
                failures.append(f"{r} ({outcome.message})")
        if failures:
            warn_caller(
                f"The regressions of these merged regions did not converge: {', '.join(failures)}. Set alpha to a "
                "larger number.",
                ConvergenceWarning,
            )
        return coef, intercept

    def _check_parameters(self) -> None:
        _check_number("n_regions", self.n_regions, Integral, "an integer >= 1", lambda value: value >= 1)
        _check_number("alpha", self.alpha, Real, "a number in [0, inf)", lambda value: 0 <= value < np.inf)
        make_random_state(self.random_state)

    def _fit_network(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Any:
        """Return the fitted network: a clone that is fitted, or the frozen one."""
        estimator = self._network()
        if isinstance(self.estimator, FrozenEstimator):
            return estimator
        estimator = clone(estimator)
        name = "sample_weight"
        if isinstance(estimator, Pipeline) and not get_config()["enable_metadata_routing"]:
            name = f"{estimator.steps[-1][0]}__sample_weight"
        estimator.fit(X, y, **({} if sample_weight is None else {name: sample_weight}))
        if len(estimator.classes_) < 2:  # an MLPClassifier takes that
            raise ValueError(f"y must hold at least two classes, but there is only one class: {estimator.classes_}.")
        return estimator

    def _network(self) -> Any:
        """Return the estimator, out of its FrozenEstimator, or the default one; raise an error if it is another."""
        if self.estimator is None:
            return DeepLogisticClassifier((_N_UNITS,), random_state=self.random_state)
        estimator = self.estimator.estimator if isinstance(self.estimator, FrozenEstimator) else self.estimator
        classifier = estimator
        while isinstance(classifier, Pipeline):
            classifier = classifier[-1]
        if not isinstance(classifier, Predictor | MLPClassifier):
            raise TypeError(
                "estimator must be None, a DeepLogisticClassifier, a DeepLogisticClassifierCV, an MLPClassifier with "
                "activation='relu', a pipeline that ends in one of these, or one of them that is fitted in a "
                f"FrozenEstimator, got {estimator!r}."
            )
        if isinstance(classifier, MLPClassifier) and classifier.activation != "relu":
            raise ValueError(f"estimator must have activation='relu', got {classifier.activation!r}.")
        return estimator

    def _describe(self, labels: Labels, losses: tuple[Array, Array], y: Array, region: Array, weights: Array) -> None:
        """Write the attributes that say how the training rows lie and what they lose, here and in the network."""
        n_regions, total = region.max() + 1, weights.sum()
        sums = np.bincount(region, weights)
        indices = labels.class_indices(labels.encode(y))
        responses = np.zeros((n_regions, len(labels.classes)))
        np.add.at(responses, (region, indices), weights)
        own, network = losses
        self.n_regions_ = int(n_regions)
        self.region_count_ = np.bincount(region)
        self.region_share_ = sums / total
        self.region_response_ = responses / sums[:, np.newaxis]
        self.region_log_loss_ = np.bincount(region, weights * own) / sums
        self.region_network_log_loss_ = np.bincount(region, weights * network) / sums
        self.price_ = float(weights @ (own - network) / total)

    def apply(self, X: MatrixLike) -> Array:
        """Return the merged region of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        region : ndarray of shape (n_samples,)
            Numbers from 0 to `n_regions_` - 1. A row whose activation pattern no training row had gets the region with
            the center that is nearest to its linear model, like any other row.
        """
        check_is_fitted(self)
        explained = Explained.of(self.estimator_, linear=True)
        return self._find_regions(explained, explained.rows(X))

    def _find_regions(self, explained: Explained, Z: Rows) -> Array:
        return assign_rows(explained.network, Z, ModelSpace(*self._space), self._centers, explained.n_jobs)

    def _scores(self, X: MatrixLike) -> tuple[Array, Labels]:
        """Return the scores of rows, of shape (n_samples, n_outputs), and the labels that they belong to."""
        check_is_fitted(self)
        explained = Explained.of(self.estimator_, linear=True)
        Z = explained.rows(X)
        region = self._find_regions(explained, Z)
        scores = _apply_models(explained.base_rows(X, Z), self.coef_, self.intercept_, region)
        check_finite(scores, Z)
        return scores, explained.network.labels

    def decision_function(self, X: MatrixLike) -> Array:
        """Return the scores: `coef_[r] @ x + intercept_[r]` with r of `apply`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log-odds (nats) of the second one; else one score for each class, whose softmax is
            `predict_proba`.
        """
        scores, _ = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: MatrixLike) -> Array:
        """Return the most probable label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        scores, labels = self._scores(X)
        return labels.decode(scores)

    def predict_proba(self, X: MatrixLike) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        scores, labels = self._scores(X)
        return labels.loss.probabilities(labels.per_class(scores))

    def predict_log_proba(self, X: MatrixLike) -> Array:
        """Return the logarithm of the probability of each class, finite where the probability itself underflows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats, in the order of `classes_`.
        """
        scores, labels = self._scores(X)
        return labels.loss.log_probabilities(labels.per_class(scores))

    def price(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log-loss of rows minus that of the network: what the simplification costs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows that were not used in the fit give an honest price.
        y : array-like of shape (n_samples,)
            Labels among `classes_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        price : float
            In nats per row; negative if the few formulas are better than the network.

        Raises
        ------
        ValueError
            If X, y or the weights do not fit, or if y holds other labels.
        """
        log_probabilities = self.predict_log_proba(X)
        explained = Explained.of(self.estimator_, linear=True)
        labels = explained.network.labels
        y = read_labels(_check_one_column(y), log_probabilities)
        weights = check_sample_weight(sample_weight, log_probabilities)
        check_known_labels(y, labels, "y", "classes_")
        of_network = _network_log_probabilities(explained, X, explained.rows(X))
        differences = _losses(labels, log_probabilities, y) - _losses(labels, of_network, y)
        return float(np.average(differences, weights=weights))

    def to_frame(self) -> Any:
        """Return the merged regions as a table.

        Returns
        -------
        table : pandas.DataFrame
            One row for each merged region or, with more than two classes, for each merged region and class; a
            structured array if pandas is not installed. Its columns are

            region : the number of the merged region, as in `apply`.
            class : the label, only with more than two classes.
            count, share : the number of training rows of the region, and their part of the weight of all.
            response_mean : the part of the class among them; for two classes that of the second one.
            log_loss, network_log_loss : their mean log-loss (nats), of this model and of the network.
            intercept : the intercept.

            and one for each column of `coef_` with the coefficients (nats for one unit of the column). If its name is
            one of those above, it is called 'coef ' and the name.
        """
        check_is_fitted(self)
        n_outputs = self.coef_.shape[1]
        by_region = {
            "region": np.arange(self.n_regions_),
            "count": self.region_count_,
            "share": self.region_share_,
            "log_loss": self.region_log_loss_,
            "network_log_loss": self.region_network_log_loss_,
        }
        columns = {name: np.repeat(values, n_outputs) for name, values in by_region.items()}
        columns["class"] = np.tile(self.classes_[-n_outputs:], self.n_regions_)
        columns["response_mean"] = self.region_response_[:, -n_outputs:].ravel()
        columns["intercept"] = self.intercept_.ravel()
        columns = {name: columns[name] for name in _TABLE_COLUMNS if name != "class" or n_outputs > 1}
        for name, values in zip(self.column_names_, self.coef_.reshape(-1, self.coef_.shape[-1]).T, strict=True):
            columns[f"coef {name}" if name in columns else str(name)] = values
        return make_table(columns)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        network = get_tags(DeepLogisticClassifier() if self.estimator is None else self.estimator)
        tags.input_tags.sparse = network.input_tags.sparse
        tags.input_tags.allow_nan = network.input_tags.allow_nan
        tags.input_tags.categorical = network.input_tags.categorical
        return tags


def _check_number(name: str, value: Any, kind: type, allowed: str, is_allowed: Callable[[Any], bool]) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {allowed}, got {value!r}.")
    if not is_allowed(value):
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")


def _check_one_column(y: Any) -> Any:
    """Return y, one column of it as a 1-d array; raise a ValueError if there are several."""
    try:
        shape = y.shape if sparse.issparse(y) else np.asarray(y).shape
    except ValueError:  # lists of several lengths, for which the fit of the network has a message
        return y
    if len(shape) != 2:
        return y
    if shape[1] != 1:
        raise ValueError(f"y must hold one label per row, got shape {shape}: multilabel targets cannot be simplified.")
    return column_or_1d(y.toarray() if sparse.issparse(y) else y, warn=True)


def _apply_models(rows: Rows, coef: Array, intercept: Array, region: Array) -> Array:
    """Return the scores of rows by the linear models of their regions, of shape (n_rows, n_outputs)."""
    scores = np.empty((rows.shape[0], coef.shape[1]))
    for r in range(len(coef)):
        where = np.flatnonzero(region == r)
        scores[where] = rows[where] @ coef[r].T + intercept[r]
    return scores


def _network_log_probabilities(explained: Explained, X: MatrixLike, Z: Rows) -> Array:
    """Return the logarithms of the probabilities that the network predicts; `Z` are the rows of its features."""
    if isinstance(explained.classifier, Predictor):
        return explained.estimator.predict_log_proba(X)
    coefs, intercepts, labels = explained.network
    scores = compute_scores(coefs, intercepts, Z, explained.n_jobs)
    check_finite(scores, Z)
    return labels.loss.log_probabilities(labels.per_class(scores))


def _losses(labels: Labels, log_probabilities: Array, y: Array) -> Array:
    """Return the log-loss of each row."""
    return -log_probabilities[np.arange(len(y)), labels.class_indices(labels.encode(y))]
