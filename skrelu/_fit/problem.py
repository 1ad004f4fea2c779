"""The problem of one call of `fit`: network, labels and rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Parameters
from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._data.labels import Labels
from skrelu._data.rows import WeightedRows
from skrelu._data.validation import largest_value


@dataclass(frozen=True)
class Problem:
    """The network and the checked data.

    Parameters
    ----------
    network : Network
    labels : Labels
    training : WeightedRows
    validation : WeightedRows or None
        The rows for the validation score of early stopping.
    """

    network: Network
    labels: Labels
    training: WeightedRows
    validation: WeightedRows | None

    def datafits(self, team: Team) -> tuple[Datafit, Datafit | None]:
        """Return the data terms of the training rows and of the validation rows."""
        validation = None if self.validation is None else self._datafit(self.validation, team)
        return self._datafit(self.training, team), validation

    def _datafit(self, rows: WeightedRows, team: Team) -> Datafit:
        return Datafit(
            self.network,
            self.labels.loss,
            rows.X,
            rows.targets,
            team=team,
            sample_weight=rows.sample_weight,
            weight_unit=rows.weight_unit,
            selection=rows.selection,
        )

    def starts(
        self, n_init: int, previous: Parameters | None, random_state: np.random.RandomState
    ) -> Iterator[Parameters]:
        """Yield the starting points. The first one is `previous`, the parameters of the previous fit, if given."""
        for number in range(n_init):
            if number == 0 and previous is not None:
                yield previous
            else:
                yield self.network.initial_parameters(random_state)

    def describe_scale(self, penalty: Penalty) -> str:
        """Return a sentence on the size of the numbers and advice, for the message of a fit that overflows."""
        X = largest_value(self.training.X)
        X_val = 0.0 if self.validation is None else largest_value(self.validation.X)
        watched = "" if self.validation is None else f", the validation data up to {X_val:.3g}"
        advice = "Standardise X." if max(X, X_val) > 1e6 else "Rescale sample_weight and alpha."
        with np.errstate(all="ignore"):
            alpha = penalty.alphas.max() / self.training.total_weight
        return f"X holds values up to {X:.3g}{watched}, alpha over the total weight is {alpha:.3g}. {advice}"
