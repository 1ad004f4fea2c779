"""Measurement of the evidence at one point."""

from dataclasses import dataclass

from skrelu._core.arrays import Array
from skrelu._core.penalty import Penalty
from skrelu._laplace.curvature import Curvature


@dataclass(frozen=True)
class Measurement:
    """What the curvature at one point says about the penalty.

    Attributes
    ----------
    penalty : Penalty
        The penalty in force.
    gammas : ndarray of shape (n_groups,)
        The number of well-determined weights of each group.
    log_evidence : float
        In nats.
    curvature : Curvature
    """

    penalty: Penalty
    gammas: Array
    log_evidence: float
    curvature: Curvature

    @property
    def gamma(self) -> float:
        return float(self.gammas.sum())
