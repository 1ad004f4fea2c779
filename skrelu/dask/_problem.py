"""The problem of a fit on a cluster: the network, and the data terms of encoded rows."""

from dataclasses import dataclass, replace

import numpy as np

from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._fit.problem import Problem
from skrelu.dask._datafit import ClusterDatafit
from skrelu.dask._passes import Plan
from skrelu.dask._rows import ClusterRows


@dataclass(frozen=True)
class ClusterProblem(Problem):
    """A problem whose rows are on a cluster.

    Parameters
    ----------
    training : ClusterRows
    validation : ClusterRows or None
    x_dtype : dtype
    n_jobs : int or None
        The number of threads of a worker.
    """

    training: ClusterRows
    validation: ClusterRows | None
    x_dtype: np.dtype
    n_jobs: int | None

    @property
    def dtype(self) -> np.dtype:
        return self.x_dtype

    @property
    def has_validation(self) -> bool:
        return self.validation is not None

    @property
    def total_weight(self) -> float:
        return self.training.total_weight

    def datafits(self, team: Team) -> tuple[ClusterDatafit, ClusterDatafit | None]:
        """Return the data terms of the training rows and of the validation rows."""
        validation = None if self.validation is None else self._datafit(self.validation)
        return self._datafit(self.training), validation

    def _datafit(self, rows: ClusterRows) -> ClusterDatafit:
        return ClusterDatafit(self._plan(rows), rows.parts, rows.dtype, rows.n_rows)

    def _plan(self, rows: ClusterRows) -> Plan:
        return rows.plan(self.network, self.labels, self.standardization, self.n_jobs)

    def standardized(self) -> "ClusterProblem":
        """Return the problem with standardised columns."""
        return replace(self, standardization=self.measure_columns())

    def measure_columns(self) -> Standardization:
        """Return the means and deviations of the columns over the training rows."""
        return self.training.measure_columns(self.x_dtype, self._plan(self.training))

    def largest_values(self) -> list[float]:
        """Return the largest magnitude in the training rows and, if there are any, in the validation rows."""
        return [rows.largest for rows in (self.training, self.validation) if rows is not None]
