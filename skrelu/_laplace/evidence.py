"""The evidence for alpha: the probability of the training labels, with the weights integrated out.

At the minimum of F = C + 1/2 sum_g alpha_g ||W_g||^2, with A = G + diag(alpha) (see `curvature`), Laplace's
approximation of the integral over the weights gives

    log evidence = -F - 1/2 log|I + K|.

It is stationary in alpha_g where alpha_g ||W_g||^2 = gamma_g, the number of well-determined weights of the group.

D. J. C. MacKay, 'The Evidence Framework Applied to Classification Networks', Neural Computation 4, 1992.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._laplace.curvature import Curvature
from skrelu._laplace.measurement import Measurement

# docs/decisions/0007 has the measurements behind these.
_MAX_COMPLETE_TERMS = 1000  # so many terms are all taken; of more, some are drawn
_FIRST_DRAWN_TERMS, _MAX_DRAWN_TERMS = 500, 2000
_MAX_MEAN_LEVERAGE = 0.35  # of the drawn terms; above it, twice as many are drawn
_N_PRIOR_WEIGHTS = 1.0  # the number of weights, at the alpha of all weights, that are added to each group
_MIN_ALPHA, _MAX_ALPHA = 1e-30, 1e30  # in units of one over a squared weight


@dataclass(frozen=True)
class Evidence:
    """Measures the evidence at a point, and updates alpha.

    Parameters
    ----------
    n_terms : int or None
        The maximum number of terms of the curvature. None means all terms if there are at most 1000. Otherwise 500 are
        drawn, and the number is doubled, up to 2000, while their mean leverage is too large.
    seed : int
        Determines the terms that are drawn.
    """

    n_terms: int | None
    seed: int

    @np.errstate(all="ignore")
    def measure(
        self,
        objective: Objective,
        parameters: Parameters,
        n_terms: int,
        *,
        value: float | None = None,
        mean_leverage: float = 0.0,
        n_corrections: int = 2,
    ) -> Measurement:
        """Measure the evidence at a point.

        Parameters
        ----------
        objective : Objective
        parameters : ndarray of shape (n_parameters,)
        n_terms : int
        value : float or None
            The objective at the point, if it is known.
        mean_leverage : float
            The first value, see `Curvature`.
        n_corrections : int

        Raises
        ------
        FloatingPointError
            If the curvature is not finite.
        """
        datafit, penalty = objective.datafit, objective.penalty
        terms = datafit.sample_terms(parameters, n_terms, self.seed)
        if not len(terms.numbers):
            raise FloatingPointError("no row carries curvature: all are certain to the last digit")
        layers = datafit.network.layers(parameters)
        try:
            curvature = Curvature(
                layers, terms, penalty.per_layer, mean_leverage=mean_leverage, n_corrections=n_corrections
            )
        except np.linalg.LinAlgError as error:
            raise FloatingPointError(str(error)) from error
        gammas = penalty.add_up(curvature.effective_parameters(by_feature=penalty.is_by_feature))
        F = (objective.value(parameters) if value is None else value) * datafit.total_weight
        log_evidence = -F - 0.5 * curvature.log_determinant
        if not (np.isfinite(gammas).all() and np.isfinite(log_evidence)):
            raise FloatingPointError("the curvature is not finite")
        return Measurement(penalty, np.maximum(gammas, 0), log_evidence, curvature)

    def measure_well(self, objective: Objective, parameters: Parameters, value: float | None = None) -> Measurement:
        """Measure with as many terms as the mean leverage requires, and with more corrections than in a round."""
        n_terms, mean_leverage = self.first_n_terms(objective), 0.0
        while True:
            measurement = self.measure(
                objective, parameters, n_terms, value=value, mean_leverage=mean_leverage, n_corrections=4
            )
            mean_leverage = measurement.curvature.mean_leverage
            larger = self.next_n_terms(n_terms, mean_leverage)
            if larger == n_terms:
                return measurement
            n_terms = larger

    def first_n_terms(self, objective: Objective) -> int:
        """Return the number of terms of the first measurement: all of them if they are few."""
        if self.n_terms is not None:
            return self.n_terms
        n_all = objective.datafit.n_rows * objective.datafit.network.layer_sizes[-1]
        return _MAX_COMPLETE_TERMS if n_all <= _MAX_COMPLETE_TERMS else _FIRST_DRAWN_TERMS

    def next_n_terms(self, n_terms: int, mean_leverage: float) -> int:
        """Return the number of terms of the measurement after one with this number and mean leverage."""
        is_short = self.n_terms is None and mean_leverage > _MAX_MEAN_LEVERAGE
        return min(2 * n_terms, _MAX_DRAWN_TERMS) if is_short else n_terms

    @staticmethod
    def update(measurement: Measurement, parameters: Parameters) -> Penalty:
        """Return the penalty of alpha_g = gamma_g / ||W_g||^2, drawn towards the alpha of all weights.

        The alpha of a group is (gamma_g + a) / (||W_g||^2 + a / alpha), where alpha is that of all weights: the prior
        counts as a = 1 weight at that alpha. If each feature has its own alpha, the later layers have the alpha of all
        weights: ReLU lets the scale of the weights move from one layer to another, and free alphas would follow it.
        """
        penalty, gammas = measurement.penalty, measurement.gammas
        squares = penalty.squared_norms(parameters)
        of_all = _bounded(gammas.sum() / squares.sum())
        if penalty.grouping == "shared":
            return penalty.with_alphas(np.array([of_all]))
        alphas = _bounded((gammas + _N_PRIOR_WEIGHTS) / (squares + _N_PRIOR_WEIGHTS / of_all))
        if penalty.is_by_feature:
            alphas[-1] = of_all
        return penalty.with_alphas(alphas)


def _bounded(alphas: Array) -> Array:
    return np.clip(np.nan_to_num(alphas, nan=1.0), _MIN_ALPHA, _MAX_ALPHA)
