"""Check counterfactuals on real tables: labels, the straight line, many other directions, time.

    python benchmarks/counterfactuals.py [--data FOLDER] [--rows 200]

For each table a default fit, and the nearest counterfactual of some of its rows. `flips`: whether `predict` says
another label for every point found. `line`: the largest distance of a point over that of the first other label on 10001
places of the straight line to it. `around`: the same for 400 random directions, half of them close to the line.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from datasets import load_all
from sklearn.exceptions import ConvergenceWarning

from skrelu import DeepLogisticClassifier
from skrelu.inspection import Counterfactuals, nearest_counterfactual

MAX_FIT_ROWS = 6000
N_PLACES, N_DIRECTIONS, N_PLACES_AROUND = 10001, 400, 40


def worst_on_line(model: Any, X: np.ndarray, found: Counterfactuals) -> float:
    """Return the largest distance over that of the first other label on the line."""
    ratios, places = [1.0], np.linspace(0, 1, N_PLACES)[:, np.newaxis]
    for row in np.flatnonzero(found.is_found):
        labels = model.predict(X[row] + places * (found.points[row] - X[row]))
        ratios.append(1 / places[(labels != labels[0]).argmax(), 0])
    return max(ratios)


def worst_around(model: Any, X: np.ndarray, found: Counterfactuals) -> tuple[float, float]:
    """Return the largest distance over that of another label in random directions, and the part more than 1% off."""
    rng, before, scale = np.random.RandomState(0), model.predict(X), model.feature_scale_
    rows = np.flatnonzero(found.is_found)
    lines = (found.points[rows] - X[rows]) / scale / found.distance[rows, np.newaxis]
    shortest = np.ones(len(rows))  # of the distance found
    for number in range(N_DIRECTIONS):
        directions = rng.standard_normal(lines.shape)
        if number % 2:
            directions = lines + 0.3 * directions / np.sqrt(lines.shape[1])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for place in np.linspace(0, 1, N_PLACES_AROUND, endpoint=False)[1:]:
            length = place * found.distance[rows, np.newaxis]
            differs = model.predict(X[rows] + length * directions * scale) != before[rows]
            shortest[differs] = np.minimum(shortest[differs], place)
    return float((1 / shortest).max(initial=1)), float((shortest < 0.99).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of datasets.py")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--around", action="store_true", help="also look in random directions, which takes minutes")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, X, y in load_all(arguments.data):
        order = np.random.RandomState(0).permutation(len(X))[:MAX_FIT_ROWS]
        model = DeepLogisticClassifier(random_state=0).fit(X[order], y[order])
        rows = X[order[: arguments.rows]]
        start = time.perf_counter()
        found = nearest_counterfactual(model, rows)
        seconds = time.perf_counter() - start
        flips = bool((found.label != model.predict(rows))[found.is_found].all())
        line = (
            f"{name:20} {len(rows)} x {X.shape[1]:3}  found {found.is_found.mean():4.0%}  flips {flips}  "
            f"line {worst_on_line(model, rows, found):.4f}  own region {found.is_within_region.mean():4.0%}  "
            f"{seconds:5.2f} s"
        )
        if arguments.around:
            worst, share = worst_around(model, rows, found)
            line += f"  around {worst:.3f}, {share:.1%} of the rows by more than 1%"
        print(line, flush=True)


if __name__ == "__main__":
    main()
