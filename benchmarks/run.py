"""Time and memory of a fit, compared with other libraries and with the fastest that the machine allows.

    python benchmarks/run.py                         # the table; synthetic rows if scikit-learn has no real ones
    python benchmarks/run.py --data FOLDER           # with mnist10k.npz and adult.csv.gz from a folder
    python benchmarks/run.py --scaling docs/benchmarks   # time against rows, width, depth and threads, with plots
    python benchmarks/run.py --solver                    # the solver's part of an iteration

The competitors take turns in every round, so that a slow moment of the machine affects all alike. Medians over the
rounds and their ratios are printed. An iteration is one of L-BFGS; the solver's own work and its extra evaluations are
included. An evaluation is one objective with its gradient. It is compared with the time of its bare matrix products at
the same shapes and block size, and with the time of as many multiply-adds at the machine's peak.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from competitors import ALPHA, FITS, PeakMemory, TorchNetwork, names_for
from scipy import sparse
from shapes import SHAPES, Shape, load_shape
from timing import median_seconds

from skrelu._core.blocks import choose_block_rows
from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team, count_threads
from skrelu._data.labels import Labels

DTYPES = {"float64": np.float64, "float32": np.float32}


def make_network(shape: Shape) -> tuple[Network, Labels]:
    labels = Labels.of(shape.y, None)
    return Network((shape.X.shape[1], *shape.hidden, labels.n_outputs)), labels


def time_evaluations(shape: Shape, n_rounds: int) -> dict[str, float]:
    """Return the seconds of an evaluation by skrelu, of one by PyTorch, and of the bare products of one."""
    network, labels = make_network(shape)
    parameters = network.initial_parameters(np.random.RandomState(0)) + 0.01
    theirs = None if sparse.issparse(shape.X) else TorchNetwork(shape.X, shape.y, shape.hidden)
    rounds: dict[str, list[float]] = {"skrelu": [], "PyTorch": [], "products": []}
    n_threads = count_threads(None)
    for _ in range(n_rounds):
        with Team(n_threads) as team:
            targets = labels.encode(shape.y)
            datafit = Datafit(network, labels.loss, shape.X, targets, team=team)
            evaluate = Objective(datafit, Penalty.of(network, "shared", ALPHA)).value_and_gradient
            evaluate(parameters)
            rounds["skrelu"].append(median_seconds(lambda evaluate=evaluate: evaluate(parameters)))
            rounds["products"].append(time_products(network, shape, team))
        if theirs is not None:
            theirs.evaluate()
            rounds["PyTorch"].append(median_seconds(theirs.evaluate))
    return {name: float(np.median(times)) for name, times in rounds.items() if times}


def time_products(network: Network, shape: Shape, team: Team) -> float:
    """Return the seconds of the matrix products of one evaluation, with the same blocks and threads."""
    n_rows, dtype = shape.X.shape[0], shape.X.dtype
    if sparse.issparse(shape.X):
        return float("nan")
    block_rows = choose_block_rows(network.layer_sizes, shape.X, n_rows)
    layers = network.layers(np.ones(network.n_parameters, dtype=dtype))
    n_blocks = -(-n_rows // block_rows)
    sizes = network.layer_sizes
    arrays = [
        [np.ones((block_rows, size + 1), dtype=dtype) for size in sizes[:-1]]
        + [np.ones((block_rows, sizes[-1]), dtype=dtype)]
        for _ in range(team.n_threads)
    ]
    gradients = [network.layers(np.empty(network.n_parameters, dtype=dtype)) for _ in range(team.n_threads)]

    def compute(member: int, block: int) -> None:
        z = arrays[member]
        outputs = [array[:, :-1] for array in z[1:-1]] + [z[-1]]
        for l, layer in enumerate(layers):
            np.matmul(z[l], layer, out=outputs[l])
        for l in range(len(layers) - 1, -1, -1):
            np.matmul(z[l].T, outputs[l], out=gradients[member][l])
            if l > 0 and sizes[l + 1] > 1:
                np.matmul(outputs[l], layers[l].T, out=z[l])

    with np.errstate(all="ignore"):
        return median_seconds(lambda: team.each_block(n_blocks, compute))


def multiply_adds(network: Network, n_rows: int) -> float:
    first, *others = [rows * columns for rows, columns in network.shapes]
    return n_rows * (2 * first + 3 * sum(others))


def measure_peak(dtype: type) -> float:
    """Return the multiply-adds per second of a large product with all threads."""
    matrix = np.ones((2048, 2048), dtype=dtype)
    return 2048**3 / median_seconds(lambda: matrix @ matrix)


def time_fits(shape: Shape, n_rounds: int) -> dict[str, dict[str, float]]:
    """Return the seconds of a fit and of an iteration, and the objective at the end, for each competitor."""
    names = names_for(shape.X, shape.hidden)
    rounds: dict[str, list[Any]] = {name: [] for name in names}
    for _ in range(n_rounds):
        for name in names:
            rounds[name].append(FITS[name](shape.X, shape.y, shape.hidden, shape.n_iter))
    return {
        name: {
            "fit": float(np.median([fit.seconds for fit in fits])),
            "iteration": float(np.median([fit.seconds / fit.n_iter for fit in fits])),
            "n_iter": fits[0].n_iter,
            "loss": fits[0].loss,
        }
        for name, fits in rounds.items()
    }


def time_solver(shape: Shape) -> dict[str, float]:
    """Return, per iteration of skrelu, the number and the seconds of evaluations, and the solver's own seconds."""
    evaluate, spent = Objective.value_and_gradient, []

    def timed(objective: Objective, parameters: np.ndarray) -> Any:
        start = time.perf_counter()
        answer = evaluate(objective, parameters)
        spent.append(time.perf_counter() - start)
        return answer

    FITS["skrelu"](shape.X, shape.y, shape.hidden, 1)
    with patch.object(Objective, "value_and_gradient", timed):
        fit = FITS["skrelu"](shape.X, shape.y, shape.hidden, shape.n_iter)
    n_evaluations, inside = len(spent) / fit.n_iter, sum(spent) / fit.n_iter
    return {"n_evaluations": n_evaluations, "evaluations": inside, "solver": fit.seconds / fit.n_iter - inside}


