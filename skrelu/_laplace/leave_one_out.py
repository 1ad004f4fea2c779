"""Rows left out one at a time: their scores under a fit without them, estimated without a refit.

Let V_i be the covariance of the scores of row i in Laplace's approximation. One Newton step for the objective without
the row gives

    f_i without i  =  f_i + V_i (I - s_i Lambda_i V_i)^-1 s_i dC_i/df_i,

which for a quadratic loss is the leverage formula of least squares (D. A. Belsley, E. Kuh and R. E. Welsch, 'Regression
Diagnostics', Wiley, 1980; for penalised likelihoods K. R. Rad and A. Maleki, 'A scalable estimate of the out-of-sample
prediction error via approximate leave-one-out cross-validation', J. Royal Statistical Society B 82, 2020).

V_i (I - s_i Lambda_i V_i)^-1 is the covariance without row i. If the terms of the curvature were drawn, s_i Lambda_i in
it is the sum over the drawn terms of the row with their weights. If none was drawn, V_i is already the covariance
without the row.

A row of weight s_i > 1 stands for s_i equal rows, of which one is left out: s_i in the formula is min(s_i, 1).

Of many rows, some are drawn. Their losses estimate only what leaving rows out adds to the loss, since the loss of the
fit is known for all rows.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.losses import Loss
from skrelu._core.network import trace_rows
from skrelu._laplace.curvature import Curvature, Tangents
from skrelu._laplace.moderation import Moderation, moderate

_MAX_VALUES = 2**19  # of the kernel between rows and terms; it limits the number of rows
_MAX_VALUES_OF_SCALE = 2**21  # the same for the choice of the scale, where certain rows count as much as others
_MIN_ROWS = 100  # even if the kernel is larger than that
_MAX_BLOCK_ROWS, _MAX_BLOCK_VALUES = 512, 2**20  # of the rows that are computed at a time, and of their arrays
_MIN_REMAINDER = 1e-8  # of 1 minus a leverage

# docs/decisions/0007 has the measurements behind these.
_SCALES = np.logspace(0, -8, 17)  # of the variances
_MAX_LOSS_RATIO = 1.002  # of the loss with the scale chosen and the lowest one
MAX_OUTPUTS = 100  # with more no row is left out: the covariances of all scores would take too long


@dataclass(frozen=True)
class LeftOut:
    """Rows left out one at a time.

    Attributes
    ----------
    loss : Loss
    scores : ndarray of shape (n_rows, n_outputs)
        The scores of each row under a fit without it.
    covariances, prior_covariances : ndarray of shape (n_rows, n_outputs, n_outputs)
        The covariance of these scores, given the labels of the other rows and under the prior.
    targets : ndarray
    weights : ndarray of shape (n_rows,)
        Divided by the probability that the row was drawn.
    total_weight : float
        Of all rows.
    offset : float
        The mean loss (nats) of the fit minus its estimate from these rows; 0 if these are all rows.
    """

    loss: Loss
    scores: Array
    covariances: Array
    prior_covariances: Array
    targets: Array
    weights: Array
    total_weight: float
    offset: float

    def mean_loss(self, scores: Array) -> float:
        """Return the weighted mean loss (nats) if the rows had these scores."""
        total = self.loss.value_and_slopes(scores.copy(), self.targets, self.weights)
        return self.offset + total / self.total_weight


@np.errstate(all="ignore")
def leave_one_out(
    datafit: DataTerm, parameters: Parameters, curvature: Curvature, seed: int, max_values: int | None = None
) -> LeftOut:
    """Return the rows, each as it would be predicted without it; of many rows, some are drawn.

    Parameters
    ----------
    datafit : DataTerm
    parameters : ndarray of shape (n_parameters,)
        A minimum of data term and penalty.
    curvature : Curvature
        The curvature at that minimum.
    seed : int
        Determines the rows that are drawn.
    max_values : int or None
        Of the kernel between rows and terms; it limits the number of rows. None means 2**19.
    """
    sizes = datafit.network.layer_sizes
    n_terms = len(curvature.factor)
    n_rows = min(datafit.n_rows, max((max_values or _MAX_VALUES) // (n_terms * sizes[-1]), _MIN_ROWS))
    if n_rows < datafit.n_rows:
        numbers, inclusion, mean_loss = datafit.sample_rows(parameters, n_rows, seed)
    else:
        numbers, inclusion, mean_loss = np.arange(n_rows), np.ones(n_rows), None
    layers = datafit.network.layers(parameters)
    n_block_rows = min(max(_MAX_BLOCK_VALUES // (max(n_terms, *sizes[1:]) * sizes[-1]), 1), _MAX_BLOCK_ROWS)
    starts = range(0, len(numbers), n_block_rows)
    blocks = [_leave_out_block(datafit, layers, curvature, numbers[start : start + n_block_rows]) for start in starts]
    fitted, scores, covariances, prior_covariances, targets, weights = map(np.concatenate, zip(*blocks, strict=True))
    weights /= inclusion
    offset = 0.0
    if mean_loss is not None:
        # The loss of the fit is known for all rows. So only its difference to the loss of rows left out is estimated.
        offset = mean_loss - datafit.loss.value_and_slopes(fitted, targets, weights) / datafit.total_weight
    return LeftOut(datafit.loss, scores, covariances, prior_covariances, targets, weights, datafit.total_weight, offset)


def _leave_out_block(
    datafit: DataTerm, layers: list[Array], curvature: Curvature, numbers: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return the fitted scores and the arrays of `LeftOut` for the rows of these numbers; weights as they are."""
    n_rows, n_outputs = len(numbers), datafit.network.layer_sizes[-1]
    X, targets, weights = datafit.take(numbers)
    _, scores = trace_rows(layers, X)
    fitted = scores.copy()

    tangents = [Tangents.of(layers, X, np.tile(direction, (n_rows, 1))) for direction in np.eye(n_outputs)]
    covariances, prior_covariances = curvature.covariances(tangents)
    roots = np.stack([datafit.loss.root_columns(scores, np.full(n_rows, k)) for k in range(n_outputs)], axis=1)
    drawn = _weights_drawn(curvature, numbers[:, np.newaxis] * n_outputs + np.arange(n_outputs))
    left_out = np.minimum(weights, 1)
    roots *= np.sqrt(drawn * left_out[:, np.newaxis])[:, :, np.newaxis]
    slopes = scores.copy()
    datafit.loss.value_and_slopes(slopes, targets, left_out)

    # V (I - Lambda V)^-1 = V + V R^T (I - R V R^T)^-1 R V with Lambda = R^T R; I - R V R^T is positive definite.
    leverages, vectors = np.linalg.eigh(roots @ covariances @ roots.transpose(0, 2, 1))
    along = vectors.transpose(0, 2, 1) @ roots @ covariances
    along /= np.sqrt(np.maximum(1 - leverages, _MIN_REMAINDER))[:, :, np.newaxis]
    covariances += along.transpose(0, 2, 1) @ along
    scores += (covariances @ slopes[:, :, np.newaxis])[:, :, 0]
    return fitted, scores, covariances, prior_covariances, targets, weights


