"""The table of a fit on a cluster: partitions are checked and encoded once, and stay on the workers."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
from dask.delayed import delayed
from distributed import Future

from skrelu._core.arrays import Array
from skrelu._data.labels import Labels
from skrelu._data.rows import MIN_WEIGHT, balancing_factors, given_factors, row_factors
from skrelu._data.splits import class_quotas, count_held_out, share_out
from skrelu._data.validation import check_class_weight
from skrelu.dask._cluster import Cluster, Partitioned, even_owners
from skrelu.dask._collections import Names, Partitions
from skrelu.dask._partition import (
    Encoding,
    Facts,
    PartitionError,
    Sort,
    check_facts,
    check_labels,
    check_rows,
    encode_rows,
    learn_facts,
    learn_part_facts,
    targets_of_largest,
)
from skrelu.dask._rows import ClusterRows


@dataclass(frozen=True)
class CheckedTable:
    """Checked partitions on the workers, and what the client knows about them.

    Attributes
    ----------
    cluster : Cluster
    futures : dict of Future
        The partitions with rows, by their numbers.
    facts : list of Facts
    name : str
        The name of the rows in messages.
    sort : Sort
    """

    cluster: Cluster
    futures: dict[int, Future]
    facts: list[Facts]
    name: str
    sort: Sort

    @classmethod
    def of(cls, cluster: Cluster, partitions: Partitions, model: Any, names: Names) -> "CheckedTable":
        """Compute the partitions on the workers and check them.

        Raises
        ------
        ValueError, TypeError
            If a partition is not valid.
        PartitionError
            If a partition cannot be computed.
        """
        name, sort = names[0], Sort(names, model)
        check = delayed(check_rows, pure=False)
        shared = delayed(sort, pure=False)
        rows = zip(partitions.X, partitions.y, partitions.sample_weight, strict=True)
        tasks = [check(*parts, number, shared) for number, parts in enumerate(rows)]
        futures = dict(enumerate(cluster.compute(tasks)))
        learnt: list[Future] = []
        try:
            learnt = cluster.map(learn_facts, futures.values())
            cluster.wait(learnt)
            _raise_first(futures, name)
            facts = cluster.gather(learnt)
            check_facts(facts, name)
        except BaseException:
            cluster.cancel([*learnt, *futures.values()])
            raise
        for fact in facts:
            if not fact.n_rows:
                futures.pop(fact.number).release()
        facts = [fact for fact in facts if fact.n_rows]
        return cls(cluster, futures, facts, name, sort)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(fact.dtype for fact in self.facts))

    @property
    def has_counts(self) -> bool:
        """Whether the sample weights are counts of rows."""
        return all(fact.are_counts for fact in self.facts)

    @property
    def n_counted(self) -> int:
        """The number of rows of positive weight."""
        return sum(fact.n_counted for fact in self.facts)

    @property
    def exponent(self) -> int | None:
        exponents = [fact.exponent for fact in self.facts if fact.exponent is not None]
        return max(exponents) if exponents else None

    @property
    def largest(self) -> float:
        return max(fact.largest for fact in self.facts)

    def labels(self) -> Labels:
        """Return the labels of the rows of positive weight.

        Raises
        ------
        ValueError, TypeError
            If there is only one class, or labels of two partitions are of different kinds.
        """
        self._check_weights()
        kinds: dict[Any, int] = {}
        for fact in self.facts:
            kind = ("text" if fact.classes.dtype.kind in "USOT" else "numbers", fact.n_label_columns)
            kinds.setdefault(kind, fact.number)
        if len(kinds) > 1:
            (first, of_first), (second, of_second) = list(kinds.items())[:2]
            raise TypeError(
                f"{self.sort.names[1]} must hold labels of one kind: those of partition {of_first} are {first[0]} in "
                f"{first[1]} column(s), those of partition {of_second} {second[0]} in {second[1]}."
            )
        n_columns = self.facts[0].n_label_columns
        if n_columns > 1:
            return Labels.of_indicator(n_columns)
        where = "" if self.n_counted == sum(fact.n_rows for fact in self.facts) else " in rows of positive weight"
        return Labels.of_classes(
            np.unique(np.concatenate([fact.classes for fact in self.facts if fact.n_counted])), where
        )

    def _check_weights(self) -> None:
        if not self.n_counted:
            raise ValueError(f"{self.sort.names[2]} must hold at least one positive weight, all are zero.")

    def counts(self, labels: Labels) -> Array:
        """Return the number of rows of each class in each partition, for multilabel targets of all rows."""
        if labels.is_multilabel:
            return np.array([[fact.n_counted] for fact in self.facts])
        table = np.zeros((len(self.facts), len(labels.classes)), dtype=np.intp)
        for row, fact in zip(table, self.facts, strict=True):
            row[np.searchsorted(labels.classes, fact.classes)] = fact.counts
        return table

    def factors(self, labels: Labels, class_weight: Any) -> Array | None:
        """Return the factors of the classes, see `class_factors`."""
        if not isinstance(class_weight, str):
            return given_factors(labels, class_weight)
        totals, total = np.zeros(len(labels.classes)), 0.0
        for fact in self.facts:
            shift = 0 if fact.exponent is None else max(fact.exponent - (self.exponent or 0), -2000)
            places = np.searchsorted(labels.classes, fact.classes)
            totals[places] += np.maximum(np.ldexp(fact.weights, shift), fact.counts * MIN_WEIGHT)
            total += max(math.ldexp(fact.total_weight, shift), fact.n_counted * MIN_WEIGHT)
        if labels.is_multilabel:
            return np.array([balancing_factors(np.array([total - present, present])) for present in totals])
        return balancing_factors(totals)

    def hold_out(
        self, encoding: Encoding, fraction: float, random_state: np.random.RandomState
    ) -> tuple[Array, Encoding]:
        """Return how many rows of each class to hold out in each partition, and the encoding that draws them.

        Each class is held out in its proportion, and shared out over the partitions in proportion to its rows there.
        Where that leaves a choice, the partitions are taken in an order that is drawn.
        """
        labels = encoding.labels
        counts = self.counts(labels)
        totals = counts.sum(axis=0)
        n_held_out = count_held_out(int(totals.sum()), labels, fraction)
        by_class = [n_held_out] if labels.is_multilabel else class_quotas(totals, n_held_out)
        order = random_state.permutation(len(counts))
        quotas = np.zeros_like(counts)
        for label, quota in enumerate(by_class):
            if quota:
                quotas[order, label] = share_out(counts[order, label], quota, counts[order, label])
        return quotas, replace(encoding, seed=int(random_state.randint(2**31 - 1)))

    def encoding_like(self, encoding: Encoding) -> Encoding:
        """Return the encoding of validation rows: labels and class weights are those of the training rows."""
        return replace(encoding, exponent=self.exponent, dtype=self.dtype)

    def encode(self, encoding: Encoding, quotas: Array | None = None, *, is_validation: bool = False) -> ClusterRows:
        """Encode the partitions on the workers, evenly divided among them."""
        cluster = self.cluster
        futures = list(self.futures.values())
        cluster.wait(futures)
        places = dict(zip(self.futures, cluster.places(futures), strict=True))
        owners = even_owners({fact.number: fact.n_rows for fact in self.facts}, places, cluster.workers())
        encoded: dict[int, Future] = {}
        learnt: list[Future] = []
        prefix = f"encode_rows-{uuid4().hex}"
        learn = partial(learn_part_facts, are_counts=self.has_counts)
        encode = partial(encode_rows, encoding=encoding, is_validation=is_validation)
        try:
            by_worker: dict[str | None, list[int]] = {}
            for number in self.futures:
                by_worker.setdefault(owners.get(number), []).append(number)
            quota_of = {} if quotas is None else dict(zip(self.futures, quotas, strict=True))
            for worker, numbers in by_worker.items():
                some = [self.futures[number] for number in numbers]
                given = map(quota_of.get, numbers)
                keys = [f"{prefix}-{number}" for number in numbers]
                encoded |= zip(numbers, cluster.map(encode, some, given, worker=worker, keys=keys), strict=True)
            encoded = {number: encoded[number] for number in self.futures}
            learnt = cluster.map(learn, encoded.values())
            facts = cluster.gather(learnt)
        except BaseException:
            cluster.cancel([*learnt, *encoded.values()])
            raise
        for fact in facts:
            if not fact.n_rows:
                encoded.pop(fact.number).release()
        parts = Partitioned(cluster, prefix, encoded, self.name)
        return ClusterRows.of(parts, [fact for fact in facts if fact.n_rows], encoding, self.largest)

    def check_labels(self, labels: Labels) -> None:
        """Check that validation rows hold only labels that the training rows hold, and have a weight.

        Raises
        ------
        ValueError
            If not; the message has the number of the first partition with such labels.
        """
        self._check_weights()
        check = partial(check_labels, labels=labels, sort=self.sort)
        checks = dict(zip(self.futures, self.cluster.map(check, self.futures.values()), strict=True))
        try:
            self.cluster.wait(list(checks.values()))
            _raise_first(checks, self.name)
        except BaseException:
            self.cluster.cancel(list(checks.values()))
            raise

    def release(self) -> None:
        """Let the workers forget the checked partitions."""
        for future in self.futures.values():
            future.release()
        self.futures.clear()


def _raise_first(futures: dict[int, Future], name: str) -> None:
    """Raise the error of the first partition that has one, by an error that names the partition."""
    for number, future in futures.items():
        if future.status == "error":
            error, what = future.exception(), f"Partition {number} of {name}"
            if str(error).startswith(what):
                raise error
            raise PartitionError(f"{what} could not be computed: {type(error).__name__}: {error}") from error


def encoding_of(table: CheckedTable, labels: Labels, class_weight: Any) -> Encoding:
    """Return how the rows of a table are encoded, after a check of the class weights."""
    check_class_weight(class_weight, labels)
    factors = table.factors(labels, class_weight)
    unit = 1.0
    if factors is not None:
        _, unit = row_factors(labels, factors, targets_of_largest(labels, factors))
    return Encoding(labels, table.dtype, factors, table.exponent, unit)