def print_solver(folder: Path | None, shape_names: list[str], dtypes: list[str]) -> None:
    print(f"{'':32}{'parameters':>11}{'evaluations':>12}{'their ms':>10}{'the rest, ms':>13}  per iteration")
    for shape_name in shape_names:
        for dtype in dtypes:
            shape = load_shape(shape_name, DTYPES[dtype], folder)
            parts = time_solver(shape)
            print(
                f"{shape_name:13}{shape.hidden!s:11}{dtype:8}{make_network(shape)[0].n_parameters:11d}"
                f"{parts['n_evaluations']:12.2f}{parts['evaluations'] * 1e3:10.3f}{parts['solver'] * 1e3:13.3f}",
                flush=True,
            )


def time_to_loss(shape: Shape, fits: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the seconds in which each competitor reaches the objective that all reach, from a few shorter fits."""
    losses = [fit["loss"] for fit in fits.values() if np.isfinite(fit["loss"])]
    target = max(losses) * (1 + 1e-6)
    seconds = {}
    for name, fit in fits.items():
        seconds[name] = fit["fit"]
        for part in (1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8):
            shorter = FITS[name](shape.X, shape.y, shape.hidden, max(1, round(part * shape.n_iter)))
            if shorter.loss <= target:
                seconds[name] = shorter.seconds
                break
    return seconds


def time_predictions(shape: Shape) -> dict[str, float]:
    """Return the seconds of `predict_proba` for one row."""
    row = shape.X[:1]
    names = [name for name in names_for(shape.X, shape.hidden) if name != "PyTorch"]
    models = {name: FITS[name](shape.X, shape.y, shape.hidden, 1).model for name in names}
    models["LogisticRegression"] = FITS["LogisticRegression"](shape.X, shape.y, (), 1).model
    rounds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(5):
        for name, model in models.items():
            rounds[name].append(median_seconds(lambda model=model: model.predict_proba(row), 0.05, 200))
    return {name: float(np.median(times)) for name, times in rounds.items()}


def measure_memory(name: str, shape_name: str, dtype: str, folder: Path | None) -> float:
    """Return the peak private memory (bytes) of a short fit beyond its data, measured in a new process."""
    command = [sys.executable, __file__, "--memory-of", name, shape_name, dtype]
    command += ["--data", str(folder)] if folder is not None else []
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_memory_of(name: str, shape_name: str, dtype: str, folder: Path | None) -> None:
    shape = load_shape(shape_name, DTYPES[dtype], folder)
    FITS[name](shape.X[:200], np.arange(200) % (shape.y.max() + 1), shape.hidden, 1)  # lazy imports
    with PeakMemory() as memory:
        FITS[name](shape.X, shape.y, shape.hidden, 2)
    print(memory.beyond)


def measure(shape_name: str, dtype: str, folder: Path | None, n_rounds: int, peak: float) -> dict[str, Any]:
    shape = load_shape(shape_name, DTYPES[dtype], folder)
    network, _ = make_network(shape)
    fits = time_fits(shape, n_rounds)
    names = names_for(shape.X, shape.hidden)
    return {
        "shape": shape_name,
        "hidden": shape.hidden,
        "dtype": dtype,
        "n_parameters": network.n_parameters,
        "fits": fits,
        "to_loss": time_to_loss(shape, fits),
        "evaluation": time_evaluations(shape, n_rounds),
        "at_peak": multiply_adds(network, shape.X.shape[0]) / peak,
        "predict_one": time_predictions(shape),
        "memory": {name: measure_memory(name, shape_name, dtype, folder) for name in names},
    }


def print_row(result: dict[str, Any]) -> None:
    fits, evaluation = result["fits"], result["evaluation"]
    ours = fits["skrelu"]
    peer = "MLPClassifier" if result["hidden"] else "LogisticRegression"

    def ratio(figures: dict[str, float], name: str) -> str:
        return f"{figures[name] / figures['skrelu']:6.2f}x" if name in figures else f"{'-':>7}"

    iterations = {name: fit["iteration"] for name, fit in fits.items()}
    totals = {name: fit["fit"] for name, fit in fits.items()}
    memory = "/".join(f"{result['memory'].get(name, np.nan) / 2**20:.0f}" for name in ("skrelu", peer, "PyTorch"))
    latency = result["predict_one"]
    is_dense = "PyTorch" in evaluation
    floor = f"{evaluation['skrelu'] / evaluation['products']:6.2f}x" if is_dense else f"{'-':>7}"
    at_peak = f"{evaluation['skrelu'] / result['at_peak']:6.2f}x" if is_dense else f"{'-':>7}"
    print(
        f"{result['shape']:13}{result['hidden']!s:11}{result['dtype']:8}"
        f"{ours['iteration'] * 1e3:9.3f}{ratio(iterations, peer)}{ratio(iterations, 'PyTorch')}"
        f"{ours['fit']:9.3f}{ratio(totals, peer)}{ratio(totals, 'PyTorch')}"
        f"{ratio(result['to_loss'], peer)}{ratio(result['to_loss'], 'PyTorch')}"
        f"{evaluation['skrelu'] * 1e3:10.3f}{ratio(evaluation, 'PyTorch')}{floor}{at_peak}"
        f"{memory:>15}{latency['skrelu'] * 1e6:8.0f}{latency['LogisticRegression'] * 1e6:5.0f}",
        flush=True,
    )


def print_table_head() -> None:
    print(
        f"{'':32}{'iteration (ms)':^23}{'fit (s)':^23}{'to equal loss':^14}{'evaluation (ms)':^31}"
        f"{'memory (MB)':>15}{'1 row (us)':>13}\n"
        f"{'rows':13}{'layers':11}{'dtype':8}"
        f"{'skrelu':>9}{'peer':>7}{'torch':>7}{'skrelu':>9}{'peer':>7}{'torch':>7}{'peer':>7}{'torch':>7}"
        f"{'skrelu':>10}{'torch':>7}{'/ prod':>7}{'/ peak':>7}{'us/peer/torch':>15}{'us':>8}{'LR':>5}"
    )


def print_summary(results: list[dict[str, Any]]) -> None:
    def summarise(name: str, ratios: list[float]) -> None:
        if ratios:
            print(f"{name}: geometric mean {np.exp(np.mean(np.log(ratios))):.2f}x, least {min(ratios):.2f}x")

    deep = [result for result in results if result["hidden"]]
    dense = [result for result in results if "PyTorch" in result["evaluation"]]
    iterations = [r["fits"]["MLPClassifier"]["iteration"] / r["fits"]["skrelu"]["iteration"] for r in deep]
    summarise("iteration, MLPClassifier over skrelu", iterations)
    evaluations = [r["evaluation"]["PyTorch"] / r["evaluation"]["skrelu"] for r in dense]
    summarise("evaluation, PyTorch over skrelu", evaluations)
    floors = [r["evaluation"]["skrelu"] / r["evaluation"]["products"] for r in dense]
    summarise("evaluation, skrelu over the bare products", floors)


def describe_machine() -> str:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, numpy {np.__version__}, "
        f"PyTorch {torch.__version__}; {count_threads(None)} threads"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with mnist10k.npz and adult.csv.gz")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--dtypes", nargs="*", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"))
    parser.add_argument("--scaling", type=Path, help="write the plots of the scaling to this folder instead")
    parser.add_argument("--solver", action="store_true", help="how an iteration divides, instead")
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print_memory_of(*arguments.memory_of, arguments.data)
        return
    print(describe_machine())
    if arguments.scaling:
        from scaling import run_all

        run_all(arguments.scaling)
        return
    if arguments.solver:
        print_solver(arguments.data, arguments.shapes, arguments.dtypes)
        return
    peaks = {dtype: measure_peak(DTYPES[dtype]) for dtype in arguments.dtypes}
    print("peak: " + ", ".join(f"{peak / 1e9:.0f} G multiply-adds/s in {dtype}" for dtype, peak in peaks.items()))
    print_table_head()
    results = []
    for shape_name in arguments.shapes:
        for dtype in arguments.dtypes:
            results.append(measure(shape_name, dtype, arguments.data, arguments.rounds, peaks[dtype]))
            print_row(results[-1])
    print_summary(results)
    arguments.json.write_text(json.dumps({"machine": describe_machine(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
