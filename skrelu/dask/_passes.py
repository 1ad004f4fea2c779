"""Passes over the partitions that lie on one worker. The functions of this file run on the workers.

A pass takes a result from each partition, with the same blocks as a local fit, and adds the results up. The sums of
losses and gradients do not depend on the order (`ReproducibleSum`), and neither do samples. So it does not matter which
worker has which partition.
"""

import asyncio
import pickle
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from operator import add
from time import perf_counter
from typing import Any, Protocol, Self

import numpy as np

from skrelu._core.arrays import Array, Parameters, Rows
from skrelu._core.datafit import Datafit, Workspaces
from skrelu._core.losses import Loss
from skrelu._core.network import Network
from skrelu._core.reproducible import ReproducibleSum
from skrelu._core.standardization import Standardization
from skrelu._core.terms import PrioritySample, RowRandomness
from skrelu._core.threads import Team, count_threads
from skrelu._core.weights import RelativeWeights
from skrelu._data.moments import Moments, measure_rows, relative_weights
from skrelu._data.rows import WeightedRows
from skrelu.dask._partition import Part, PartitionError


@dataclass(frozen=True)
class Plan:
    """What is the same for all passes over the rows of a fit.

    Attributes
    ----------
    network : Network
    loss : Loss
    weights : RelativeWeights
        The sums over all rows.
    standardization : Standardization or None
    firsts : dict of int or None
        The number of the first row of each partition, by the number of the partition. Only draws need it.
    n_rows, n_blocks : int
        Of all rows, and the number of blocks that a local fit would cut them into, so that it draws the same rows.
    n_jobs : int or None
        The number of threads of a worker; None means as many as Dask gave it.
    """

    network: Network
    loss: Loss
    weights: RelativeWeights
    standardization: Standardization | None
    firsts: dict[int, int] | None
    n_rows: int
    n_blocks: int
    n_jobs: int | None

    def datafit(self, part: Part, team: Team, workspaces: Workspaces) -> Datafit:
        """Return the part of the data term that a partition adds."""
        randomness = None
        if self.firsts is not None:
            randomness = RowRandomness(self.n_rows, self.n_blocks, self.firsts[part.number])
        return Datafit(
            self.network,
            self.loss,
            part.X,
            part.targets,
            team=team,
            weights=self.weights.of_part(part.weights),
            standardization=self.standardization,
            randomness=randomness,
            workspaces=workspaces,
        )


class Pass(Protocol):
    """A pass; the results of two partitions, or of two workers, are added by `+`."""

    def __call__(self, plan: Plan, part: Part, team: Team, workspaces: Workspaces) -> Any:
        """Return the result of a partition."""


@dataclass(frozen=True)
class _AtPoint:
    """A pass with the parameters of a network."""

    parameters: Parameters


@dataclass(frozen=True)
class ValueAndGradient(_AtPoint):
    """The gradient of the loss and, last in the same vector, the loss."""

    def __call__(self, plan: Plan, part: Part, team: Team, workspaces: Workspaces) -> ReproducibleSum:
        value, gradient = plan.datafit(part, team, workspaces).value_and_gradient(self.parameters)
        return ReproducibleSum.of(np.append(gradient, value))


@dataclass(frozen=True)
class Value(_AtPoint):
    """The loss."""

    def __call__(self, plan: Plan, part: Part, team: Team, workspaces: Workspaces) -> ReproducibleSum:
        return ReproducibleSum.of(np.array([plan.datafit(part, team, workspaces).value(self.parameters)]))


@dataclass(frozen=True)
class Drawn:
    """Drawn rows or terms, and the loss."""

    sample: PrioritySample
    loss: ReproducibleSum

    def __add__(self, other: Self) -> Self:
        both = PrioritySample(self.sample.n_items)
        both.add(self.sample.kept())
        both.add(other.sample.kept())
        return type(self)(both, self.loss + other.loss)


@dataclass(frozen=True)
class Draw(_AtPoint):
    """Rows, or terms of the curvature, drawn from all partitions."""

    n_items: int
    seed: int
    is_of_terms: bool

    def __call__(self, plan: Plan, part: Part, team: Team, workspaces: Workspaces) -> Drawn:
        assert plan.firsts is not None, "rows are drawn by their numbers"
        datafit, loss, n_per_row = plan.datafit(part, team, workspaces), 0.0, 1
        if self.is_of_terms:
            sample = datafit.draw_terms(self.parameters, self.n_items, self.seed)
            n_per_row = plan.network.layer_sizes[-1]
        else:
            sample, loss = datafit.draw_rows(self.parameters, self.n_items, self.seed)
        of_all = PrioritySample(self.n_items)
        of_all.add(sample.kept(plan.firsts[part.number] * n_per_row))
        return Drawn(of_all, ReproducibleSum.of(np.array([loss])))


@dataclass(frozen=True)
class Take:
    """A few rows of each partition: their values, targets and weights; `numbers` has their places, by partition."""

    numbers: dict[int, Array]

    def __call__(
        self, plan: Plan, part: Part, team: Team, workspaces: Workspaces
    ) -> list[tuple[int, Rows, Array, Array]]:
        places = self.numbers[part.number]
        weights = plan.weights.of_part(part.weights).take(places)
        return [(part.number, part.X[places].astype(np.float64), part.targets[places], weights)]