def leave_one_out_loss(datafit: DataTerm, parameters: Parameters, curvature: Curvature, seed: int) -> float:
    """Return the weighted mean loss (nats) of rows left out one at a time, see `leave_one_out`."""
    left_out = leave_one_out(datafit, parameters, curvature, seed)
    return left_out.mean_loss(left_out.scores)


@np.errstate(all="ignore")
def choose_moderation(datafit: DataTerm, parameters: Parameters, curvature: Curvature, seed: int) -> Moderation:
    """Choose the moderation by rows left out one at a time, see `leave_one_out`.

    Their moderated scores have the variances of fits without the row. Of all scales whose loss is within 0.2% of the
    lowest, the largest is chosen: losses as close as that hardly differ, and caution costs nothing then. With more than
    100 outputs, or where something is not finite, the variances stay as they are.
    """
    n_outputs = datafit.network.layer_sizes[-1]
    unscaled = Moderation.unscaled(n_outputs)
    if n_outputs > MAX_OUTPUTS:
        return unscaled
    try:
        left_out = leave_one_out(datafit, parameters, curvature, seed, _MAX_VALUES_OF_SCALE)
    except ValueError:  # of linear algebra
        return unscaled
    is_relative = datafit.loss.out_activation == "softmax"
    variances = _variances(left_out.covariances, is_relative=is_relative)
    moderated = (moderate(left_out.scores, scale * variances, is_relative=is_relative) for scale in _SCALES)
    losses = np.array([left_out.mean_loss(scores) for scores in moderated])
    reach = _variances(left_out.prior_covariances, is_relative=is_relative).max(axis=0)
    if not (np.isfinite(losses).all() and np.isfinite(reach).all()):
        return unscaled
    return Moderation(float(_SCALES[np.argmax(losses <= _MAX_LOSS_RATIO * losses.min())]), reach)


def _variances(covariances: Array, *, is_relative: bool) -> Array:
    """Return the variance of each score; if `is_relative`, of each score less the mean over the outputs."""
    if is_relative:
        covariances = covariances - covariances.mean(axis=1, keepdims=True)
        covariances = covariances - covariances.mean(axis=2, keepdims=True)
    return np.maximum(np.einsum("ijj->ij", covariances), 0)


def _weights_drawn(curvature: Curvature, numbers: Array) -> Array:
    """Return the weight 1 / (pi c) of each term in the curvature, 0 if it was not drawn."""
    terms = curvature.terms
    places = np.minimum(np.searchsorted(terms.numbers, numbers), len(terms.numbers) - 1)
    weights = 1 / (terms.inclusion * curvature.damping)
    return np.where(terms.numbers[places] == numbers, weights[places], 0.0)
