"""Quality of classifiers with their default parameters.

Every classifier is fitted with its default parameters to the same splits of real data sets (nominal columns one-hot,
standardised, 30% test). On each split they take turns, so that a slow moment of the machine affects all alike.

    python benchmarks/defaults.py                        # the data sets of scikit-learn
    python benchmarks/defaults.py --data FOLDER          # and those of a folder, see benchmarks/datasets.py
    python benchmarks/defaults.py --ablation             # the defaults of skrelu against alternatives to them
    python benchmarks/defaults.py --data FOLDER --markdown FILE   # the figures of each data set as a table
"""

import argparse
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from datasets import load_all
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV


def make_variant(**changes: Any) -> Callable[[int], Any]:
    return lambda seed: DeepLogisticClassifier(random_state=seed, **changes)


CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "DeepLogisticClassifier": lambda seed: DeepLogisticClassifier(random_state=seed),
    "  predictive='laplace'": make_variant(predictive="laplace"),
    "  alpha_grouping='shared'": make_variant(alpha_grouping="shared"),
    "  alpha_grouping='layer'": make_variant(alpha_grouping="layer"),
    "  alpha=3, early stopping": make_variant(alpha=3.0),
    "MLPClassifier": lambda seed: MLPClassifier(random_state=seed),
    "MLPClassifier(early_stopping=True)": lambda seed: MLPClassifier(early_stopping=True, random_state=seed),
    "LogisticRegression": lambda seed: LogisticRegression(),
    "LightGBM": lambda seed: LGBMClassifier(random_state=seed, verbose=-1),
}

CROSS_VALIDATED: dict[str, Callable[[int], Any]] = {
    "DeepLogisticClassifierCV": lambda seed: DeepLogisticClassifierCV(random_state=seed),
}

ABLATION: dict[str, Callable[[int], Any]] = {
    "default": make_variant(),
    **{f"alpha={alpha}": make_variant(alpha=alpha) for alpha in (0.3, 1.0, 3.0, 10.0)},
    "alpha=1, early_stopping=False": make_variant(alpha=1.0, early_stopping=False),
    "early_stopping=True": make_variant(early_stopping=True),
    "n_curvature_terms=500": make_variant(n_curvature_terms=500),
    "n_curvature_terms=2000": make_variant(n_curvature_terms=2000),
    "n_iter_no_change=10": make_variant(n_iter_no_change=10),
    "max_iter=200": make_variant(max_iter=200),
    "max_iter=2000": make_variant(max_iter=2000),
    "tol=1e-4": make_variant(tol=1e-4),
    "tol=1e-6": make_variant(tol=1e-6),
    "(50, 50)": make_variant(hidden_layer_sizes=(50, 50)),
    "(100, 100)": make_variant(hidden_layer_sizes=(100, 100)),
}


TABLE_NAMES = ("DeepLogisticClassifier", "  predictive='laplace'", "MLPClassifier", "LogisticRegression", "LightGBM")
DIGITS = (("log_loss", 4), ("brier", 3), ("calibration", 3))


def evaluate(make: Callable[[int], Any], split: list[Any], seed: int) -> dict[str, float]:
    """Fit one classifier to one split and return its figures on the test rows."""
    X, X_test, y, y_test = split
    classifier = make(seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        classifier.fit(X, y)
        seconds = time.perf_counter() - start
    n_fit_warnings = len(caught)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")  # LightGBM's
        probabilities = classifier.predict_proba(X_test)
    return {
        "log_loss": log_loss(y_test, probabilities, labels=classifier.classes_),
        "brier": brier_score(classifier.classes_, probabilities, y_test),
        "calibration": calibration_error(classifier.classes_, probabilities, y_test),
        "accuracy": float((classifier.classes_[probabilities.argmax(axis=1)] == y_test).mean()),
        "seconds": seconds,
        "warned": float(n_fit_warnings > 0),
    }


def brier_score(classes: np.ndarray, probabilities: np.ndarray, y: np.ndarray) -> float:
    """Return the mean over the rows of the squared distance between probabilities and the indicator of the label."""
    return float(np.square(probabilities - (y[:, np.newaxis] == classes)).sum(axis=1).mean())


def calibration_error(classes: np.ndarray, probabilities: np.ndarray, y: np.ndarray, n_bins: int = 15) -> float:
    """Return the expected calibration error: |accuracy - confidence| over equal bins of the highest probability."""
    confidence = probabilities.max(axis=1)
    is_right = classes[probabilities.argmax(axis=1)] == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights=is_right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(y))


