"""The problem of one call of `fit`: network, labels and rows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._data.labels import Labels
from skrelu._data.moments import measure_columns
from skrelu._data.rows import WeightedRows
from skrelu._data.validation import describe_largest, largest_value

_MAX_RATIO_OF_UNITS = 1e4  # of the largest column and the smallest deviation; ages beside rare 0/1 columns have 1e3
_MAX_DISTANCE_IN_FLOAT32 = 2.0**8  # of a mean from 0, in deviations


@dataclass(frozen=True)
class Problem(ABC):
    """The network and the checked data, wherever the rows are.

    Parameters
    ----------
    network : Network
    labels : Labels
    standardization : Standardization or None
        If given, the fit has the parameters of the network for standardised columns.
    """

    network: Network
    labels: Labels
    standardization: Standardization | None

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """The dtype of X."""

    @property
    @abstractmethod
    def has_validation(self) -> bool:
        """Whether there are rows for the validation score of early stopping."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """The total weight of the training rows."""

    @abstractmethod
    def datafits(self, team: Team) -> tuple[DataTerm, DataTerm | None]:
        """Return the data terms of the training rows and of the validation rows."""

    @abstractmethod
    def measure_columns(self) -> Standardization:
        """Return the means and deviations of the columns over the training rows."""

    @abstractmethod
    def largest_values(self) -> list[float]:
        """Return the largest magnitude in the training rows and, if there are any, in the validation rows."""

    def as_kept(self, parameters: Parameters) -> Array:
        """Return the parameters in the units and the dtype in which a fitted model keeps them.

        The dtype is that of the data. But where a mean is far from 0 in deviations, float32 could not hold intercepts.
        """
        dtype = self.dtype
        if self.standardization is None:
            return parameters.astype(dtype)
        is_far = self.standardization.distance > _MAX_DISTANCE_IN_FLOAT32
        return self._convert(parameters, self.standardization.to_given).astype(np.float64 if is_far else dtype)

    def in_units_of_fit(self, parameters: Parameters) -> Parameters:
        """Return the parameters of the fit from those of a fitted model, which are in the units of X."""
        if self.standardization is None:
            return parameters
        return self._convert(parameters, self.standardization.from_given)

    def _convert(self, parameters: Parameters, convert: Callable[[Array], Array]) -> Parameters:
        converted = parameters.copy()
        first = self.network.layers(converted)[0]
        first[...] = convert(first)
        return converted

    def starts(
        self, n_init: int, previous: Parameters | None, random_state: np.random.RandomState
    ) -> Iterator[Parameters]:
        """Yield the starting points. The first one is `previous`, the weights of the previous fit, if given."""
        for number in range(n_init):
            if number == 0 and previous is not None:
                yield self.in_units_of_fit(previous)
            else:
                yield self.start(random_state)

    def start(self, random_state: np.random.RandomState) -> Parameters:
        """Draw a starting point. A constant column that is standardised has no weight."""
        parameters = self.network.initial_parameters(random_state)
        if self.standardization is not None:
            self.network.layers(parameters)[0][:-1][self.standardization.factor == 0] = 0
        return parameters

    @cached_property
    def differs_in_units(self) -> bool:
        """Whether the fit has columns so much larger than the deviations of others that L-BFGS makes little way."""
        if self.standardization is not None:
            return False
        columns = self.measure_columns()
        is_varied = columns.factor > 0
        sizes = np.hypot(columns.center, np.where(is_varied, columns.scale, 0))
        return bool(is_varied.any() and sizes.max() > _MAX_RATIO_OF_UNITS * columns.scale[is_varied].min())

    def describe_scale(self, penalty: Penalty) -> str:
        """Return a sentence on the size of the numbers and advice, for the message of a fit that overflows."""
        largest = self.largest_values()
        values = ", the validation data hold ".join(map(describe_largest, largest))
        if not np.isfinite(largest).all():
            return f"X holds {values}. Every value must be a finite number."
        is_large = max(largest) > 1e6 and self.standardization is None
        advice = "Standardise X." if is_large else "Rescale sample_weight and alpha."
        with np.errstate(all="ignore"):
            alpha = penalty.alphas.max() / self.total_weight
        return f"X holds {values}, alpha over the total weight is {alpha:.3g}. {advice}"


@dataclass(frozen=True)
class LocalProblem(Problem):
    """A problem whose rows are in memory or in a file.

    Parameters
    ----------
    training : WeightedRows
    validation : WeightedRows or None
        The rows for the validation score of early stopping.
    """

    training: WeightedRows
    validation: WeightedRows | None

    @property
    def dtype(self) -> np.dtype:
        return self.training.X.dtype

    @property
    def has_validation(self) -> bool:
        return self.validation is not None

    @property
    def total_weight(self) -> float:
        return self.training.total_weight

    def datafits(self, team: Team) -> tuple[DataTerm, DataTerm | None]:
        """Return the data terms of the training rows and of the validation rows."""
        validation = None if self.validation is None else self._datafit(self.validation, team)
        return self._datafit(self.training, team), validation

    def _datafit(self, rows: WeightedRows, team: Team) -> DataTerm:
        return Datafit(
            self.network,
            self.labels.loss,
            rows.X,
            rows.targets,
            team=team,
            sample_weight=rows.sample_weight,
            weight_unit=rows.weight_unit,
            selection=rows.selection,
            standardization=self.standardization,
        )

    def measure_columns(self) -> Standardization:
        """Return the means and deviations of the columns over the training rows."""
        return measure_columns(self.training, None, 1)

    def largest_values(self) -> list[float]:
        """Return the largest magnitude in the training rows and, if there are any, in the validation rows."""
        return [largest_value(rows.X) for rows in (self.training, self.validation) if rows is not None]
