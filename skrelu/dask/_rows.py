"""Encoded rows on a cluster, with the sums of their weights and the means and deviations of their columns."""

import math
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from skrelu._core.arrays import Array
from skrelu._core.blocks import block_rows
from skrelu._core.network import Network
from skrelu._core.standardization import Standardization
from skrelu._core.weights import RelativeWeights
from skrelu._data.labels import Labels
from skrelu._data.moments import Moments, standardize_by
from skrelu.dask._cluster import Partitioned
from skrelu.dask._partition import Encoding, PartFacts
from skrelu.dask._passes import Measure, Plan


@dataclass(frozen=True)
class ClusterRows:
    """Encoded rows on a cluster, with the sums of their weights.

    Attributes
    ----------
    parts : Partitioned
    facts : list of PartFacts
    weights : RelativeWeights
        Without the weights of single rows.
    largest : float
        The largest magnitude in X.
    dtype : dtype
        Of X.
    """

    parts: Partitioned
    facts: list[PartFacts]
    weights: RelativeWeights
    largest: float
    dtype: np.dtype

    @classmethod
    def of(cls, parts: Partitioned, facts: list[PartFacts], encoding: Encoding, largest: float) -> "ClusterRows":
        unit = encoding.factor_unit
        if encoding.exponent is not None:
            unit *= math.ldexp(1.0, encoding.exponent)
        weights = RelativeWeights(None, math.fsum(fact.weight for fact in facts), 1.0, unit)
        return cls(parts, facts, weights, largest, encoding.dtype)

    @property
    def n_rows(self) -> int:
        return sum(fact.n_rows for fact in self.facts)

    @property
    def total_weight(self) -> float:
        return self.weights.unit * self.weights.total

    def counted_as_rows(self, encoding: Encoding, *, has_counts: bool) -> "ClusterRows":
        """Return the rows with the unit in which the evidence counts rows, see `count_effective_rows`."""
        if has_counts and encoding.factors is None:
            return self
        unit = self.weights.sum / math.fsum(fact.squared_weight for fact in self.facts)
        if has_counts and encoding.exponent is not None:
            unit *= math.ldexp(1.0, encoding.exponent)
        return replace(self, weights=replace(self.weights, unit=unit))

    def plan(
        self, network: Network, labels: Labels, standardization: Standardization | None, n_jobs: int | None
    ) -> Plan:
        ends = np.cumsum([0] + [fact.n_rows for fact in self.facts])
        firsts = {fact.number: int(first) for fact, first in zip(self.facts, ends[:-1], strict=True)}
        entries_per_row = None
        if any(fact.n_entries is not None for fact in self.facts):
            entries_per_row = sum(fact.n_entries or 0 for fact in self.facts) / self.n_rows
        n_blocks = -(-self.n_rows // block_rows(network.layer_sizes, entries_per_row, self.n_rows))
        return Plan(network, labels.loss, self.weights, standardization, firsts, self.n_rows, n_blocks, n_jobs)

    def measure_columns(self, dtype: np.dtype, plan: Plan) -> Standardization:
        """Return the means and deviations of the columns, from the moments of the partitions."""
        largest = max(fact.largest_sample_weight for fact in self.facts)

        def measure(exponents: Array) -> Moments:
            moments = sorted(self.parts.run(Measure(exponents, largest), plan), key=lambda part: part[0])
            return reduce(Moments.merged, (part for _, part in moments))

        return standardize_by(measure, dtype)