@dataclass(frozen=True)
class Measure:
    """The moments of the columns, of each partition.

    The columns are divided by powers of two. The largest sample weight of all rows is needed for relative weights.
    """

    exponents: Array
    largest_weight: float

    def __call__(self, plan: Plan, part: Part, team: Team, workspaces: Workspaces) -> list[tuple[int, Moments]]:
        rows = WeightedRows(part.X, part.targets, part.sample_weight)
        weights = relative_weights(rows, None, self.largest_weight)
        return [(part.number, measure_rows(rows, weights, self.exponents, team.n_threads))]


@dataclass(frozen=True)
class Result:
    """The sum of the results of some partitions, on one or several workers.

    Attributes
    ----------
    total : object or None
        None if there is no result.
    missing : list of int
        The numbers of the partitions that were not there.
    error : Exception or None
        The error of a partition, or of a worker that did not answer.
    seconds : float
        The longest time that a worker has computed.
    """

    total: Any
    missing: list[int]
    error: Exception | None = None
    seconds: float = 0.0

    def __add__(self, other: Self) -> Self:
        totals = [result.total for result in (self, other) if result.total is not None]
        error = self.error if isinstance(self.error, PartitionError) else other.error or self.error
        total = reduce(add, totals) if totals else None
        return type(self)(total, self.missing + other.missing, error, max(self.seconds, other.seconds))


@dataclass(frozen=True)
class Node:
    """A worker in the tree in which results are added, with the numbers of its partitions.

    Attributes
    ----------
    address : str
    numbers : list of int
    children : tuple of Node
        The workers whose results this one adds to its own.
    """

    address: str
    numbers: list[int]
    children: tuple["Node", ...] = ()

    def walk(self) -> Iterator["Node"]:
        """Yield this worker and those below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def all_numbers(self) -> list[int]:
        """The numbers of its partitions and of those of the workers below it."""
        return [number for node in self.walk() for number in node.numbers]


@dataclass(frozen=True)
class Request:
    """A pass over partitions.

    Attributes
    ----------
    work : Pass
    plan : Plan
    prefix : str
        The key of a partition is this and its number.
    name : str
        The name of the rows in messages.
    """

    work: Pass
    plan: Plan
    prefix: str
    name: str

    def key(self, number: int) -> str:
        return f"{self.prefix}-{number}"


async def run_on_worker(request: Request, nodes: tuple[Node, ...], dask_worker: Any) -> Result:
    """Make a pass on this worker, and on those below it in the tree, and add the results.

    `nodes` are the workers that get this message, with those below them. Dask gives `dask_worker`.
    """
    here = dask_worker.contact_address or dask_worker.address
    (node,) = (node for node in nodes if node.address == here)
    below = [_ask(dask_worker, child, request) for child in node.children]
    executor = dask_worker.executors["default"]
    own = asyncio.get_running_loop().run_in_executor(executor, make_pass, request, node.numbers, dask_worker)
    return reduce(add, await asyncio.gather(own, *below))


async def _ask(dask_worker: Any, node: Node, request: Request) -> Result:
    """Send a request to another worker; if it does not answer, its partitions are missing."""
    try:
        answer = await dask_worker.rpc(node.address).run(
            function=pickle.dumps(run_on_worker), args=pickle.dumps((request, (node,))), kwargs=pickle.dumps({})
        )
        if answer["status"] == "OK":
            return answer["result"]
        error: Exception = RuntimeError(f"{node.address}: {answer}")
    except OSError as lost:
        error = lost
    return Result(None, node.all_numbers, error)


def make_pass(request: Request, numbers: list[int], dask_worker: Any) -> Result:
    """Make a pass over the partitions of these numbers that lie on this worker.

    One partition at a time is held, so that a worker may have more of them than fit in its memory: those that Dask has
    moved to the disk are read from there, one by one. They are not moved back into memory, as others would have to be
    written to the disk for them.
    """
    began, plan, data = perf_counter(), request.plan, dask_worker.data
    n_threads = dask_worker.state.nthreads if plan.n_jobs is None else count_threads(plan.n_jobs)
    total, missing, workspaces = None, [], Workspaces()
    with Team(n_threads) as team:
        for number in numbers:
            part = _read(data, request.key(number))
            if part is None:
                missing.append(number)
                continue
            try:
                result = request.work(plan, part, team, workspaces)
            except Exception as error:
                text = f"Partition {number} of {request.name}: {type(error).__name__}: {error}"
                return Result(None, [], PartitionError(text))
            del part
            total = result if total is None else total + result
    return Result(total, missing, seconds=perf_counter() - began)


def _read(data: Any, key: str) -> Part | None:
    """Return a partition from the store of a worker, None if it is not there."""
    for store in (getattr(data, "fast", {}), getattr(data, "slow", {}), data):
        with suppress(KeyError):  # it may move to the disk meanwhile, so the last look is in the whole store
            return store[key]
    return None
