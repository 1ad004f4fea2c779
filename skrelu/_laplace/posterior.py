"""The variance of the scores of a fitted model in Laplace's approximation.

The scores are approximated as linear functions of the weights around the fitted weights. Then their covariance is
J A^-1 J^T, that of a Gaussian process with the network's tangent kernel (see `curvature`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array, issparse

from skrelu._core.arrays import Array, CentredRows, Inputs, Rows
from skrelu._core.network import Network
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team, count_threads
from skrelu._laplace.curvature import Curvature, Tangents, predictive_variances
from skrelu._laplace.moderation import Moderation

_MAX_VALUES = 2**20  # of the arrays for one block of rows


class NoPosterior(Enum):
    """The reason why a model has no posterior; the value is the message for the user."""

    PENDING = "Variances are known when the fit has ended."  # a copy for a callback predicts without them
    NOT_MEASURED = (
        "Variances need a fit of DeepLogisticClassifier with alpha='evidence' or predictive='laplace', whose curvature "
        "could be measured."
    )
    NOT_SAVED = (
        "Variances need what pickles and copies of this estimator leave out unless predictive='laplace': set that, by "
        "set_params, before pickling a fitted estimator."
    )


@dataclass(frozen=True)
class Posterior:
    """Laplace's approximation of the posterior, by the terms of its curvature: their rows, slopes and one factor.

    The factor by which probabilities scale its variances belongs to it.

    Attributes
    ----------
    rows : {ndarray, CSR matrix, CentredRows} of shape (m, n_features)
        In the dtype of the training data.
    slopes : ndarray of shape (m, n_outputs)
    alphas : list of number or ndarray
        The alpha of each layer, as in `Curvature`.
    factor : ndarray of shape (m, m)
        The lower Cholesky factor of C + K.
    moderation : Moderation
    standardization : Standardization or None
        The units of the rows, and of alpha; None if they are those of X.
    """

    rows: Inputs
    slopes: Array
    alphas: list[Array]
    factor: Array
    moderation: Moderation
    standardization: Standardization | None

    @classmethod
    def of(
        cls, curvature: Curvature, dtype: np.dtype, moderation: Moderation, standardization: Standardization | None
    ) -> Self:
        rows = curvature.terms.X.astype(dtype)
        return cls(rows, curvature.terms.slopes, curvature.alphas, curvature.factor, moderation, standardization)

    def to_state(self) -> dict[str, Any]:
        """Return the posterior as arrays and Python types: the triangle of the factor, the arrays of sparse rows."""
        rows: Any = self.rows
        if not isinstance(rows, np.ndarray):
            values = rows.values if isinstance(rows, CentredRows) else rows
            center = rows.center if isinstance(rows, CentredRows) else None
            rows = {name: getattr(values, name) for name in ("data", "indices", "indptr", "shape")}
            rows["center"] = center
        units = self.standardization
        return {
            **vars(self),
            "rows": rows,
            "factor": self.factor[np.tril_indices(len(self.factor))],
            "moderation": dict(vars(self.moderation)),
            "standardization": None if units is None else {"center": units.center, "factor": units.factor},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the posterior of a state that `to_state` returned."""
        factor = np.zeros((len(state["slopes"]),) * 2)
        factor[np.tril_indices(len(factor))] = state["factor"]
        rows, units = state["rows"], state["standardization"]
        if isinstance(rows, dict):
            values = csr_array((rows["data"], rows["indices"], rows["indptr"]), shape=rows["shape"])
            rows = values if rows["center"] is None else CentredRows(values, rows["center"])
        return cls(
            rows,
            state["slopes"],
            state["alphas"],
            factor,
            Moderation(**state["moderation"]),
            None if units is None else Standardization(**units),
        )

    def variances(
        self, coefs: list[Array], intercepts: list[Array], X: Rows, *, is_relative: bool, n_jobs: int | None
    ) -> tuple[Array, Array]:
        """Return the variance of each score; if `is_relative`, of each score less the mean over the outputs.

        Returns
        -------
        variances, prior_variances : ndarray of shape (n_samples, n_outputs)
            Given the labels, and under the prior.
        """
        network = Network.of(coefs)
        layers = network.layers(Network.join(coefs, intercepts).astype(np.float64))
        units = self.standardization
        if units is not None:
            layers[0] = units.from_given(layers[0])
        n_outputs = network.layer_sizes[-1]
        directions = np.eye(n_outputs) - (1 / n_outputs if is_relative else 0)
        n_rows = max(_MAX_VALUES // max(len(self.factor), *network.layer_sizes), 1)
        starts = range(0, X.shape[0], n_rows)
        variances, prior_variances = np.empty((2, X.shape[0], n_outputs))
        with Team(count_threads(n_jobs)) as team:
            terms = Tangents.of(layers, self.rows.astype(np.float64), self.slopes)

            def compute(member: int, block: int) -> None:
                where = slice(starts[block], starts[block] + n_rows)
                rows = _in_float64(X[where])
                rows = rows if units is None else units.rows(rows)
                for output, direction in enumerate(directions):
                    tangents = Tangents.of(layers, rows, np.tile(direction, (rows.shape[0], 1)))
                    variances[where, output], prior_variances[where, output] = predictive_variances(
                        tangents, terms, self.factor, self.alphas
                    )

            team.each_block(len(starts), compute)
        return variances, prior_variances


def _in_float64(X: Rows) -> Rows:
    # In C order, since the last bits of a product depend on the order in memory, which differs between data frames.
    return X.astype(np.float64) if issparse(X) else np.ascontiguousarray(X, dtype=np.float64)
