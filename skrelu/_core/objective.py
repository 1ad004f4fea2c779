"""The objective that L-BFGS minimises: data term plus penalty, divided by the total weight S = sum_i s_i.

F(theta) / S = C(theta) / S + 1/S 1/2 sum_g alpha_g ||W_g||^2
"""

from skrelu._core.arrays import Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.penalty import Penalty


class Objective:
    """F / S as a function of the flat parameter vector."""

    def __init__(self, datafit: DataTerm, penalty: Penalty) -> None:
        self.datafit = datafit
        self.penalty = penalty
        self._relative_penalty = penalty.with_alphas(datafit.over_total_weight(penalty.alphas))

    @property
    def precision(self) -> float:
        return self.datafit.precision

    def value_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return F / S and its gradient in float64. Both may be infinite or NaN if scores overflow."""
        value, gradient = self.datafit.value_and_gradient(parameters)
        penalty, penalty_gradient = self._relative_penalty.value_and_gradient(parameters)
        gradient += penalty_gradient
        return value + penalty, gradient

    def value(self, parameters: Parameters) -> float:
        """Return F / S without its gradient: this takes a forward pass only."""
        return self.datafit.value(parameters) + self._relative_penalty.value(parameters)

    def penalty_value(self, parameters: Parameters) -> float:
        """Return the penalty divided by S."""
        return self._relative_penalty.value(parameters)
