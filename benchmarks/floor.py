"""Time of an evaluation against that of its bare matrix products, and with all threads against one.

    python benchmarks/floor.py                       # the dense shapes of `shapes.py`
    python benchmarks/floor.py --shapes 10000x784 1797x64 --data FOLDER

For each shape and dtype, in turns: an evaluation of objective and gradient with all threads and with one, and the
matrix products of an evaluation over all rows at once, by BLAS with all threads. Medians over the rounds are printed,
and the medians of the ratios of each round.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from shapes import SHAPES, load_shape
from timing import median_seconds

from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team, count_threads
from skrelu._data.labels import Labels

DENSE = [name for name in SHAPES if "sparse" not in name]
MIN_ROUND_SECONDS = 0.4
MAX_CALLS = 100_000  # so many that the seconds alone end a round


def make_products(network: Network, n_rows: int, dtype: np.dtype) -> Callable[[], None]:
    """Return a function that computes only the matrix products of an evaluation."""
    sizes = network.layer_sizes
    layers = network.layers(np.ones(network.n_parameters, dtype=dtype))
    gradients = network.layers(np.empty(network.n_parameters, dtype=dtype))
    inputs = [np.ones((n_rows, size + 1), dtype=dtype) for size in sizes[:-1]]
    outputs = [z[:, :-1] for z in inputs[1:]] + [np.ones((n_rows, sizes[-1]), dtype=dtype)]

    def multiply() -> None:
        for z, layer, output in zip(inputs, layers, outputs, strict=True):
            np.matmul(z, layer, out=output)
        for l in range(len(layers) - 1, -1, -1):
            np.matmul(inputs[l].T, outputs[l], out=gradients[l])
            if l > 0 and sizes[l + 1] > 1:
                np.matmul(outputs[l], layers[l].T, out=inputs[l])

    return multiply


def measure(name: str, dtype: str, folder: Path | None, n_rounds: int) -> None:
    shape = load_shape(name, getattr(np, dtype), folder)
    labels = Labels.of(shape.y, None)
    network = Network((shape.X.shape[1], *shape.hidden, labels.n_outputs))
    parameters = network.initial_parameters(np.random.RandomState(0)) + 0.01
    teams = {"all": Team(count_threads(None)), "one": Team(1)}
    works: dict[str, tuple[Any, Callable[[], Any]]] = {}
    for key, team in teams.items():
        datafit = Datafit(network, labels.loss, shape.X, labels.encode(shape.y), team=team)
        objective = Objective(datafit, Penalty.of(network, "shared", 1.0))
        works[key] = (team, lambda objective=objective: objective.value_and_gradient(parameters))
    works["products"] = (nullcontext(), make_products(network, shape.X.shape[0], shape.X.dtype))
    times: dict[str, list[float]] = {key: [] for key in works}
    with np.errstate(all="ignore"):
        for _ in range(n_rounds):
            for key, (context, work) in works.items():
                with context:
                    work()
                    times[key].append(median_seconds(work, MIN_ROUND_SECONDS, MAX_CALLS))
    ms = {key: np.array(values) * 1e3 for key, values in times.items()}
    print(
        f"{name:13}{shape.hidden!s:11}{dtype:8}{np.median(ms['all']):10.3f}{np.median(ms['one']):10.3f}"
        f"{np.median(ms['products']):10.3f}{np.median(ms['all'] / ms['products']):10.2f}x"
        f"{np.median(ms['one'] / ms['all']):9.2f}x",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", choices=DENSE, default=DENSE)
    parser.add_argument("--dtypes", nargs="*", choices=["float64", "float32"], default=["float64", "float32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, help="a folder with mnist10k.npz")
    arguments = parser.parse_args()
    print(f"{'evaluation (ms), ' + str(count_threads(None)) + ' threads':32}{'all':>10}{'one':>10}{'products':>10}")
    print(f"{'':62}{'all / products':>11}{'one / all':>10}")
    for name in arguments.shapes:
        for dtype in arguments.dtypes:
            measure(name, dtype, arguments.data, arguments.rounds)


if __name__ == "__main__":
    main()
