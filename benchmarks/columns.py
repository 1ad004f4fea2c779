"""What is left to the user of DeepLogisticClassifier: long tails, categories and missing values.

Each preparation of the columns is a pipeline of scikit-learn in front of the classifier with its defaults. All are
fitted to the same splits (30% test) and compared by the test log-loss with plain standardising.

    python benchmarks/columns.py                 # the data sets of scikit-learn
    python benchmarks/columns.py --data FOLDER   # and those of a folder, see benchmarks/datasets.py

- long tails: numeric columns, those with more than two values, are transformed in several ways, and all columns are
  standardised after that. Tables without numeric columns are left out. Where no column is skewed, the ratio of log
  columns is the effect of rounding alone: the same columns lie in memory in another order.
- categories: those of the adult census one-hot, or as integer codes in alphabetical order. Only with --data.
- missing values: a fifth of the values of a table are taken away, at random or where they are highest.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import load_adult, load_all
from evaluation import Make, evaluate, split_raw_rows
from figures import Results, average, geometric_mean, pair_up
from scipy.stats import skew
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)

from skrelu import DeepLogisticClassifier

MIN_SKEW = 2.0  # that of an exponential distribution
MISSING = 0.2  # part of the values of each column

# --- long tails ---------------------------------------------------------------------------------------------------


def numeric(X: np.ndarray) -> list[int]:
    """Return the columns with more than two values."""
    return [j for j, column in enumerate(X.T) if len(np.unique(column)) > 2]


def skewed(X: np.ndarray) -> list[int]:
    """Return the numeric columns whose skewness is above MIN_SKEW to either side."""
    return [j for j in numeric(X) if abs(skew(X[:, j])) > MIN_SKEW]


def skewed_amounts(X: np.ndarray) -> list[int]:
    """Return the columns without negative values whose skewness is above MIN_SKEW."""
    return [j for j in skewed(X) if X[:, j].min() >= 0 and skew(X[:, j]) > 0]


def log1p(X: np.ndarray) -> np.ndarray:
    """Return log(1 + x), and 0 for a negative value in the rows to predict."""
    logarithms: np.ndarray = np.log1p(np.maximum(X, 0))
    return logarithms


def make_ranks() -> QuantileTransformer:
    return QuantileTransformer(output_distribution="normal", random_state=0)


Columns = Callable[[np.ndarray], list[int]]  # the columns to transform, chosen from the training rows


def transform(transformer: Any, columns: Columns, keep: bool = False) -> ColumnTransformer:
    """Return a transformer of some columns; all others are kept, and with `keep` those too, as they were."""
    beside = [("before", "passthrough", columns)] if keep else []
    return ColumnTransformer([("after", transformer, columns), *beside], remainder="passthrough")


PLAIN = "standardised"
TAILS: dict[str, Callable[[], Any]] = {
    PLAIN: lambda: "passthrough",
    "log columns": lambda: transform(FunctionTransformer(log1p), skewed_amounts),
    "normal ranks": lambda: transform(make_ranks(), numeric),
    "both": lambda: transform(make_ranks(), numeric, keep=True),
    "both if skewed": lambda: transform(make_ranks(), skewed, keep=True),
    "splines": lambda: transform(SplineTransformer(), numeric),
    "both, splines": lambda: transform(SplineTransformer(), numeric, keep=True),
}


def make_tails(name: str, seed: int) -> Any:
    return make_pipeline(TAILS[name](), StandardScaler(), DeepLogisticClassifier(random_state=seed))


def compare(makes: Mapping[str, Make], X: Any, y: np.ndarray, n_seeds: int, max_rows: int) -> dict[str, Any]:
    """Return the figures of each classifier by seed; on each split they take turns."""
    runs: dict[str, Any] = {name: {} for name in makes}
    for seed in range(n_seeds):
        split = split_raw_rows(X, y, max_rows, seed)
        for name, make in makes.items():
            runs[name][seed] = evaluate(make, split, seed)
    return runs


def compare_tails(tables: Iterable[Any], n_seeds: int, max_rows: int) -> Results:
    """Print the log-loss with standardised columns, and those of the other ways over it, for each table."""
    others = [name for name in TAILS if name != PLAIN]
    print(f"log-loss, and ratios to it\n{'':16}{'rows':>6}{'numeric':>8}{'skewed':>7}{PLAIN:>14}", end="")
    print("".join(f"{name:>15}" for name in others))
    results: Results = {}
    for data_set, X, y in tables:
        if not numeric(X):
            continue
        runs = compare({name: partial(make_tails, name) for name in TAILS}, X, y, n_seeds, max_rows)
        results[data_set] = runs
        plain, *losses = (average(runs[name].values(), "log_loss") for name in TAILS)
        shape = f"{min(len(X), max_rows):6d}{len(numeric(X)):8d}{len(skewed(X)):7d}"
        print(f"{data_set:16}{shape}{plain:14.4f}" + "".join(f"{loss / plain:15.3f}" for loss in losses), flush=True)
    return results


def print_tails(results: Results) -> None:
    """Print geometric mean, least and largest of the ratios over the tables."""
    print(f"\n{'':16}{'geo. mean':>10}{'best':>8} {'':17}{'worst':>8}")
    for name in TAILS:
        if name == PLAIN:
            continue
        ratios = {table: mine / its for table, (mine, its) in pair_up(results, "log_loss", name, PLAIN).items()}
        best, worst = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
        mean = geometric_mean(np.array(list(ratios.values())))
        print(f"{name:16}{mean:10.3f}{ratios[best]:8.3f} {best:17}{ratios[worst]:8.3f} {worst}")


# --- categories and missing values --------------------------------------------------------------------------------

ENCODERS: dict[str, Callable[[], Any]] = {
    "one-hot": lambda: OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    "integer codes": lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "left out": lambda: "drop",
}
IMPUTERS: dict[str, Callable[[], Any]] = {
    "the mean": SimpleImputer,
    "the mean, and indicators": lambda: SimpleImputer(add_indicator=True),
}


def make_encoded(name: str, seed: int) -> Any:
    nominal = make_column_selector(dtype_exclude="number")
    columns = ColumnTransformer([("nominal", ENCODERS[name](), nominal)], remainder="passthrough")
    return make_pipeline(columns, StandardScaler(), DeepLogisticClassifier(random_state=seed))


def make_imputed(name: str, seed: int) -> Any:
    return make_pipeline(IMPUTERS[name](), StandardScaler(), DeepLogisticClassifier(random_state=seed))


def lose_at_random(X: np.ndarray) -> np.ndarray:
    """Return X with NaN in the place of a part of its values."""
    return np.where(np.random.default_rng(0).random(X.shape) < MISSING, np.nan, X)


def lose_highest(X: np.ndarray) -> np.ndarray:
    """Return X with NaN in the place of the highest values of each column."""
    limits = np.quantile(X, 1 - MISSING, axis=0)
    return np.where(limits < X, np.nan, X)


def print_runs(title: str, runs: dict[str, Any]) -> None:
    """Print the log-loss and the accuracy of each way."""
    print(f"\n{title}\n{'':26}{'log-loss':>9}{'accuracy':>9}")
    for name, figures in runs.items():
        print(f"{name:26}{average(figures.values(), 'log_loss'):9.4f}{average(figures.values(), 'accuracy'):9.4f}")


# --- the command --------------------------------------------------------------------------------------------------


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with more data sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=6000)
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    size = arguments.seeds, arguments.max_rows
    print_tails(compare_tails(load_all(arguments.data), *size))
    if arguments.data:
        makes = {name: partial(make_encoded, name) for name in ENCODERS}
        print_runs("adult, categories:", compare(makes, *load_adult(arguments.data), *size))
    X, y = load_breast_cancer(return_X_y=True)
    print_runs("breast_cancer, complete:", compare({PLAIN: partial(make_tails, PLAIN)}, X, y, *size))
    makes = {name: partial(make_imputed, name) for name in IMPUTERS}
    for title, lose in (("missing at random", lose_at_random), ("missing where highest", lose_highest)):
        print_runs(f"breast_cancer, {MISSING:.0%} {title}:", compare(makes, lose(X), y, *size))


if __name__ == "__main__":
    main()
