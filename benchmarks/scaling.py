"""Time against rows, width, depth and threads: a plot of each, and all figures in one JSON file."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from competitors import ALPHA, FITS
from shapes import Shape, make_rows

from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._data.labels import Labels

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = ("skrelu", "MLPClassifier", "PyTorch")
COLORS = dict(zip(NAMES, ("#0072b2", "#d55e00", "#009e73"), strict=True))
Series = dict[str, dict[float, float]]


def run_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "rows": against_rows(),
        "width": against_width(),
        "depth": against_depth(),
        "threads": against_threads(),
    }
    for what, series in figures.items():
        print(what)
        for name, points in series.items():
            print(f"  {name:32}" + "  ".join(f"{x:g}: {y:.3g}" for x, y in points.items()), flush=True)
    plot(folder / "rows.png", figures["rows"], "rows", "seconds per iteration", "30 features, layers (64,)", log=True)
    plot(folder / "width.png", figures["width"], "width", "seconds per iteration", "20000 x 30, layers (w,)", log=True)
    plot(
        folder / "depth.png", figures["depth"], "hidden layers of 64", "seconds per iteration", "20000 x 30", log=False
    )
    plot(folder / "threads.png", figures["threads"], "threads", "speed against one thread", "evaluations", log=False)
    (folder / "scaling.json").write_text(json.dumps(figures, indent=1))


def time_iterations(shape: Shape, n_rounds: int = 3) -> dict[str, float]:
    """Return the median seconds per iteration of each competitor; they take turns."""
    rounds: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(n_rounds):
        for name in NAMES:
            fit = FITS[name](shape.X, shape.y, shape.hidden, shape.n_iter)
            rounds[name].append(fit.seconds / fit.n_iter)
    return {name: float(np.median(times)) for name, times in rounds.items()}


def collect(shapes: dict[float, Shape]) -> Series:
    series: Series = {name: {} for name in NAMES}
    for x, shape in shapes.items():
        for name, seconds in time_iterations(shape).items():
            series[name][x] = seconds
    return series


def make_shape(n_rows: int, hidden: tuple[int, ...], n_iter: int = 5) -> Shape:
    X, y = make_rows(n_rows, 30)
    return Shape(f"{n_rows}x30", X, y, hidden, n_iter)


def against_rows() -> Series:
    return collect({n: make_shape(n, (64,), 3 if n > 200_000 else 8) for n in (1000, 10_000, 100_000, 1_000_000)})


def against_width() -> Series:
    return collect({width: make_shape(20_000, (width,)) for width in (8, 32, 128, 512)})


def against_depth() -> Series:
    return collect({depth: make_shape(20_000, (64,) * depth) for depth in (1, 2, 4, 6)})


def against_threads() -> Series:
    """Return the speed of an evaluation relative to that with one thread."""
    series: Series = {}
    shapes = [make_shape(20_000, (100,)), make_shape(200_000, (64, 32)), make_shape(20_000, (256, 256))]
    for shape in shapes:
        for dtype in (np.float64, np.float32):
            seconds = time_evaluations(shape, dtype, (1, 2))
            name = f"{shape.name} {shape.hidden} {dtype.__name__}"
            series[name] = {n: seconds[1] / seconds[n] for n in seconds}
    return series


def time_evaluations(shape: Shape, dtype: type, numbers: tuple[int, ...], n_rounds: int = 7) -> dict[int, float]:
    """Return the median seconds of an evaluation for each number of threads; the numbers take turns."""
    labels = Labels.of(shape.y, None)
    network = Network((30, *shape.hidden, 1))
    parameters = network.initial_parameters(np.random.RandomState(0))
    X, targets = shape.X.astype(dtype), labels.encode(shape.y)
    rounds: dict[int, list[float]] = {n: [] for n in numbers}
    for _ in range(n_rounds):
        for n in numbers:
            with Team(n) as team:
                datafit = Datafit(network, labels.loss, X, targets, team=team)
                evaluate = Objective(datafit, Penalty.of(network, "shared", ALPHA)).value_and_gradient
                rounds[n].append(median_of(lambda evaluate=evaluate: evaluate(parameters)))
    return {n: float(np.median(times)) for n, times in rounds.items()}


def median_of(work: Callable[[], object], n_calls: int = 15) -> float:
    work()
    times = []
    for _ in range(n_calls):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def plot(path: Path, series: Series, x_label: str, y_label: str, title: str, *, log: bool) -> None:
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, points in series.items():
        axes.plot(list(points), list(points.values()), "o-", label=name, color=COLORS.get(name))
    if log:
        axes.set(xscale="log", yscale="log")
    else:
        axes.set_xticks(list(next(iter(series.values()))))
        axes.set_ylim(bottom=0)
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
