"""Leave-one-out loss: the loss of each row under a fit without it, estimated without a refit.

Let V_i be the covariance of the scores of row i in Laplace's approximation. One Newton step for the objective without
the row gives

    f_i without i  =  f_i + V_i (I - s_i Lambda_i V_i)^-1 s_i dC_i/df_i,

which for a quadratic loss is the leverage formula of least squares (D. A. Belsley, E. Kuh and R. E. Welsch, 'Regression
Diagnostics', Wiley, 1980; for penalised likelihoods K. R. Rad and A. Maleki, 'A scalable estimate of the out-of-sample
prediction error via approximate leave-one-out cross-validation', J. Royal Statistical Society B 82, 2020).

V_i (I - s_i Lambda_i V_i)^-1 is the covariance without row i. If the terms of the curvature were drawn, s_i Lambda_i in
it is the sum over the drawn terms of the row with their weights. If none was drawn, V_i is already the covariance
without the row.
"""

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.datafit import Datafit
from skrelu._core.network import trace_rows
from skrelu._laplace.curvature import Curvature, Tangents

_MAX_VALUES = 2**22  # of the kernel between rows and terms; it limits the number of rows
_MIN_ROWS = 100  # even if the kernel is larger than that
_MIN_REMAINDER = 1e-8  # of 1 minus a leverage


@np.errstate(all="ignore")
def leave_one_out_loss(datafit: Datafit, parameters: Parameters, curvature: Curvature, seed: int) -> float:
    """Return the weighted mean loss (nats) of rows left out one at a time; of many rows, some are drawn.

    Parameters
    ----------
    datafit : Datafit
    parameters : ndarray of shape (n_parameters,)
        A minimum of data term and penalty.
    curvature : Curvature
        The curvature at that minimum.
    seed : int
        Determines the rows that are drawn.
    """
    n_outputs = datafit.network.layer_sizes[-1]
    n_rows = min(datafit.n_rows, max(_MAX_VALUES // (len(curvature.factor) * n_outputs), _MIN_ROWS))
    numbers = np.sort(np.random.default_rng(seed).permutation(datafit.n_rows)[:n_rows])
    X, targets, weights = datafit.take(numbers)
    layers = datafit.network.layers(parameters)
    _, scores = trace_rows(layers, X)

    tangents = [Tangents.of(layers, X, np.tile(direction, (n_rows, 1))) for direction in np.eye(n_outputs)]
    covariances = curvature.covariances(tangents)
    roots = np.stack([datafit.loss.root_columns(scores, np.full(n_rows, k)) for k in range(n_outputs)], axis=1)
    drawn = _weights_drawn(curvature, numbers[:, np.newaxis] * n_outputs + np.arange(n_outputs))
    roots *= np.sqrt(drawn * weights[:, np.newaxis])[:, :, np.newaxis]
    slopes = scores.copy()
    datafit.loss.value_and_slopes(slopes, targets, weights)

    # V (I - Lambda V)^-1 = V + V R^T (I - R V R^T)^-1 R V with Lambda = R^T R; I - R V R^T is positive definite.
    leverages, vectors = np.linalg.eigh(roots @ covariances @ roots.transpose(0, 2, 1))
    moved = covariances @ slopes[:, :, np.newaxis]
    along = vectors.transpose(0, 2, 1) @ (roots @ moved) / np.maximum(1 - leverages, _MIN_REMAINDER)[:, :, np.newaxis]
    moved += covariances @ (roots.transpose(0, 2, 1) @ (vectors @ along))
    scores += moved[:, :, 0]
    return datafit.loss.value_and_slopes(scores, targets, weights) / float(weights.sum())


def _weights_drawn(curvature: Curvature, numbers: Array) -> Array:
    """Return the weight 1 / (pi c) of each term in the curvature, 0 if it was not drawn."""
    terms = curvature.terms
    places = np.minimum(np.searchsorted(terms.numbers, numbers), len(terms.numbers) - 1)
    weights = 1 / (terms.inclusion * curvature.damping)
    return np.where(terms.numbers[places] == numbers, weights[places], 0.0)
