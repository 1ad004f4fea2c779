"""The workers of a cluster, as the client sees them: partitions that lie on them, and passes over these.

A pass goes to the workers that have partitions. If a worker dies meanwhile, Dask computes its partitions again
elsewhere, and the pass is repeated for them; its result does not depend on which worker has which partition.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from time import sleep
from typing import Any, TypeVar

import distributed
from distributed import Client, Future
from distributed.comm import CommClosedError

from skrelu.dask._partition import PartitionError
from skrelu.dask._passes import Node, Pass, Plan, Request, Result, run_on_worker

T = TypeVar("T")

_SECONDS_BETWEEN_LOOKS = 1.0  # at the scheduler and the workers, while results are awaited
_SECONDS_WITHOUT_WORKERS = 120.0  # until a fit gives up
_MAX_CHILDREN = 8  # workers whose results one worker, or the client, adds
_MAX_ATTEMPTS = 8  # at the same pass, without a result of any further partition
_MAX_PAUSE = 4.0  # seconds before missing partitions are looked for again

# Dask gives the status "cancelled" in both cases; only the reason in its message differs.
_GONE = (
    "was cancelled, by client.cancel or client.restart, or lost with its worker and cannot be computed again. Rows "
    "that were sent to the workers by scatter have no recipe; use collections that Dask can compute, such as those "
    "read from files."
)
_LOST = "The connection to the Dask scheduler was lost during the fit ({}). Connect again and call fit again."


class ClusterError(RuntimeError):
    """The connection to the scheduler was lost, or there are no workers, or they died again and again."""


class _WorkerLostError(Exception):
    """A worker that should answer has died."""


def find_client(client: Any) -> Client:
    """Return the client of an estimator; None stands for the current one.

    Raises
    ------
    TypeError, ValueError
        If it is no client, or there is none, or it is closed or asynchronous.
    """
    if client is None:
        try:
            client = distributed.get_client()
        except ValueError as error:
            raise ValueError(
                "There is no Dask client: create one, client = dask.distributed.Client(...), before fit, or pass it as "
                "client=."
            ) from error
    if not isinstance(client, Client):
        raise TypeError(f"client must be a dask.distributed.Client or None, got {client!r}.")
    if client.asynchronous:
        raise ValueError("client must not be asynchronous: fit waits for its results.")
    if client.status != "running":
        raise ValueError(f"client must be connected to a scheduler, but it is {client.status}: create a new one.")
    return client


@contextmanager
def outside_the_pool() -> Iterator[None]:
    """If this is a task of a worker, leave its thread to other tasks meanwhile, as Dask's own `compute` does."""
    try:
        distributed.secede()
        has_left = True
    except (ValueError, KeyError):  # no task, or one that has left already
        has_left = False
    try:
        yield
    finally:
        if has_left:
            distributed.rejoin()


