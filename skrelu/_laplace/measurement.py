"""The result of a measurement of the evidence."""

from dataclasses import dataclass

from skrelu._core.arrays import Array
from skrelu._core.penalty import Penalty
from skrelu._laplace.curvature import Curvature


@dataclass(frozen=True)
class Measurement:
    """The evidence, gamma and the curvature at one point.

    Attributes
    ----------
    penalty : Penalty
        The penalty of the objective.
    gammas : ndarray of shape (n_groups,)
        The number of well-determined weights of each group.
    log_evidence : float
        In nats.
    curvature : Curvature
    n_terms : int
        The maximum number of terms that were drawn.
    """

    penalty: Penalty
    gammas: Array
    log_evidence: float
    curvature: Curvature
    n_terms: int

    @property
    def gamma(self) -> float:
        return float(self.gammas.sum())
