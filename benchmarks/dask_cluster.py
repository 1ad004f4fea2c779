"""Fits on a Dask cluster of this machine: time, memory and quality, against fits in one process and Spark.

    python benchmarks/dask_cluster.py --json dask.json
    python benchmarks/dask_cluster.py --parts iteration spark --spark-python OTHER_ENVIRONMENT/bin/python
    python benchmarks/dask_cluster.py --parts memory --rows 1000000 20000000 --zarr
    python benchmarks/dask_cluster.py --parts picture --json dask.json --picture docs/dask.png

Workers are processes of one thread. The parts:

- iteration: the time of an iteration in one process with two threads, and on clusters. It is the difference of two fits
  with a fixed alpha, so that nothing before the first iteration counts. All take turns in every round.
- spark: the same rows and layers in Spark's MultilayerPerceptronClassifier, which takes turns with the others. Its
  hidden units are sigmoids and its model has one more output and no penalty. `spark_mlp.py` says what it needs.
- overhead: the time of an evaluation on so few rows that their computation takes next to nothing.
- memory: rows that outgrow the memory of the workers, from Parquet files (with --zarr also from Zarr).
- tables: the test log-loss of fits with default parameters, on a cluster and in one process.
- picture: draws the times that --json has.

With --json, each part that has run is written to the file (Spark's with iteration, if both run); the others in the file
are kept.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import dask_memory
import numpy as np
from dask_fits import Fit, SparkError, SparkProcess, fit_locally, fit_on_cluster, in_parts, start_cluster
from dask_memory import write_parquet
from datasets import Table, load_all
from evaluation import evaluate, split_rows
from shapes import make_rows

from skrelu import DeepLogisticClassifier

PARTS = ("iteration", "spark", "overhead", "memory", "tables", "picture")
N_ROWS, N_FEATURES, HIDDEN, N_PARTS = 300_000, 30, (64, 32), 8
N_ITERS = (2, 12)  # of the two fits
N_THREADS = 2
BLOCK_SIZES = (128, 4096)  # of Spark; the first one is its default
TINY_ROWS, TINY_ITERS = 64 * N_PARTS, (5, 35)
MEMORY_HIDDEN, MEMORY_ITERS = (16,), (1, 11)
TABLE_ROWS, TABLE_PARTS, MIN_TABLE_ROWS = 13_000, 5, 1000

Pair = tuple[Fit, Fit]  # a short and a long fit
Fitter = Callable[[int], Fit]  # from the number of iterations
Results = dict[str, Any]


# --- iteration, spark and overhead ----------------------------------------------------------------------------------


def time_rounds(fitters: dict[str, Fitter], n_iters: tuple[int, int], n_rounds: int) -> dict[str, list[Pair]]:
    """Return a short and a long fit of each fitter in every round; they take turns. The first fits do not count."""
    for fit in fitters.values():
        fit(n_iters[0])
    pairs: dict[str, list[Pair]] = {name: [] for name in fitters}
    for _ in range(n_rounds):
        for name, fit in fitters.items():
            pairs[name].append((fit(n_iters[0]), fit(n_iters[1])))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return pairs


def describe_rounds(pairs: list[Pair]) -> dict[str, Any]:
    """Return the seconds of an iteration and of an evaluation in each round, and the median seconds of its parts."""
    short, long = pairs[0]
    parts = [long.parts_after(short) for short, long in pairs]
    figures: dict[str, Any] = {
        "iteration": [long.per_iteration_after(short) for short, long in pairs],
        "parts": {part: median(of_round[part] for of_round in parts) for part in parts[0]},
        "loss": long.loss,
    }
    if not math.isnan(long.n_evaluations):
        figures["evaluation"] = [long.per_evaluation_after(short) for short, long in pairs]
        figures["evaluations_per_iteration"] = (long.n_evaluations - short.n_evaluations) / (long.n_iter - short.n_iter)
    return figures


def time_iterations(parts: list[str], arguments: argparse.Namespace) -> Results:
    """Time one process and clusters if `iteration` is in the parts, and Spark if `spark` is."""
    X, y = make_rows(N_ROWS, N_FEATURES)
    fitters: dict[str, Fitter] = {}
    results: Results = {"shape": f"{N_ROWS}x{N_FEATURES}", "hidden": HIDDEN, "n_parts": N_PARTS}
    with ExitStack() as stack:
        if "iteration" in parts:
            fitters[f"local, {N_THREADS} threads"] = lambda n_iter: fit_locally(X, y, HIDDEN, n_iter, N_THREADS)
            for n_workers in arguments.workers:
                client = stack.enter_context(start_cluster(n_workers))
                fitters[name_of(n_workers)] = on_cluster(client, *in_parts(client, X, y, N_PARTS))
        if "spark" in parts:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_parquet(folder, zip(np.array_split(X, N_PARTS), np.array_split(y, N_PARTS), strict=True))
            try:
                spark = stack.enter_context(SparkProcess(arguments.spark_python, folder, HIDDEN, N_THREADS))
            except (SparkError, OSError) as error:
                print(f"Spark is left out, as it does not run: {error}")
            else:
                results["spark"] = spark.about
                for size in BLOCK_SIZES:
                    fitters[f"Spark, blocks of {size}"] = lambda n_iter, size=size: spark.fit(size, n_iter)
        if fitters:
            pairs = time_rounds(fitters, N_ITERS, arguments.rounds)
            results["fits"] = {name: describe_rounds(of_name) for name, of_name in pairs.items()}
    return results


def name_of(n_workers: int) -> str:
    return f"Dask, {n_workers} worker{'s' if n_workers > 1 else ''}"


def on_cluster(client: Any, X: Any, y: Any, hidden: tuple[int, ...] = HIDDEN) -> Fitter:
    return lambda n_iter: fit_on_cluster(client, X, y, hidden, n_iter)


def time_overhead(arguments: argparse.Namespace) -> Results:
    X, y = make_rows(TINY_ROWS, N_FEATURES)
    with start_cluster(2) as client:
        fitters = {
            "local, 1 thread": lambda n_iter: fit_locally(X, y, HIDDEN, n_iter, 1),
            name_of(2): on_cluster(client, *in_parts(client, X, y, N_PARTS)),
        }
        pairs = time_rounds(fitters, TINY_ITERS, arguments.rounds)
    fits = {name: describe_rounds(of_name) for name, of_name in pairs.items()}
    return {"shape": f"{TINY_ROWS}x{N_FEATURES}", "hidden": HIDDEN, "n_parts": N_PARTS, "fits": fits}


def print_iterations(results: Results, part: str, figure: str) -> None:
    """Print milliseconds, and their ratios to the first fit, which are those of the same round.

    Computing is the time that the busiest worker computes, in the median.
    """
    fits = results.get("fits", {})
    if not fits:
        return
    print(f"\n{part}: {results['shape']} float64, layers {tuple(results['hidden'])}, {results['n_parts']} parts")
    if "spark" in results:
        print("Spark {spark}, Java {java}, matrices multiplied by {blas}".format(**results["spark"]))
    print(
        f"{'':24}{f'ms per {figure}':^40}{'evaluations':>14}{'ratio to the first':^24}{'objective':>11}\n"
        f"{'':24}{'median':>10}{'least':>10}{'most':>10}{'computing':>10}{'an iteration':>14}"
        f"{'median':>8}{'least':>8}{'most':>8}{'per row':>11}"
    )
    first = next(iter(fits.values()))[figure]
    for name, of_name in fits.items():
        seconds = of_name[figure]
        ratios = [its / of_first for its, of_first in zip(seconds, first, strict=True)]
        evaluations, computing = of_name.get("evaluations_per_iteration"), of_name["parts"].get("computation")
        if computing is not None and figure == "evaluation":
            computing /= evaluations
        print(
            f"{name:24}{1e3 * median(seconds):10.2f}{1e3 * min(seconds):10.2f}{1e3 * max(seconds):10.2f}"
            f"{'-' if computing is None else f'{1e3 * computing:.2f}':>10}"
            f"{'-' if evaluations is None else f'{evaluations:.2f}':>14}"
            f"{median(ratios):8.2f}{min(ratios):8.2f}{max(ratios):8.2f}{of_name['loss']:11.6f}",
            flush=True,
        )


# --- memory ---------------------------------------------------------------------------------------------------------


def measure_memory(arguments: argparse.Namespace) -> Results:
    dask_memory.print_head(arguments.memory_limit)
    fits = []
    for n_rows in arguments.rows:
        for as_zarr in (False, True) if arguments.zarr else (False,):
            fits.append(
                dask_memory.measure(
                    n_rows,
                    as_zarr=as_zarr,
                    memory_limit=arguments.memory_limit,
                    hidden=MEMORY_HIDDEN,
                    n_iters=MEMORY_ITERS,
                )
            )
            dask_memory.print_row(fits[-1])
    return {"memory_limit": arguments.memory_limit, "hidden": MEMORY_HIDDEN, "fits": fits}


# --- tables ---------------------------------------------------------------------------------------------------------


class ClusterClassifier:
    """Fits with default parameters to rows in parts on a cluster; predictions are made in this process."""

    def __init__(self, client: Any, seed: int) -> None:
        self.client, self.seed = client, seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> "ClusterClassifier":
        from skrelu.dask import DaskDeepLogisticClassifier

        model = DaskDeepLogisticClassifier(random_state=self.seed, client=self.client)
        self._model = model.fit(*in_parts(self.client, X, y, TABLE_PARTS)).to_local()
        self.classes_ = self._model.classes_
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self._model.predict_proba(X)


def choose_tables(folder: Path | None, names: Iterable[str] | None) -> Iterable[Table]:
    """Yield a generated table and real ones: those named, or all that are not small."""
    yield "generated", *make_rows(round(TABLE_ROWS / 0.7), N_FEATURES)
    for name, X, y in load_all(folder):
        if len(X) >= MIN_TABLE_ROWS if names is None else name in names:
            yield name, X, y


def compare_tables(arguments: argparse.Namespace) -> Results:
    print(
        f"\ntables: default parameters, {TABLE_PARTS} parts\n{'':18}{'rows for':>10}{'test log-loss':^20}"
        f"{'cluster':>9}{'fit time, s':^18}\n"
        f"{'':18}{'training':>10}{'local':>10}{'cluster':>10}{'/ local':>9}{'local':>9}{'cluster':>9}"
    )
    results: Results = {}
    with start_cluster(2) as client:
        makes = {
            "local": lambda seed: DeepLogisticClassifier(random_state=seed, n_jobs=N_THREADS),
            "cluster": lambda seed: ClusterClassifier(client, seed),
        }
        for name, X, y in choose_tables(arguments.data, arguments.tables):
            for seed in range(arguments.seeds):
                split = split_rows(X, y, round(TABLE_ROWS / 0.7), seed)
                figures: Results = {where: evaluate(make, split, seed) for where, make in makes.items()}
                figures["n_rows"] = len(split[0])
                results[f"{name}, seed {seed}"] = figures
                print_table_row(f"{name}, {seed}", figures)
    ratios = [figures["cluster"]["log_loss"] / figures["local"]["log_loss"] for figures in results.values()]
    print(f"log-loss of the cluster over local: geometric mean {geometric_mean(ratios):.3f}, worst {max(ratios):.3f}")
    return results


def print_table_row(name: str, figures: Results) -> None:
    local, cluster = figures["local"], figures["cluster"]
    print(
        f"{name:18}{figures['n_rows']:10d}{local['log_loss']:10.4f}{cluster['log_loss']:10.4f}"
        f"{cluster['log_loss'] / local['log_loss']:9.3f}{local['seconds']:9.2f}{cluster['seconds']:9.2f}",
        flush=True,
    )


# --- all ------------------------------------------------------------------------------------------------------------


def describe_machine() -> str:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "dask", "distributed"))
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {libraries}"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1], metavar="PART")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="of the clusters to time")
    parser.add_argument("--spark-python", default=sys.executable, help="a Python that has PySpark")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--memory-limit", default="1GB", help="of each worker, for the part memory")
    parser.add_argument("--zarr", action="store_true", help="fit to rows from Zarr, too")
    parser.add_argument("--data", type=Path, help="a folder with real tables, see datasets.py")
    parser.add_argument("--tables", nargs="+", help=f"default: all of at least {MIN_TABLE_ROWS} rows")
    parser.add_argument("--seeds", type=int, default=1, help="the number of splits of each table")
    parser.add_argument("--json", type=Path, help="write the figures to this file, or draw those in it")
    parser.add_argument("--picture", type=Path, default=Path("docs/dask.png"))
    parsed = parser.parse_args(arguments)
    if "picture" in parsed.parts and not parsed.json:
        parser.error("the part picture draws the figures of --json")
    return parsed


def keep(path: Path | None, part: str, figures: Results) -> None:
    """Write the figures of a part, with the machine, to the file; those of other parts stay."""
    if path is not None:
        results = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(results | {part: {"machine": describe_machine(), **figures}}, indent=1))


def main() -> None:
    arguments = parse()
    print(describe_machine())
    timed = [part for part in ("iteration", "spark") if part in arguments.parts]
    if timed:
        figures = time_iterations(timed, arguments)
        print_iterations(figures, timed[0], "iteration")
        keep(arguments.json, timed[0], figures)
    if "overhead" in arguments.parts:
        figures = time_overhead(arguments)
        print_iterations(figures, "overhead", "evaluation")
        keep(arguments.json, "overhead", figures)
    if "memory" in arguments.parts:
        keep(arguments.json, "memory", measure_memory(arguments))
    if "tables" in arguments.parts:
        keep(arguments.json, "tables", compare_tables(arguments))
    if "picture" in arguments.parts:
        from dask_picture import draw

        draw(json.loads(arguments.json.read_text())).savefig(arguments.picture, dpi=200)


if __name__ == "__main__":
    main()
