"""The data term of rows on a cluster: each value is a pass over the partitions, where they lie."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, Inputs, Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.terms import PrioritySample
from skrelu.dask._cluster import Partitioned
from skrelu.dask._passes import Draw, Drawn, Plan, Take, Value, ValueAndGradient


class ClusterDatafit(DataTerm):
    """C / S as a function of the flat parameter vector.

    Parameters
    ----------
    plan : Plan
    parts : Partitioned
    dtype : dtype
    n_rows : int
    """

    def __init__(self, plan: Plan, parts: Partitioned, dtype: np.dtype, n_rows: int) -> None:
        super().__init__(plan.network, plan.loss, plan.weights, dtype, n_rows)
        assert plan.firsts is not None, "rows are drawn and taken by their numbers"
        self._plan = plan
        self._plan_of_values = replace(plan, firsts=None)  # a number for each partition less to send
        self._parts = parts
        self._numbers = np.array(list(plan.firsts))
        self._firsts = np.array(list(plan.firsts.values()))

    def value_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return C / S and its gradient in float64. Both may be infinite or NaN if scores overflow."""
        both = self._parts.run(ValueAndGradient(parameters), self._plan_of_values).result()
        return float(both[-1]), both[:-1]

    def value(self, parameters: Parameters) -> float:
        """Return C / S without its gradient: this takes a forward pass only."""
        return float(self._parts.run(Value(parameters), self._plan_of_values).result()[0])

    def take(self, numbers: Array) -> tuple[Inputs, Array, Array]:
        """Return a few rows in float64, their targets and their weights s_i."""
        places = np.searchsorted(self._firsts, numbers, side="right") - 1
        by_part = {
            int(self._numbers[place]): numbers[places == place] - self._firsts[place] for place in np.unique(places)
        }
        # The rows do not depend on the units of the fit, so the plan is sent without them.
        plan = replace(self._plan_of_values, standardization=None)
        found = self._parts.run(Take(by_part), plan, list(by_part))
        found.sort(key=lambda part: part[0])
        rows = [part[1] for part in found]
        X = sparse.vstack(rows, format="csr") if sparse.issparse(rows[0]) else np.concatenate(rows)
        order = np.argsort(np.argsort(places, kind="stable"), kind="stable")
        targets, weights = (np.concatenate([part[n] for part in found])[order] for n in (2, 3))
        X = X[order]
        standardization = self._plan.standardization
        return X if standardization is None else standardization.rows(X), targets, weights

    def draw_rows(self, parameters: Parameters, n_rows: int, seed: int) -> tuple[PrioritySample, float]:
        """Return the drawn rows of `sample_rows`, and C / S of all rows."""
        drawn = self._draw(parameters, n_rows, seed, is_of_terms=False)
        return drawn.sample, float(drawn.loss.result()[0])

    def draw_terms(self, parameters: Parameters, n_terms: int, seed: int) -> PrioritySample:
        """Return the drawn terms of `sample_terms`, by their numbers."""
        return self._draw(parameters, n_terms, seed, is_of_terms=True).sample

    def _draw(self, parameters: Parameters, n_items: int, seed: int, *, is_of_terms: bool) -> Drawn:
        return self._parts.run(Draw(parameters, n_items, seed, is_of_terms), self._plan)
