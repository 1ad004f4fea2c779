"""The picture of `dask_cluster.py`: the time of an iteration against the workers, and its parts."""

from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import LogFormatter

# Each part of an iteration with its colour, from the bottom of a bar to its top.
PARTS = {
    "computation on the workers": "#0072b2",
    "messages and sums": "#d55e00",
    "L-BFGS on the client": "#009e73",
}
LEGEND = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "fontsize": 8, "frameon": False}  # below the axes


def divide(fits: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the seconds of each part of an iteration, by cluster, and in one process for comparison.

    A cluster records the computation of its workers. L-BFGS has the same work everywhere and takes the time that it
    takes in one process. The rest is messages, and sums of the results of several workers.
    """
    solver = next(of_fit["parts"]["solver"] for of_fit in fits.values() if "solver" in of_fit["parts"])
    bars = {}
    for name, of_fit in fits.items():
        if not of_fit["parts"]:  # Spark's are unknown
            continue
        total = median(of_fit["iteration"])
        computation = of_fit["parts"]["computation"]
        rest = max(0.0, total - computation - solver) if "solver" not in of_fit["parts"] else 0.0
        bars[name] = dict(zip(PARTS, (computation, rest, solver), strict=True))
    return bars


def draw(results: dict[str, Any]) -> plt.Figure:
    """Return the picture of the part `iteration` of the results."""
    fits = results["iteration"]["fits"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3.9), layout="constrained", width_ratios=(1, 1.1))
    draw_times(left, fits)
    draw_parts(right, divide(fits))
    return figure


def draw_times(axes: plt.Axes, fits: dict[str, Any]) -> None:
    clusters = {int(name.split()[1]): fit["iteration"] for name, fit in fits.items() if name.startswith("Dask")}
    milliseconds = {n: [1e3 * seconds for seconds in clusters[n]] for n in sorted(clusters)}
    numbers, medians = list(milliseconds), [median(times) for times in milliseconds.values()]
    least, most = [min(times) for times in milliseconds.values()], [max(times) for times in milliseconds.values()]
    spread = [[m - l for m, l in zip(medians, least, strict=True)], [h - m for h, m in zip(most, medians, strict=True)]]
    axes.errorbar(numbers, medians, spread, fmt="o-", color="#0072b2", capsize=3, label="Dask")
    ideal = [medians[0] * numbers[0] / n for n in numbers]
    axes.plot(numbers, ideal, ":", color="0.5", label="Dask, if workers cost nothing")
    others = {name: 1e3 * median(fit["iteration"]) for name, fit in fits.items() if not name.startswith("Dask")}
    spark = [time for name, time in others.items() if name.startswith("Spark")]
    local = next(time for name, time in others.items() if name.startswith("local"))
    axes.axhline(local, color="#009e73", linestyle="--", label="one process, 2 threads")
    if spark:
        axes.axhline(min(spark), color="#d55e00", linestyle="-.", label="Spark, 2 cores")
        axes.set_yscale("log")
        for which in ("major", "minor"):
            axes.tick_params(axis="y", which=which, labelsize=8)
        axes.yaxis.set_major_formatter("{x:.0f}")
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    else:
        axes.set_ylim(bottom=0)
    axes.set_xticks(numbers)
    axes.set_xlim(numbers[0] - 0.3, numbers[-1] + 0.3)
    axes.set_xlabel("workers", fontsize=9)
    axes.set_title("ms per iteration", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(**LEGEND)


def draw_parts(axes: plt.Axes, bars: dict[str, dict[str, float]]) -> None:
    names = list(bars)
    bottoms = [0.0] * len(names)
    for part, color in PARTS.items():
        heights = [1e3 * bars[name][part] for name in names]
        if any(heights):
            axes.bar(range(len(names)), heights, bottom=bottoms, width=0.6, color=color, label=part)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    axes.set_title("where the ms of an iteration go", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(**LEGEND)
