"""Predictions of a fitted network, and the standard deviation of its scores."""

from typing import Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skrelu._core.arrays import Array, MatrixLike, Rows
from skrelu._core.scores import compute_scores
from skrelu._data.labels import Labels
from skrelu._data.validation import describe_values, labels_for_metric, largest_value, validate_rows
from skrelu._fitted import FittedNetwork, read_network
from skrelu._laplace.moderation import moderate
from skrelu._laplace.posterior import NoPosterior, Posterior
from skrelu._persistence import Persistent


def finite_scores(coefs: list[Array], intercepts: list[Array], X: Rows, n_jobs: int | None) -> Array:
    """Return the scores of validated rows, of shape (n_samples, n_outputs); raise a ValueError if they overflow."""
    scores = compute_scores(coefs, intercepts, X, n_jobs)
    if not np.isfinite(scores).all():
        raise _overflow(X, f"scores in {scores.dtype}")
    return scores


def _overflow(X: Rows, results: str) -> ValueError:
    """Return the error for results that are not finite."""
    values = describe_values(X)
    if not np.isfinite(largest_value(X)):
        return ValueError(f"X holds {values}. Every value must be a finite number.")
    return ValueError(f"X holds {values}, for which {results} overflow; scale X as the training data were.")


class Predictor(ClassifierMixin, Persistent):
    """The methods of prediction. They need the weights and the classes, and for variances the posterior of the fit."""

    # Fitted attributes and parameters of the estimators.
    classes_: Array
    coefs_: list[Array]
    intercepts_: list[Array]
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: Literal["logistic", "softmax"]
    n_jobs: int | None
    predictive: str
    _posterior: Posterior | NoPosterior = NoPosterior.NOT_MEASURED

    @overload
    def decision_function(self, X: MatrixLike, return_std: Literal[False] = False) -> Array: ...

    @overload
    def decision_function(self, X: MatrixLike, return_std: Literal[True]) -> tuple[Array, Array]: ...

    @overload
    def decision_function(self, X: MatrixLike, return_std: bool) -> Array | tuple[Array, Array]: ...

    def decision_function(self, X: MatrixLike, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Return the raw scores, before the sigmoid or the softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return the standard deviation of each score as well, in Laplace's approximation. This needs a fit
            with alpha='evidence' or predictive='laplace'. It is Laplace's own one: with predictive='laplace' the
            variances are scaled before scores are moderated, see `laplace_scale_`, but not here.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            For two classes the log-odds (nats) of the second one; else one score for each class or label. Their
            sigmoid or softmax is `predict_proba`, so with predictive='laplace' they are moderated. With `return_std`
            they are the means of the approximation, which are not moderated.
        std : ndarray of the same shape
            Only with `return_std`. With more than two classes only differences of scores have a meaning. Then it is
            the standard deviation of the score less the mean over the classes.

        Raises
        ------
        ValueError
            If X does not fit, or is so large that scores overflow, or if `return_std` needs arrays that the fit or the
            pickle left out.
        """
        if not return_std:
            scores, labels = self._moderated_scores(X)
            return scores[:, 0] if labels.n_outputs == 1 else scores
        network = self._network()
        X, scores = self._scores(network, X)
        std = np.sqrt(self._variances(network, self._measured_posterior(network), X)[0])
        return (scores[:, 0], std[:, 0]) if network.labels.n_outputs == 1 else (scores, std)

    def predict(self, X: MatrixLike) -> Array:
        """Return the most probable label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels as in `classes_`; for multilabel targets an indicator of 0 and 1, 1 where p > 1/2.
        """
        scores, labels = self._moderated_scores(X)
        return labels.decode(scores)

    def predict_proba(self, X: MatrixLike) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. For multilabel targets the probability of each label by itself.

        Raises
        ------
        ValueError
            If X does not fit, or is so large that scores overflow, or if predictive='laplace' needs arrays that the fit
            or the pickle left out.
        """
        scores, labels = self._moderated_scores(X)
        with np.errstate(all="ignore"):  # a probability may underflow to 0
            return labels.loss.probabilities(labels.per_class(scores))

    def predict_log_proba(self, X: MatrixLike) -> Array:
        """Return the logarithm of the probability of each class, computed from the scores.

        It is finite and accurate where the probability itself underflows to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats, in the order of `classes_`.
        """
        scores, labels = self._moderated_scores(X)
        with np.errstate(all="ignore"):
            return labels.loss.log_probabilities(labels.per_class(scores))

    def score(self, X: MatrixLike, y: MatrixLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy: the fraction of the rows whose label is predicted; for multilabel targets all labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels, of any dtype that `fit` takes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        return float(super().score(X, labels_for_metric(y), sample_weight))

    @property
    def coef_(self) -> Array:
        """The weights of a network without a hidden layer, (1 or n_outputs, n_features): a view of `coefs_`."""
        return self._single_layer("coef_").coefs[0].T

    @property
    def intercept_(self) -> Array:
        """The biases of a network without a hidden layer, (1 or n_outputs,)."""
        return self._single_layer("intercept_").intercepts[0]

    def _single_layer(self, name: str) -> FittedNetwork:
        network = self._network()
        n_hidden = len(network.coefs) - 1
        if n_hidden:
            raise AttributeError(
                f"{name} is for networks without a hidden layer (hidden_layer_sizes=()). This one has {n_hidden} of "
                "them, and its weights are coefs_ and intercepts_."
            )
        return network

    def _network(self) -> FittedNetwork:
        """Return the weights and the labels, fitted or set by hand."""
        try:
            return read_network(self)
        except NotFittedError:
            check_is_fitted(self)  # if there are no attributes at all, scikit-learn's own message
            raise

    def _moderated_scores(self, X: MatrixLike) -> tuple[Array, Labels]:
        """Return the scores whose sigmoid or softmax is the probability, and the labels that they belong to."""
        network = self._network()
        X, scores = self._scores(network, X)
        if self.predictive != "laplace" or self._posterior is NoPosterior.PENDING:
            return scores, network.labels
        posterior = self._measured_posterior(network)
        variances = posterior.moderation.scaled(*self._variances(network, posterior, X))
        return moderate(scores, variances, is_relative=network.is_relative), network.labels

    def _measured_posterior(self, network: FittedNetwork) -> Posterior:
        posterior = self._posterior
        if isinstance(posterior, NoPosterior):
            raise ValueError(posterior.value)
        if (posterior.rows.shape[1], posterior.slopes.shape[1]) != (network.n_features, network.labels.n_outputs):
            raise ValueError("Variances need the weights of the fit, but coefs_ has other shapes: call fit again.")
        return posterior

    def _variances(self, network: FittedNetwork, posterior: Posterior, X: Rows) -> tuple[Array, Array]:
        """Return finite variances of the scores, given the labels and under the prior."""
        variances, prior_variances = posterior.variances(
            network.coefs, network.intercepts, X, is_relative=network.is_relative, n_jobs=self.n_jobs
        )
        if not np.isfinite(variances).all():
            raise _overflow(X, "variances")
        return variances, prior_variances

    def _scores(self, network: FittedNetwork, X: MatrixLike) -> tuple[Rows, Array]:
        """Return X, validated, and finite scores of shape (n_samples, n_outputs)."""
        X = validate_rows(self._with_columns_of(network), X, reset=False)
        try:
            return X, finite_scores(network.coefs, network.intercepts, X, self.n_jobs)
        except ValueError:
            network.check_finite()
            raise

    def _with_columns_of(self, network: FittedNetwork) -> Self:
        """Return the estimator, or where its number of columns is not that of the weights, one of the same type."""
        if getattr(self, "n_features_in_", None) == network.n_features:
            return self
        other = object.__new__(type(self))
        other.__dict__.update(vars(self), n_features_in_=network.n_features)
        if len(getattr(other, "feature_names_in_", ())) != network.n_features:
            other.__dict__.pop("feature_names_in_", None)
        return other

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags
