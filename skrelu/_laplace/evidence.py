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
_MAX_COMPLETE_TERMS = 700  # so many terms are all taken; of more, some are drawn
_FIRST_DRAWN_TERMS, _MAX_DRAWN_TERMS = 350, 700
_MIN_MEAN_LEVERAGE, _MAX_MEAN_LEVERAGE = 0.12, 0.35  # of the drawn terms; outside, half or twice as many are drawn
_MAX_RAISE = 4.0  # of alpha, where the mean leverage is larger than that
_N_CORRECTIONS = 4  # without a previous measurement; after one, its mean leverage is enough
_N_PRIOR_WEIGHTS = 1.0  # the number of weights, at the alpha of all weights, that are added to each group
_MIN_ALPHA, _MAX_ALPHA = 1e-30, 1e30  # in units of one over a squared weight


@dataclass(frozen=True)
class Evidence:
    """Measures the evidence at a point, and updates alpha.

    Parameters
    ----------
    n_terms : int or None
        The maximum number of terms of the curvature. None means all terms if there are at most 700. Otherwise 350 are
        drawn, and the number is doubled, up to 700, while their mean leverage is too large, and halved again.
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
        return Measurement(penalty, np.maximum(gammas, 0), log_evidence, curvature, n_terms)

    def measure_next(
        self, objective: Objective, parameters: Parameters, value: float | None, previous: Measurement | None
    ) -> Measurement:
        """Measure once, with the number of terms and the first mean leverage that a `previous` measurement suggests.

        That is one at a point nearby; None means that there is none.
        """
        n_terms, mean_leverage = self.first_n_terms(objective), 0.0
        if previous is not None:
            n_terms, mean_leverage = self.next_n_terms(previous), previous.curvature.mean_leverage
        return self.measure(objective, parameters, n_terms, value=value, mean_leverage=mean_leverage, n_corrections=1)

    def measure_well(
        self,
        objective: Objective,
        parameters: Parameters,
        value: float | None = None,
        previous: Measurement | None = None,
    ) -> Measurement:
        """Measure again and again, as `measure_next` does, while the terms are too few.

        Without a previous measurement, the first one corrects itself.
        """
        if previous is None:
            n_terms = self.first_n_terms(objective)
            measurement = self.measure(objective, parameters, n_terms, value=value, n_corrections=_N_CORRECTIONS)
        else:
            measurement = self.measure_next(objective, parameters, value, previous)
        while self.next_n_terms(measurement) > measurement.n_terms:
            measurement = self.measure_next(objective, parameters, value, measurement)
        return measurement

    def first_n_terms(self, objective: Objective) -> int:
        """Return the number of terms of the first measurement: all of them if they are few."""
        if self.n_terms is not None:
            return self.n_terms
        n_all = objective.datafit.n_rows * objective.datafit.network.layer_sizes[-1]
        return _MAX_COMPLETE_TERMS if n_all <= _MAX_COMPLETE_TERMS else _FIRST_DRAWN_TERMS

    def next_n_terms(self, measurement: Measurement) -> int:
        """Return the number of terms of the measurement after this one."""
        n_terms, mean_leverage = measurement.n_terms, measurement.curvature.mean_leverage
        if self.n_terms is not None or measurement.curvature.terms.is_complete:
            return n_terms
        if mean_leverage > _MAX_MEAN_LEVERAGE:
            return min(2 * n_terms, _MAX_DRAWN_TERMS)
        return max(n_terms // 2, _FIRST_DRAWN_TERMS) if mean_leverage < _MIN_MEAN_LEVERAGE else n_terms

    @staticmethod
    def update(measurement: Measurement, parameters: Parameters) -> Penalty:
        """Return the penalty of alpha_g = gamma_g / ||W_g||^2, drawn towards the alpha of all weights.

        The alpha of a group is (gamma_g + a) / (||W_g||^2 + a / alpha), where alpha is that of all weights: the prior
        counts as a = 1 weight at that alpha. If each feature has its own alpha, the later layers have the alpha of all
        weights: ReLU lets the scale of the weights move from one layer to another, and free alphas would follow it.

        If the drawn terms are used up, so that gamma is only a lower bound, the alphas are multiplied by
        (1 - 0.35) / (1 - h), where h is their mean leverage.
        """
        penalty, gammas = measurement.penalty, measurement.gammas
        squares = penalty.squared_norms(parameters)
        of_all = _bounded(gammas.sum() / squares.sum())
        raised = _raise_of(measurement.curvature.mean_leverage)
        if penalty.grouping == "shared":
            return penalty.with_alphas(np.array([_bounded(raised * of_all)]))
        alphas = _bounded(raised * (gammas + _N_PRIOR_WEIGHTS) / (squares + _N_PRIOR_WEIGHTS / of_all))
        if penalty.is_by_feature:
            alphas[-1] = _bounded(raised * of_all)
        return penalty.with_alphas(alphas)


def _raise_of(mean_leverage: float) -> float:
    return float(np.clip((1 - _MAX_MEAN_LEVERAGE) / max(1 - mean_leverage, 1e-12), 1, _MAX_RAISE))


def _bounded(alphas: Array) -> Array:
    return np.clip(np.nan_to_num(alphas, nan=1.0), _MIN_ALPHA, _MAX_ALPHA)
