"""What one call of `fit` has to solve: network, labels, rows to learn from and rows to watch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from skrelu._evidence import Evidence
from skrelu._labels import Labels
from skrelu._network import Network
from skrelu._objective import Objective
from skrelu._penalty import Penalty
from skrelu._posterior import PENDING
from skrelu._threads import Team
from skrelu._training_data import WeightedRows
from skrelu._typing import Array, Parameters, Rows


@dataclass(frozen=True)
class Problem:
    """The network and the data, validated, in the form that the search wants.

    Parameters
    ----------
    network : Network
    labels : Labels
    training : WeightedRows
    validation : WeightedRows or None
        The rows that early stopping watches.
    penalty : Penalty
        Which weights share an alpha.
    alphas : ndarray of shape (n_groups,)
        The alphas, or where the search for them begins, times `weight_scale`.
    weight_scale : float
        What the training weights, and with them the alphas, were multiplied by.
    evidence : Evidence or None
        Measures the curvature, if that is wanted.
    chooses_alpha : bool
        Whether the evidence chooses the alphas.
    """

    network: Network
    labels: Labels
    training: WeightedRows
    validation: WeightedRows | None
    penalty: Penalty
    alphas: Array
    weight_scale: float
    evidence: Evidence | None
    chooses_alpha: bool

    def objective(self, team: Team) -> Objective:
        """Return what is minimised."""
        return self._objective(self.training, self.penalty.per_parameter(self.alphas), team)

    def validation_objective(self, team: Team) -> Objective | None:
        """Return what is watched, if anything."""
        return None if self.validation is None else self._objective(self.validation, 0.0, team)

    def _objective(self, rows: WeightedRows, alpha: float | Parameters, team: Team) -> Objective:
        return Objective(
            self.network,
            self.labels.loss,
            rows.X,
            rows.targets,
            team=team,
            sample_weight=rows.sample_weight,
            alpha=alpha,
            selection=rows.selection,
        )

    def starts(
        self, n_init: int, previous: Parameters | None, random_state: np.random.RandomState
    ) -> Iterator[Parameters]:
        """Yield the starting points, the first one from the previous fit if there is one to continue."""
        for number in range(n_init):
            if number == 0 and previous is not None:
                yield previous
            else:
                yield self.network.initial_parameters(random_state)

    def describe(self, parameters: Parameters) -> dict[str, Any]:
        """Return the fitted attributes that `predict` needs, in the dtype of the data."""
        with np.errstate(all="ignore"):
            coefs, intercepts = self.network.split(parameters.astype(self.training.X.dtype))
        return {
            "classes_": self.labels.classes,
            "n_layers_": len(self.network.layer_sizes),
            "n_outputs_": self.labels.n_outputs,
            "out_activation_": self.labels.loss.out_activation,
            "coefs_": coefs,
            "intercepts_": intercepts,
            "_posterior": PENDING,  # a callback's copy predicts without
        }

    def describe_scale(self) -> str:
        """Say how large the numbers are, for the message of a fit that overflows at its start."""
        X = largest_value(self.training.X)
        X_val = 0.0 if self.validation is None else largest_value(self.validation.X)
        watched = "" if self.validation is None else f", the validation data up to {X_val:.3g}"
        advice = "Standardise X." if max(X, X_val) > 1e6 else "Rescale sample_weight and alpha."
        penalty = self.alphas.max() / self.training.total_weight
        return f"X holds values up to {X:.3g}{watched}, alpha over the total weight is {penalty:.3g}. {advice}"


def largest_value(X: Rows) -> float:
    """Return the largest magnitude in X."""
    values = X.data if sparse.issparse(X) else X
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))