@dataclass
class Cluster:
    """A connected client. Its methods wait for results, and raise a clear error if the cluster is gone.

    Attributes
    ----------
    client : Client
    """

    client: Client

    def check(self) -> None:
        """Raise a ClusterError if the client is not connected."""
        if self.client.status != "running":
            raise ClusterError(_LOST.format(f"the client is {self.client.status}"))

    def workers(self) -> dict[str, int]:
        """Return the number of threads of each worker, by its address."""
        with self._clear_errors():
            return dict(self.client.nthreads())

    def compute(self, tasks: list[Any]) -> list[Future]:
        """Start delayed tasks."""
        with self._clear_errors():
            return list(self.client.compute(tasks, optimize_graph=True))

    def map(
        self,
        function: Callable[..., Any],
        *items: Iterable[Any],
        worker: str | None = None,
        keys: Iterable[str] | None = None,
    ) -> list[Future]:
        """Start a task for each item, on a worker if it is given; elsewhere if that is gone or takes no tasks."""
        options = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        if keys is not None:
            options["key"] = list(keys)
        with self._clear_errors():
            return self.client.map(function, *map(list, items), pure=False, **options)

    def wait(self, futures: Sequence[Future]) -> None:
        """Wait until the futures are done, with or without an error, or cancelled."""

        async def wait() -> None:
            with self.client.as_current(), suppress(distributed.CancelledError):
                await distributed.wait(futures)

        self._watch(wait)

    def gather(self, futures: Sequence[Future]) -> list[Any]:
        """Return the results of futures, when they are done; raise the error of one that failed."""

        async def gather() -> list[Any]:
            return await self.client.gather(list(futures), asynchronous=True)

        return self._watch(gather)

    def ask(self, request: Request, nodes: tuple[Node, ...]) -> Result:
        """Send a request to workers, and return the sum of their results.

        It goes past the queue of tasks. That would take several times as long, and its choice of a worker has no use
        here, as only the workers that hold the rows can compute.
        """

        async def ask() -> dict[str, Any]:
            workers = [node.address for node in nodes]
            return await self.client.run(run_on_worker, request, nodes, workers=workers, on_error="return")

        if not nodes:  # all partitions were lost a moment ago
            return Result(None, [])
        addresses = {node.address for root in nodes for node in root.walk()}
        try:
            answers = self._watch(ask, addresses)
        except _WorkerLostError as error:
            return Result(None, [number for root in nodes for number in root.all_numbers], error)
        results = [Result(None, [])]
        for node in nodes:
            answer = answers.get(node.address)
            results.append(answer if isinstance(answer, Result) else Result(None, node.all_numbers, answer))
        return reduce(add, results)

    def cancel(self, futures: Sequence[Future]) -> None:
        """Cancel the tasks, if there is a scheduler to cancel them."""
        if self.client.status == "running":
            self.client.cancel(list(futures))

    def places(self, futures: Sequence[Future]) -> list[str]:
        """Return a worker that has each result; '' if none has it."""
        with self._clear_errors():
            places = self.client.who_has(list(futures))
        return [min(places.get(future.key, ()), default="") for future in futures]

    def _watch(self, begin: Callable[[], Coroutine[Any, Any, T]], needed: Set[str] = frozenset()) -> T:
        """Return the result of a coroutine; look at the scheduler and the workers once a second.

        `needed` are the workers that must answer. Dask would wait half a minute for one that has died.
        """

        async def watch() -> T:
            task = asyncio.ensure_future(begin())
            try:
                seconds = 0.0  # without workers
                while not (await asyncio.wait({task}, timeout=_SECONDS_BETWEEN_LOOKS))[0]:
                    self.check()
                    workers = set(await self.client.nthreads())
                    if not needed <= workers:
                        raise _WorkerLostError(f"lost {sorted(needed - workers)}")
                    seconds = 0.0 if workers else seconds + _SECONDS_BETWEEN_LOOKS
                    if seconds > _SECONDS_WITHOUT_WORKERS:
                        raise ClusterError(f"The cluster has had no workers for {seconds:.0f} s.")
                return task.result()
            finally:
                task.cancel()

        with self._clear_errors():
            return self.client.sync(watch)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Replace errors of a client that is gone by one that says so."""
        try:
            yield
        except CommClosedError as error:  # the client may not have noticed yet
            raise ClusterError(_LOST.format(error)) from error
        except (Exception, asyncio.CancelledError) as error:  # many kinds, even AttributeError
            if not isinstance(error, ClusterError | _WorkerLostError):
                self.check()
            if isinstance(error, distributed.CancelledError):
                raise PartitionError(f"A partition {_GONE}") from error
            raise


@dataclass
class Partitioned:
    """Encoded partitions on the workers.

    Attributes
    ----------
    cluster : Cluster
    prefix : str
        The key of a partition is this and its number.
    futures : dict of Future
        By the number of the partition.
    name : str
        The name of the rows in messages.
    owners : dict of str
        The worker that computes each partition.
    """

    cluster: Cluster
    prefix: str
    futures: dict[int, Future]
    name: str
    owners: dict[int, str] = field(default_factory=dict)

    def run(self, work: Pass, plan: Plan, numbers: Sequence[int] | None = None) -> Any:
        """Make a pass over the partitions of these numbers, or over all; return the sum of their results.

        Raises
        ------
        PartitionError
            If a partition raised an error, or cannot be computed again.
        ClusterError
            If the cluster is gone, or workers die again and again.
        """
        request = Request(work, plan, self.prefix, self.name)
        result = Result(None, list(self.futures if numbers is None else numbers))
        n_attempts, pause = 0, 0.05
        while result.missing:
            found = self.cluster.ask(request, self._find_nodes(result.missing))
            lost = [number for number in result.missing if number not in self.owners]
            if isinstance(found.error, PartitionError):
                raise found.error
            found = Result(found.total, found.missing + lost, found.error)
            n_attempts = n_attempts + 1 if len(found.missing) == len(result.missing) else 0
            result = Result(result.total, []) + found
            if result.missing:
                self.cluster.check()
                self.owners.clear()
                if n_attempts == _MAX_ATTEMPTS:
                    raise ClusterError(
                        f"The workers cannot make a pass over {self.name}: {result.error!r}. If workers die again and "
                        "again, their memory is too small: use smaller partitions, or workers with more memory."
                    ) from result.error
                sleep(pause)
                pause = min(2 * pause, _MAX_PAUSE)
        return result.total

    def _find_nodes(self, numbers: Sequence[int]) -> tuple[Node, ...]:
        """Return the workers that have the partitions, in a tree; if some were lost, first wait for them."""
        if not all(number in self.owners for number in numbers):
            futures = [self.futures[number] for number in numbers]
            self.cluster.wait(futures)
            for number, future in zip(numbers, futures, strict=True):
                if future.status != "finished":
                    self._raise_lost(number, future)
            for number, worker in zip(numbers, self.cluster.places(futures), strict=True):
                if worker:  # the partition may have been lost since then
                    self.owners[number] = worker
        by_worker: dict[str, list[int]] = defaultdict(list)
        for number in numbers:
            if number in self.owners:
                by_worker[self.owners[number]].append(number)
        return grow_tree([Node(worker, some) for worker, some in by_worker.items()])

    def _raise_lost(self, number: int, future: Future) -> None:
        self.cluster.check()
        what = f"Partition {number} of {self.name}"
        if future.status == "error":
            error = future.exception()
            raise PartitionError(f"{what} could not be computed: {error!r}") from error
        raise PartitionError(f"{what} {_GONE}")

    def release(self) -> None:
        """Let the workers forget the partitions."""
        for future in self.futures.values():
            future.release()
        self.futures.clear()


def grow_tree(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return at most 8 of the nodes, with the others below them, at most 8 below each."""
    roots, rest = nodes[:_MAX_CHILDREN], nodes[_MAX_CHILDREN:]
    if not rest:
        return tuple(roots)
    return tuple(
        Node(root.address, root.numbers, grow_tree(rest[place::_MAX_CHILDREN])) for place, root in enumerate(roots)
    )


def even_owners(sizes: dict[int, int], places: dict[int, str], workers: dict[str, int]) -> dict[int, str]:
    """Return a worker for each partition, so that each worker has about as many rows for each of its threads.

    A partition stays where it is if at least half of its rows fit into the share of its worker.

    Parameters
    ----------
    sizes : dict of int
        The number of rows of each partition.
    places : dict of str
        The worker that each partition lies on.
    workers : dict of int
        The number of threads of each worker.
    """
    if not workers:
        return {}
    share = sum(sizes.values()) / sum(workers.values())
    load = dict.fromkeys(workers, 0.0)
    owners: dict[int, str] = {}
    largest_first = sorted(sizes, key=lambda number: (-sizes[number], number))
    for number in largest_first:
        place = places.get(number)
        if place in load and load[place] + sizes[number] / 2 <= share * workers[place]:
            owners[number] = place
            load[place] += sizes[number]
    for number in largest_first:
        if number not in owners:
            worker = min(load, key=lambda worker: ((load[worker] + sizes[number]) / workers[worker], worker))
            owners[number] = worker
            load[worker] += sizes[number]
    return owners
