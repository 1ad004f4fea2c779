"""The workers of a cluster, as the client sees them: partitions that lie on them, and passes over these.

A pass sends one task to each worker that has partitions. If a worker dies meanwhile, Dask computes its partitions again
elsewhere, and the pass is repeated; its result does not depend on which worker has which partition.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from time import monotonic, sleep
from typing import Any

import distributed
from distributed import Client, Future

from skrelu.dask._partition import PartitionError
from skrelu.dask._passes import Pass, Plan, WorkerResult, add_results, run_on_worker

_SECONDS_BETWEEN_LOOKS = 1.0  # at the workers and the scheduler, while results are awaited
_SECONDS_WITHOUT_WORKERS = 120.0  # until a fit gives up
_MAX_ADDENDS = 4  # sums that one worker, or the client, adds
_MAX_SENT_BYTES = 2**18  # of a task; larger parameters are sent to each worker once, before the tasks
_MAX_LOSSES = 5  # of workers in the same pass
_SECONDS_WITHOUT_PROGRESS = 600.0  # of a pass, while workers take no tasks because their memory is full
_MAX_PAUSE = 2.0  # seconds before partitions are looked for again

_TROUBLE = (
    "The workers cannot make a pass over {}: {} of them died meanwhile, or they take no tasks. Most often their memory "
    "is too small: use smaller partitions, or workers with more memory."
)


class ClusterError(RuntimeError):
    """The connection to the scheduler was lost, or there are no workers."""


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
            raise ClusterError(
                f"The connection to the Dask scheduler was lost during the fit (the client is {self.client.status}). "
                "Connect again and call fit again."
            )

    def workers(self) -> dict[str, int]:
        """Return the number of threads of each worker, by its address."""
        with self._clear_errors():
            return dict(self.client.nthreads())

    def wait(self, futures: Sequence[Future]) -> None:
        """Wait until the futures are done, with or without an error."""

        async def wait() -> None:
            await distributed.wait(futures)

        self._watch(wait)

    def gather(self, futures: Sequence[Future]) -> list[Any]:
        """Return the results of futures, when they are done; raise the error of one that failed."""

        async def gather() -> list[Any]:
            return await self.client.gather(list(futures), asynchronous=True)

        return self._watch(gather)

    def _watch(self, begin: Callable[[], Any]) -> Any:
        """Wait for a coroutine; look at the scheduler and the workers once a second."""
        began = monotonic()
        while True:
            try:
                with self._clear_errors():
                    return self.client.sync(begin, callback_timeout=_SECONDS_BETWEEN_LOOKS)
            except TimeoutError:
                self.check()
            if self.workers():
                began = monotonic()
            elif monotonic() - began > _SECONDS_WITHOUT_WORKERS:
                raise ClusterError(f"The cluster has had no workers for {_SECONDS_WITHOUT_WORKERS:.0f} s.")

    def compute(self, tasks: list[Any]) -> list[Future]:
        """Start delayed tasks."""
        with self._clear_errors():
            return list(self.client.compute(tasks, optimize_graph=True))

    def submit(self, function: Callable[..., Any], *args: Any, worker: str | None = None) -> Future:
        """Start a task, on a worker if it is given; elsewhere if that is gone or takes no tasks."""
        with self._clear_errors():
            return self.client.submit(function, *args, pure=False, **_where(worker))

    def map(self, function: Callable[..., Any], *items: Iterable[Any], worker: str | None = None) -> list[Future]:
        """Start a task for each item, as `submit` does, with one message for all."""
        with self._clear_errors():
            return self.client.map(function, *map(list, items), pure=False, **_where(worker))

    def cancel(self, futures: Sequence[Future]) -> None:
        """Cancel the tasks, if there is a scheduler to cancel them."""
        if self.client.status == "running":
            self.client.cancel(list(futures))

    def places(self, futures: Sequence[Future]) -> list[str]:
        """Return a worker that has each result; '' if none has it."""
        with self._clear_errors():
            places = self.client.who_has(list(futures))
        return [min(places.get(future.key, ()), default="") for future in futures]

    def send_once(self, value: Any, workers: list[str], n_bytes: int) -> Any:
        """Return what a task should take for a value: a large one is sent to each worker once, before the tasks."""
        if n_bytes <= _MAX_SENT_BYTES:
            return value
        with self._clear_errors():
            return self.client.scatter([value], workers=workers, broadcast=True, hash=False)[0]

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Replace errors of a client that is gone by one that says so."""
        try:
            yield
        except (OSError, RuntimeError, ValueError, distributed.CancelledError) as error:
            if isinstance(error, TimeoutError | ClusterError | PartitionError):
                raise
            self.check()
            raise


