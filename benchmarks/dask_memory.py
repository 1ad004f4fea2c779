"""Fits to rows that outgrow the memory of the workers: time, memory and bytes spilled, for `dask_cluster.py`."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import psutil
from dask_fits import fit_on_cluster, in_parts, start_cluster

LABEL = "label"
N_FEATURES = 20
ROWS_PER_PART = 250_000

Part = tuple[np.ndarray, np.ndarray]  # rows and their classes


def generate_parts(n_rows: int, rows_per_part: int = ROWS_PER_PART) -> Iterator[Part]:
    """Yield float32 rows and noisy classes, a part at a time; each part has its own seed."""
    for number, start in enumerate(range(0, n_rows, rows_per_part)):
        rng = np.random.default_rng(number)
        X = rng.standard_normal((min(rows_per_part, n_rows - start), N_FEATURES), dtype=np.float32)
        noise = rng.standard_normal(len(X), dtype=np.float32)
        yield X, (X[:, 0] * X[:, 1] + X[:, 2] + noise > 0).astype(np.int8)


def write_parquet(folder: Path, parts: Iterator[Part]) -> None:
    """Write a Parquet file for each part; the classes are the last column."""
    for number, (X, y) in enumerate(parts):
        frame = pd.DataFrame(X, columns=[f"x{column}" for column in range(X.shape[1])])
        frame[LABEL] = y
        frame.to_parquet(folder / f"part.{number:04}.parquet", index=False)


def write_zarr(folder: Path, parts: Iterator[Part], n_rows: int, rows_per_part: int = ROWS_PER_PART) -> None:
    """Write the rows and the classes to two Zarr arrays, a chunk for each part."""
    import zarr

    sizes: dict[str, dict[str, Any]] = {
        "X": {"shape": (n_rows, N_FEATURES), "chunks": (rows_per_part, N_FEATURES), "dtype": "float32"},
        "y": {"shape": (n_rows,), "chunks": (rows_per_part,), "dtype": "int8"},
    }
    X, y = (zarr.open_array(str(folder / name), mode="w", **size) for name, size in sizes.items())
    start = 0
    for rows, classes in parts:
        X[start : start + len(rows)], y[start : start + len(rows)] = rows, classes
        start += len(rows)


def open_parquet(folder: Path) -> tuple[Any, Any]:
    import dask.dataframe as dd

    frame = dd.read_parquet(str(folder))
    return frame.drop(columns=LABEL), frame[LABEL]


def open_zarr(folder: Path) -> tuple[Any, Any]:
    import dask.array as da

    return da.from_zarr(str(folder / "X")), da.from_zarr(str(folder / "y"))


class PeakOfWorkers:
    """Samples the resident memory (bytes) of processes: the peak of one of them, and that of their sum."""

    def __init__(self, pids: list[int], interval: float = 0.05) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._interval = interval
        self.of_one = self.of_all = 0

    def __enter__(self) -> Self:
        self._sample()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        sizes = [0]
        for process in self._processes:
            try:
                sizes.append(process.memory_info().rss)
            except psutil.NoSuchProcess:  # Dask ended a worker that used too much
                continue
        self.of_one = max(self.of_one, *sizes)
        self.of_all = max(self.of_all, sum(sizes))


def spilled_bytes(dask_worker: Any) -> float:
    """Return the bytes that a worker has written to disk since it began."""
    metrics = getattr(dask_worker.data, "cumulative_metrics", {})
    return float(sum(value for name, value in metrics.items() if name == ("disk-write", "bytes")))


def measure(
    n_rows: int, *, as_zarr: bool, memory_limit: str, hidden: tuple[int, ...], n_iters: tuple[int, int]
) -> dict[str, Any]:
    """Fit three times, to rows in a temporary folder, on two worker processes of one thread; return the figures.

    If a fit fails, there is an error in place of the times.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if as_zarr:
            write_zarr(folder, generate_parts(n_rows), n_rows)
        else:
            write_parquet(folder, generate_parts(n_rows))
        with start_cluster(2, memory_limit) as client:
            X, y = (open_zarr if as_zarr else open_parquet)(folder)
            fit_on_cluster(client, *in_parts(client, *next(generate_parts(1000)), 2), hidden, 1)  # lazy imports
            pids = list(client.run(os.getpid).values())
            figures: dict[str, Any] = {"rows": n_rows, "format": "Zarr" if as_zarr else "Parquet"}
            with PeakOfWorkers(pids) as peak:
                try:
                    # The first fit reads files that later ones find in the memory of the machine.
                    numbers = n_iters[0], *n_iters
                    first, short, long = (fit_on_cluster(client, X, y, hidden, n_iter) for n_iter in numbers)
                    figures |= {"first_fit": first.seconds, "iteration": long.per_iteration_after(short)}
                    figures |= {"evaluation": long.per_evaluation_after(short), "loss": long.loss}
                except Exception as error:
                    figures["error"] = f"{type(error).__name__}: {error}"
            figures |= {"peak_of_one": peak.of_one, "peak_of_all": peak.of_all}
            figures["spilled"] = sum(client.run(spilled_bytes).values())
            figures["n_restarted"] = len(set(client.run(os.getpid).values()) - set(pids))
    return figures


def print_head(memory_limit: str) -> None:
    size = ROWS_PER_PART * N_FEATURES * 4 / 1e6
    print(
        f"\nmemory: {N_FEATURES} columns of float32, parts of {ROWS_PER_PART} rows ({size:.0f} MB), two workers of "
        f"{memory_limit}\n{'':24}{'rows':>10}{'first':>9}{'seconds per':>13}{'million rows':>14}"
        f"{'peak of a':>12}{'of both':>9}{'spilled':>9}{'workers':>11}\n"
        f"{'rows':>12}  {'format':10}{'MB':>10}{'fit, s':>9}{'iteration':>13}{'per second':>14}"
        f"{'worker, MB':>12}{'MB':>9}{'MB':>9}{'restarted':>11}"
    )


def print_row(figures: dict[str, Any]) -> None:
    def megabytes(name: str) -> str:
        return f"{figures[name] / 1e6:.0f}"

    size = figures["rows"] * N_FEATURES * 4 / 1e6
    line = f"{figures['rows']:12d}  {figures['format']:10}{size:10.0f}"
    if "error" in figures:
        line += f"{'failed':>36}"
    else:
        speed = figures["rows"] / figures["evaluation"] / 1e6
        line += f"{figures['first_fit']:9.1f}{figures['iteration']:13.2f}{speed:14.2f}"
    line += f"{megabytes('peak_of_one'):>12}{megabytes('peak_of_all'):>9}{megabytes('spilled'):>9}"
    print(line + f"{figures['n_restarted']:11d}", flush=True)
    if "error" in figures:
        print(f"{'':14}{figures['error']}", flush=True)
