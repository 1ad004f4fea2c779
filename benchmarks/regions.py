"""Draw the activation regions of two moons as the depth grows.

python benchmarks/regions.py docs/regions.png
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from skrelu import DeepLogisticClassifier
from skrelu.inspection import LinearRegionsDisplay

DEPTHS = [(), (8,), (8, 8), (8, 8, 8)]


def draw() -> plt.Figure:
    """Return the picture: a panel for each depth."""
    X, y = make_moons(400, noise=0.2, random_state=0)
    figure, panels = plt.subplots(1, len(DEPTHS), figsize=(9, 2.9), sharex=True, sharey=True, layout="constrained")
    for panel, hidden in zip(panels, DEPTHS, strict=True):
        model = DeepLogisticClassifier(hidden, n_init=10, max_iter=2000, random_state=0).fit(X, y)
        display = LinearRegionsDisplay.from_estimator(model, X, y, ax=panel)
        display.legend_.axes.remove()
        display.colorbar_.remove()
        n_regions = len(display.polygons)
        panel.set(title=f"{hidden}\n{n_regions} {'region' if n_regions == 1 else 'regions'}", xlabel="", ylabel="")
        panel.set(xticks=[], yticks=[])
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    draw().savefig(parser.parse_args().picture, dpi=110)


if __name__ == "__main__":
    main()
