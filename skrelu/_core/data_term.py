"""The data term: a sum over the rows, divided by the total weight, wherever the rows are.

    C(theta) / S = 1/S sum_i s_i loss(f(x_i), y_i),    S = sum_i s_i

It contains no penalty. `Datafit` has rows in memory or in a file; rows on a cluster are another subclass, and the files
above this one are the same for both.
"""

from abc import ABC, abstractmethod

import numpy as np

from skrelu._core.arrays import Array, Inputs, Parameters
from skrelu._core.losses import Loss
from skrelu._core.network import Network, trace_rows
from skrelu._core.terms import PrioritySample, Terms
from skrelu._core.weights import RelativeWeights


class DataTerm(ABC):
    """C / S as a function of the flat parameter vector.

    Parameters
    ----------
    network : Network
    loss : Loss
    weights : RelativeWeights
    dtype : dtype
        The dtype of the computation; sums over blocks are in float64.
    n_rows : int

    Attributes
    ----------
    total_weight : float
        S; infinite if the sum overflows.
    """

    def __init__(self, network: Network, loss: Loss, weights: RelativeWeights, dtype: np.dtype, n_rows: int) -> None:
        self.network = network
        self.loss = loss
        self.dtype = dtype
        self.n_rows = n_rows
        self.total_weight = weights.unit * weights.total
        self._weights = weights

    @property
    def precision(self) -> float:
        """The smallest change of the value that is not due to rounding.

        The loss of a row is rounded to about the epsilon of the dtype. The sum is taken in float64, and most of these
        errors average out: docs/decisions/0002 has the measurements.
        """
        return float(np.finfo(self.dtype.type).eps) / 16

    def over_total_weight(self, figures: Array) -> Array:
        """Return figures divided by S, correct even if S itself overflows."""
        return figures / self._weights.unit / self._weights.total

    @abstractmethod
    def value_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return C / S and its gradient in float64. Both may be infinite or NaN if scores overflow."""

    @abstractmethod
    def value(self, parameters: Parameters) -> float:
        """Return C / S without its gradient: this takes a forward pass only."""

    @abstractmethod
    def take(self, numbers: Array) -> tuple[Inputs, Array, Array]:
        """Return a few rows in float64, their targets and their weights s_i."""

    @abstractmethod
    def draw_rows(self, parameters: Parameters, n_rows: int, seed: int) -> tuple[PrioritySample, float]:
        """Return the drawn rows of `sample_rows`, and C / S of all rows."""

    @abstractmethod
    def draw_terms(self, parameters: Parameters, n_terms: int, seed: int) -> PrioritySample:
        """Return the drawn terms of `sample_terms`, by their numbers."""

    def sample_rows(self, parameters: Parameters, n_rows: int, seed: int) -> tuple[Array, Array, float]:
        """Draw rows; the larger the root of s_i sum_k |dC_i/df_ik|, the more probably.

        So rows that the model is less certain of are drawn more often. The same seed gives the same random numbers at
        every point.

        Returns
        -------
        numbers : ndarray of shape (n_rows,)
            In ascending order. They are fewer than `n_rows` if fewer rows have a slope.
        inclusion : ndarray of shape (n_rows,)
            The probabilities of having been drawn.
        loss : float
            C / S of all rows.
        """
        sample, loss = self.draw_rows(parameters, n_rows, seed)
        return *sample.result(), loss

    def sample_terms(self, parameters: Parameters, n_terms: int, seed: int) -> Terms:
        """Return all terms of the curvature if they are at most `n_terms`; otherwise draw `n_terms` of them.

        The larger its squared norm s_i ||l_ik||^2 (1 + ||z_{i,L-1}||^2), the more probably a term is drawn. This is the
        norm of the term's part for the last layer, which takes one forward pass. The same seed gives the same random
        numbers at every point.
        """
        numbers, inclusion = self.draw_terms(parameters, n_terms, seed).result()
        samples, outputs = np.divmod(numbers, self.network.layer_sizes[-1])
        X, _, weights = self.take(samples)
        _, scores = trace_rows(self.network.layers(parameters), X)
        slopes = self.loss.root_columns(scores, outputs) * np.sqrt(weights / inclusion)[:, np.newaxis]
        return Terms(X, slopes, inclusion, numbers)
