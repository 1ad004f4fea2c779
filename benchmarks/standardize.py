"""Does standardising inside make an evaluation slower? Value and gradient with it over those without.

    python benchmarks/standardize.py                   # every shape
    python benchmarks/standardize.py --data FOLDER     # with mnist10k.npz and adult.csv.gz from a folder
    python benchmarks/standardize.py --shapes 569x30 1797x64 --evaluations 50

Both evaluate the same model on the same rows, in turns. The medians and the median of the paired ratios are
printed. With `far` the means are 1e5 deviations from 0, so that dense rows are centred when they are copied.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from shapes import SHAPES, load_shape

from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team, count_threads
from skrelu._data.labels import Labels

SECONDS = 4.0  # of both together, for each shape


def time_pair(
    name: str, dtype: type, far: bool, data: Path | None, n_evaluations: int | None
) -> tuple[np.ndarray, int]:
    """Return the seconds of evaluations without and with standardising, of shape (2, n), and the number of blocks."""
    shape = load_shape(name, dtype, data)
    mean = 1e5 if far else 1.0
    X = shape.X if sparse.issparse(shape.X) else shape.X + dtype(mean)
    labels = Labels.of(shape.y, None)
    network = Network((X.shape[1], *shape.hidden, labels.n_outputs))
    standardization = Standardization(np.full(X.shape[1], mean), np.ones(X.shape[1]))
    parameters = 0.1 * np.random.default_rng(0).standard_normal(network.n_parameters)
    given = parameters.copy()  # of the same model, in the units of X
    network.layers(given)[0][...] = standardization.to_given(network.layers(parameters)[0])
    seconds: list[list[float]] = [[], []]
    with Team(count_threads(None)) as team:
        fits = [
            Datafit(network, labels.loss, X, labels.encode(shape.y), team=team, standardization=one)
            for one in (None, standardization)
        ]
        began = time.perf_counter()
        for fit, point in zip(fits, (given, parameters), strict=True):
            fit.value_and_gradient(point)
        pair_of_seconds = time.perf_counter() - began
        for number in range(n_evaluations or int(np.clip(SECONDS / pair_of_seconds, 7, 2000))):
            for which in (0, 1) if number % 2 else (1, 0):
                began = time.perf_counter()
                fits[which].value_and_gradient((given, parameters)[which])
                seconds[which].append(time.perf_counter() - began)
    return np.array(seconds), len(fits[0]._blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--evaluations", type=int, help="of each; by default as many as fit into some seconds")
    arguments = parser.parse_args()
    print(f"{'':14}{'':9}{'':5}{'blocks':>7}{'without (ms)':>14}{'with (ms)':>11}{'ratio':>8}")
    ratios = []
    for name in arguments.shapes:
        for dtype in (np.float64, np.float32):
            for far in (False, True):
                if far and sparse.issparse(load_shape(name, dtype, arguments.data).X):
                    continue
                seconds, n_blocks = time_pair(name, dtype, far, arguments.data, arguments.evaluations)
                without, with_it = np.median(seconds, axis=1) * 1e3
                ratio = float(np.median(seconds[1] / seconds[0]))
                ratios.append(ratio)
                label = f"{name:14}{np.dtype(dtype).name:9}{'far' if far else '':5}"
                print(f"{label}{n_blocks:7d}{without:14.3f}{with_it:11.3f}{ratio:8.3f}", flush=True)
    print(f"geometric mean {np.exp(np.log(ratios).mean()):.3f}, largest {max(ratios):.3f}")


if __name__ == "__main__":
    main()
