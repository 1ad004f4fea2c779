"""Losses of the raw scores: value, slope and probabilities.

A loss does not depend on X, layers or blocks. From the scores f of some rows, before any sigmoid or softmax, it
computes the weighted sum of the losses (nats) and the slopes r = dC/df with which the backward pass begins. Both use
the exponential of an argument that is never positive. So nothing overflows, nothing is clipped, and the slope is the
derivative of the value at scores of +-1e4 as well as at 0.
"""

from typing import Protocol

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from skrelu._core.arrays import Array


class Loss(Protocol):
    """The members of a loss that the objective and the classifier use."""

    out_activation: str

    def value_and_slopes(self, scores: Array, targets: Array, sample_weight: Array | None) -> float:
        """Return the weighted sum of the losses and OVERWRITE `scores` with the weighted slopes.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_outputs)
            Raw scores; on return, sample_weight_i * dloss_i/dscores_i.
        targets : ndarray
            In the encoding of the loss, see the classes below.
        sample_weight : ndarray of shape (n_rows,) or None
        """

    def root_squared_norms(self, scores: Array) -> Array:
        """Return ||l_k||^2 for the columns l_k of a root of the second derivative, Lambda = sum_k l_k l_k^T.

        Returns
        -------
        squared_norms : ndarray of shape (n_rows, n_outputs)
        """

    def root_columns(self, scores: Array, outputs: Array) -> Array:
        """Return for each row its column l_k, k = outputs[row], of shape (n_rows, n_outputs)."""

    def probabilities(self, scores: Array) -> Array:
        """Return the probability of each output, of the shape of `scores`."""

    def log_probabilities(self, scores: Array) -> Array:
        """Return the logarithms (nats), finite wherever the scores are."""


class BinaryLoss:
    """sum_k log(1 + exp(-y_k f_k)), y_k in {-1, +1}: one output, or K independent ones (multilabel).

    Targets are signs in an array of the shape of the scores, in a dtype that does not widen that of the scores (int8
    does not). The slope is r = -y / (1 + exp(y f)), as in equations (a) and (b).
    """

    out_activation = "logistic"

    def value_and_slopes(self, scores: Array, targets: Array, sample_weight: Array | None) -> float:
        negative_margins = np.multiply(scores, targets, out=scores)  # -y f, positive for a row on the wrong side
        np.negative(negative_margins, out=negative_margins)
        decay = np.abs(negative_margins)
        np.negative(decay, out=decay)
        np.exp(decay, out=decay)
        losses = np.log1p(decay)
        losses += np.maximum(negative_margins, 0)
        # sigmoid(-y f) = 1 / (1 + decay) where -y f >= 0, and decay / (1 + decay) elsewhere
        slopes = np.where(negative_margins >= 0, scores.dtype.type(1), decay)
        decay += 1
        slopes /= decay
        np.multiply(slopes, targets, out=scores)
        np.negative(scores, out=scores)
        return _weigh(losses, scores, sample_weight)

    def root_squared_norms(self, scores: Array) -> Array:
        return expit(scores) * expit(-scores)

    def root_columns(self, scores: Array, outputs: Array) -> Array:
        """Lambda = diag(p (1 - p)), so l_k = sqrt(p_k (1 - p_k)) e_k."""
        columns = np.zeros_like(scores)
        places = (np.arange(len(scores)), outputs)
        columns[places] = np.sqrt(expit(scores[places]) * expit(-scores[places]))
        return columns

    def probabilities(self, scores: Array) -> Array:
        return expit(scores)

    def log_probabilities(self, scores: Array) -> Array:
        return log_expit(scores)


class MultinomialLoss:
    """-log softmax(f)_y = log sum_k exp(f_k) - f_y, for K classes and K scores.

    Targets are class indices 0..K-1 of shape (n_rows,). The slope is r_k = softmax(f)_k - [k = y].
    """

    out_activation = "softmax"

    def value_and_slopes(self, scores: Array, targets: Array, sample_weight: Array | None) -> float:
        powers = scores.T.copy()  # classes by rows: in this order NumPy reduces fastest over the few classes
        powers -= powers.max(axis=0)
        label = (targets, np.arange(len(scores)))
        label_scores = powers[label]
        np.exp(powers, out=powers)
        label_powers = powers[label]
        # The slope of the label is minus the sum of the other slopes. Computed as softmax_y - 1 it would lose its
        # digits for rows that are nearly certain. log1p keeps the digits of the value.
        powers[label] = 0
        others = powers.sum(axis=0)
        totals = label_powers + others
        losses = np.log1p(np.where(label_powers == 1, others, totals - 1))
        losses -= label_scores
        powers[label] = -others
        np.divide(powers.T, totals[:, np.newaxis], out=scores)
        return _weigh(losses, scores, sample_weight)

    def root_squared_norms(self, scores: Array) -> Array:
        p = softmax(scores, axis=1)
        # ||e_k - p||^2 is (1 - p_k)^2 plus the squares of the other probabilities. Where p_k is the largest, these are
        # added one by one: a difference would lose the digits of a row that is certain.
        squares = np.square(p)
        largest = (np.arange(len(p)), p.argmax(axis=1))
        others = squares.sum(axis=1, keepdims=True) - squares
        squares[largest] = 0
        others[largest] = squares.sum(axis=1)
        return p * (np.square(_complements(p)) + others)

    def root_columns(self, scores: Array, outputs: Array) -> Array:
        """Lambda = diag(p) - p p^T = sum_k p_k (e_k - p)(e_k - p)^T, so l_k = sqrt(p_k) (e_k - p)."""
        p = softmax(scores, axis=1)
        places = (np.arange(len(scores)), outputs)
        columns = -p
        columns[places] = _complements(p)[places]
        return columns * np.sqrt(p[places])[:, np.newaxis]

    def probabilities(self, scores: Array) -> Array:
        return softmax(scores, axis=1)

    def log_probabilities(self, scores: Array) -> Array:
        return log_softmax(scores, axis=1)


def _complements(p: Array) -> Array:
    """Return 1 - p_k as the sum of the other probabilities where p_k is large."""
    complements = 1 - p
    largest = (np.arange(len(p)), p.argmax(axis=1))
    others = p.copy()
    others[largest] = 0
    complements[largest] = others.sum(axis=1)
    return complements


def _weigh(losses: Array, slopes: Array, sample_weight: Array | None) -> float:
    """Return the weighted sum of the losses in float64; multiply the slopes by the weights in place."""
    if sample_weight is None:
        return float(losses.sum(dtype=np.float64))
    weights = sample_weight if losses.ndim == 1 else sample_weight[:, np.newaxis]
    slopes *= sample_weight[:, np.newaxis]
    return float(np.multiply(losses, weights, dtype=np.float64).sum())
