"""Draw the log-losses that `defaults.py --raw --json FIGURES` measured, on columns in their own units.

    python benchmarks/picture.py FIGURES docs/raw.png

One row for each table: the test log-loss of each classifier over that of DeepLogisticClassifier.
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from units import OURS

OTHERS = {"LightGBM": "s", "MLPClassifier": "^", "LogisticRegression": "o"}  # and their markers
MAX_RATIO = 10.0  # larger ones are drawn here


def ratios_of(results: dict[str, dict[str, dict[str, dict[str, float]]]], name: str) -> np.ndarray:
    """Return the mean log-loss of a classifier over ours, for each table."""

    def mean(runs: dict[str, dict[str, float]]) -> float:
        return float(np.mean([run["log_loss"] for run in runs.values()]))

    return np.array([mean(of_table[name]) / mean(of_table[OURS]) for of_table in results.values()])


def draw(results: dict[str, dict[str, dict[str, dict[str, float]]]]) -> plt.Figure:
    """Return the picture; tables where the others are far behind are at the top."""
    ratios = {name: ratios_of(results, name) for name in OTHERS}
    order = np.argsort([np.mean(row) for row in np.log(list(ratios.values())).T])
    figure, axes = plt.subplots(figsize=(7, 5.6), layout="constrained")
    places = np.arange(len(order))
    for (name, marker), color in zip(OTHERS.items(), ("C2", "C1", "C7"), strict=True):
        values = ratios[name][order]
        mean = np.exp(np.log(values).mean())
        label = f"{name}: {mean:.2f} in the geometric mean"
        axes.plot(np.minimum(values, MAX_RATIO), places, marker, color=color, label=label, alpha=0.85, markersize=5)
    axes.axvline(1, color="C0", linewidth=2, label=OURS)
    axes.set(
        xscale="log",
        xlim=(0.35, 1.1 * MAX_RATIO),
        xlabel="test log-loss over that of DeepLogisticClassifier; right of the line it is higher",
        title="Tables with columns in their own units, no scaler, defaults only",
    )
    axes.set_xticks([0.5, 1, 2, 5, MAX_RATIO], ["0.5", "1", "2", "5", f"{MAX_RATIO:.0f} or more"])
    axes.set_yticks(places, np.array(list(results))[order], fontsize=8)
    axes.grid(axis="y", color="0.92")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    draw(json.loads(arguments.figures.read_text())).savefig(arguments.picture, dpi=110)


if __name__ == "__main__":
    main()