def split_rows(X: np.ndarray, y: np.ndarray, max_rows: int, seed: int) -> list[Any]:
    """Draw at most `max_rows` rows, split them and standardise both parts."""
    if len(X) > max_rows:
        X, _, y, _ = train_test_split(X, y, train_size=max_rows, stratify=y, random_state=seed)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    scaler = StandardScaler().fit(X)
    return [scaler.transform(X), scaler.transform(X_test), y, y_test]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with more data sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-rows", type=int, default=20_000)
    parser.add_argument("--ablation", action="store_true", help="compare variants of our own default")
    parser.add_argument("--cv", action="store_true", help="add DeepLogisticClassifierCV, which fits 50 networks more")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    parser.add_argument("--markdown", type=Path, help="where to write loss, Brier score and calibration by data set")
    arguments = parser.parse_args()

    classifiers = ABLATION if arguments.ablation else CLASSIFIERS | (CROSS_VALIDATED if arguments.cv else {})
    results: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    print("test log-loss, mean over the seeds")
    print(f"{'':16}{'rows':>7}{'columns':>8}{'classes':>8}" + "".join(f"{name[:20]:>22}" for name in classifiers))
    for data_set, X, y in load_all(arguments.data):
        for seed in range(arguments.seeds):
            split = split_rows(X, y, arguments.max_rows, seed)
            for name, make in classifiers.items():
                results[data_set][name].append(evaluate(make, split, seed))
        losses = [np.mean([run["log_loss"] for run in results[data_set][name]]) for name in classifiers]
        shape = f"{min(len(X), arguments.max_rows):7d}{X.shape[1]:8d}{len(np.unique(y)):8d}"
        print(f"{data_set:16}{shape}" + "".join(f"{loss:22.4f}" for loss in losses), flush=True)
    print_summary(results, arguments.seeds)
    print_ratios(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    if arguments.markdown:
        arguments.markdown.write_text(calibration_table(results))


def print_summary(results: dict[str, dict[str, list[dict[str, float]]]], n_seeds: int) -> None:
    """Print a line for each classifier: figures over all data sets, with equal weights."""
    print(f"\n{len(results)} data sets, {n_seeds} splits each")
    print(
        f"{'':36}{'log-loss':>10}{'log-loss':>10}{'accuracy':>10}{'Brier':>8}{'calibration':>12}"
        f"{'fit time':>10}{'fit time':>10}{'fits that':>11}\n"
        f"{'':36}{'geo. mean':>10}{'mean':>10}{'mean':>10}{'score':>8}{'error':>12}"
        f"{'geo. mean':>10}{'total':>10}{'warned':>11}"
    )
    for name in next(iter(results.values())):
        mean = {
            figure: np.array([np.mean([run[figure] for run in runs[name]]) for runs in results.values()])
            for figure in ("log_loss", "accuracy", "brier", "calibration", "warned")
        }
        seconds = np.array([np.median([run["seconds"] for run in runs[name]]) for runs in results.values()])
        print(
            f"{name:36}{geometric_mean(mean['log_loss']):10.4f}{mean['log_loss'].mean():10.4f}"
            f"{mean['accuracy'].mean():10.4f}{mean['brier'].mean():8.4f}{mean['calibration'].mean():12.4f}"
            f"{geometric_mean(seconds):9.3f}s{seconds.sum():9.1f}s{mean['warned'].mean():11.1%}"
        )


def calibration_table(results: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Return log-loss, Brier score and expected calibration error of each data set, as Markdown."""
    names = [name for name in TABLE_NAMES if name in next(iter(results.values()))]
    lines = [
        "| log-loss / Brier score / calibration error | " + " | ".join(name.strip() for name in names) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for data_set, runs in results.items():
        cells = [
            " / ".join(f"{np.mean([run[figure] for run in runs[name]]):.{n_digits}f}" for figure, n_digits in DIGITS)
            for name in names
        ]
        lines.append(f"| {data_set} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def print_ratios(results: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    """Print the log-loss of the first classifier over that of each other one: over all data sets, and for the worst."""
    first, *others = next(iter(results.values()))
    print(f"\nlog-loss of {first} over that of{'':12}geo. mean{'':12}worst data set (figures)")
    for other in others:
        ratios = {
            data_set: [np.mean([run["log_loss"] for run in runs[name]]) for name in (first, other)]
            for data_set, runs in results.items()
        }
        worst = max(ratios, key=lambda data_set: ratios[data_set][0] / ratios[data_set][1])
        mean = geometric_mean(np.array([mine / its for mine, its in ratios.values()]))
        mine, its = ratios[worst]
        print(f"{other:40}{mean:20.3f}{mine / its:12.2f}  {worst} ({mine:.4f}, {its:.4f})")


def geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))


if __name__ == "__main__":
    main()
