"""The fits that `dask_cluster.py` times: in this process, on clusters of Dask, and by Spark."""

import json
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np

from skrelu import DeepLogisticClassifier
from skrelu._core.objective import Objective


@dataclass(frozen=True)
class Fit:
    """The seconds of a fit, what it did in them, and its objective at the end, per row.

    `spent` has the seconds that are known to be those of a part of the work.
    """

    seconds: float
    n_iter: int
    n_evaluations: float  # nan if the library does not tell
    loss: float
    spent: dict[str, float] = field(default_factory=dict)

    def per_iteration_after(self, shorter: "Fit") -> float:
        """Return the seconds of an iteration; those before the first one are in both fits and cancel."""
        return (self.seconds - shorter.seconds) / (self.n_iter - shorter.n_iter)

    def per_evaluation_after(self, shorter: "Fit") -> float:
        return (self.seconds - shorter.seconds) / (self.n_evaluations - shorter.n_evaluations)

    def parts_after(self, shorter: "Fit") -> dict[str, float]:
        """Return the seconds of each part of an iteration."""
        n_iter = self.n_iter - shorter.n_iter
        return {part: (seconds - shorter.spent.get(part, 0.0)) / n_iter for part, seconds in self.spent.items()}


def _fixed(n_iter: int) -> dict[str, Any]:
    """Return parameters with which a fit makes just this number of iterations."""
    return {
        "alpha": 1.0,
        "standardize": False,
        "early_stopping": False,
        "max_iter": n_iter,
        "tol": 0,
        "n_iter_no_change": np.inf,
        "random_state": 0,
    }


def _timed(model: Any, *data: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no fit converges in so few iterations
        start = time.perf_counter()
        model.fit(*data)
        return time.perf_counter() - start


def fit_locally(X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], n_iter: int, n_threads: int) -> Fit:
    evaluate, seconds_of_evaluations = Objective.value_and_gradient, []

    def timed(objective: Objective, parameters: np.ndarray) -> Any:
        start = time.perf_counter()
        answer = evaluate(objective, parameters)
        seconds_of_evaluations.append(time.perf_counter() - start)
        return answer

    model = DeepLogisticClassifier(hidden, **_fixed(n_iter), n_jobs=n_threads)
    with patch.object(Objective, "value_and_gradient", timed):
        seconds = _timed(model, X, y)
    inside = sum(seconds_of_evaluations)
    spent = {"computation": inside, "solver": seconds - inside}
    return Fit(seconds, model.n_iter_, model.optimize_result_.nfev, model.loss_, spent)


# --- Dask -----------------------------------------------------------------------------------------------------------


@contextmanager
def start_cluster(n_workers: int, memory_limit: str | None = None) -> Iterator[Any]:
    """Yield a client of worker processes of one thread on this machine."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=memory_limit or "auto",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": ":0"},  # any free port; there is no dashboard
    )
    # Several clusters live at the same time, so none is the default.
    with cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(n_workers)
        yield client


def in_parts(client: Any, X: np.ndarray, y: np.ndarray, n_parts: int) -> tuple[Any, Any]:
    """Return Dask arrays of rows and classes, whose parts lie in the memory of the workers, in turn."""
    import dask.array as da
    from dask import delayed

    workers = list(client.nthreads())

    def place(part: np.ndarray, number: int) -> Any:
        worker = workers[number % len(workers)]
        return da.from_delayed(delayed(client.scatter(part, workers=[worker])), part.shape, part.dtype)

    both = []
    for array in (X, y):
        parts = [place(part, number) for number, part in enumerate(np.array_split(array, n_parts))]
        both.append(client.persist(da.concatenate(parts)))
    client.gather(client.map(len, client.futures_of(both)))
    return both[0], both[1]


def fit_on_cluster(client: Any, X: Any, y: Any, hidden: tuple[int, ...], n_iter: int) -> Fit:
    from skrelu.dask import DaskDeepLogisticClassifier
    from skrelu.dask._cluster import Cluster

    spent = {"computation": 0.0}  # of the busiest worker
    ask = Cluster.ask

    def ask_and_count(cluster: Any, request: Any, nodes: Any) -> Any:
        result = ask(cluster, request, nodes)
        spent["computation"] += result.seconds
        return result

    model = DaskDeepLogisticClassifier(hidden, **_fixed(n_iter), client=client)
    with patch.object(Cluster, "ask", ask_and_count):
        seconds = _timed(model, X, y)
    return Fit(seconds, model.n_iter_, model.optimize_result_.nfev, model.loss_, spent)


# --- Spark ----------------------------------------------------------------------------------------------------------


class SparkError(RuntimeError):
    """Spark cannot run, or its fit failed."""


class SparkProcess:
    """Spark, in a process with a Python of its own."""

    def __init__(self, python: str, folder: Path, hidden: tuple[int, ...], n_cores: int) -> None:
        script = Path(__file__).with_name("spark_mlp.py")
        command = [python, str(script), str(folder), "--cores", str(n_cores), "--hidden", *map(str, hidden)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.about = self._receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=30)  # it ends with its requests, and Java with it
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def fit(self, block_size: int, n_iter: int) -> Fit:
        assert self._process.stdin is not None
        print(json.dumps({"block_size": block_size, "n_iter": n_iter}), file=self._process.stdin, flush=True)
        answer = self._receive()
        return Fit(answer["seconds"], answer["n_iter"], np.nan, answer["loss"])

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise SparkError(answer["error"])
        return dict(answer)