@dataclass
class Partitioned:
    """Encoded partitions on the workers.

    Attributes
    ----------
    cluster : Cluster
    futures : dict of Future
        By the number of the partition.
    name : str
        The name of the rows in messages.
    owners : dict of str
        The worker that computes each partition.
    """

    cluster: Cluster
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
            If the cluster is gone.
        """
        result = WorkerResult(None, list(self.futures if numbers is None else numbers))
        n_losses, began, pause = 0, monotonic(), 0.0
        while result.missing:
            sleep(pause)
            workers = set(self.cluster.workers()) if pause else set(self.owners.values())
            found = self._run_once(work, plan, result.missing)
            if len(found.missing) < len(result.missing):
                began, pause = monotonic(), 0.0
            result = WorkerResult(result.total, []) + found
            if result.missing:
                n_losses += not workers <= self.cluster.workers().keys()
                self.owners.clear()
                pause = min(2 * pause + 0.05, _MAX_PAUSE)
                if n_losses > _MAX_LOSSES or monotonic() - began > _SECONDS_WITHOUT_PROGRESS:
                    raise ClusterError(_TROUBLE.format(self.name, n_losses))
        return result.total

    def _run_once(self, work: Pass, plan: Plan, numbers: list[int]) -> WorkerResult:
        """Make a pass where the partitions are now."""
        by_worker: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        for number, worker in self._find_owners(numbers).items():
            by_worker[worker].append((number, self.futures[number].key))
        cluster, tasks = self.cluster, []
        try:
            sent = cluster.send_once((work, plan), list(by_worker), work.n_bytes)
            tasks = [
                cluster.submit(run_on_worker, sent, keys, self.name, worker=worker)
                for worker, keys in by_worker.items()
            ]
            sums = tasks
            while len(sums) > _MAX_ADDENDS:
                sums = [
                    cluster.submit(add_results, *sums[first : first + _MAX_ADDENDS])
                    for first in range(0, len(sums), _MAX_ADDENDS)
                ]
                tasks = tasks + sums
            results = cluster.gather(sums)
        except distributed.KilledWorker as error:
            raise PartitionError(_TROUBLE.format(self.name, "some")) from error
        except distributed.CancelledError:  # the workers that had the parameters are gone
            cluster.check()
            return WorkerResult(None, numbers)
        except BaseException:
            cluster.cancel(tasks)
            raise
        lost = [number for number in numbers if number not in self.owners]
        return reduce(add, results, WorkerResult(None, lost))

    def _find_owners(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the worker of each partition. If some were lost, wait until Dask has computed them again."""
        if not all(number in self.owners for number in numbers):
            futures = [self.futures[number] for number in numbers]
            self.cluster.wait(futures)
            for number, future in zip(numbers, futures, strict=True):
                if future.status != "finished":
                    self._raise_lost(number, future)
            for number, worker in zip(numbers, self.cluster.places(futures), strict=True):
                if worker:  # it may have been lost since then
                    self.owners[number] = worker
        return {number: self.owners[number] for number in numbers if number in self.owners}

    def _raise_lost(self, number: int, future: Future) -> None:
        self.cluster.check()
        what = f"Partition {number} of {self.name}"
        if future.status == "error":
            error = future.exception()
            raise PartitionError(f"{what} could not be computed: {error!r}") from error
        raise PartitionError(
            f"{what} was lost with its worker and cannot be computed again. Rows that were sent to the workers by "
            "scatter have no recipe; use collections that Dask can compute, such as those read from files."
        )

    def release(self) -> None:
        """Let the workers forget the partitions."""
        for future in self.futures.values():
            future.release()
        self.futures.clear()


def _where(worker: str | None) -> dict[str, Any]:
    return {} if worker is None else {"workers": [worker], "allow_other_workers": True}


def even_owners(sizes: dict[int, int], places: dict[int, str], workers: dict[str, int]) -> dict[int, str]:
    """Return a worker for each partition, so that each worker has about as many rows for each of its threads.

    A partition stays where it is unless its worker would have too much.

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
    for number in sorted(sizes, key=lambda number: (-sizes[number], number)):
        place = places.get(number)
        half = sizes[number] / 2
        if place in load and (load[place] + half) <= share * workers[place]:
            owners[number] = place
            load[place] += sizes[number]
    for number in sorted(set(sizes) - set(owners), key=lambda number: (-sizes[number], number)):
        worker = min(load, key=lambda worker: ((load[worker] + sizes[number]) / workers[worker], worker))
        owners[number] = worker
        load[worker] += sizes[number]
    return owners
