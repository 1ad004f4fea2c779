"""Quality of classifiers with their default parameters.

Every classifier is fitted with its default parameters to the same splits of real data sets (nominal columns one-hot,
standardised, 30% test). On each split they take turns, so that a slow moment of the machine affects all alike.

    python benchmarks/defaults.py                        # the data sets of scikit-learn
    python benchmarks/defaults.py --data FOLDER          # and those of a folder, see benchmarks/datasets.py
    python benchmarks/defaults.py --slow                 # and CatBoost and RealMLP, on the first split of each
    python benchmarks/defaults.py --revision REV         # and the default classifier as it was at a revision
    python benchmarks/defaults.py --ablation             # the defaults of skrelu against alternatives to them
    python benchmarks/defaults.py --layers               # hidden layers, by the evidence and with alpha=3
    python benchmarks/defaults.py --share                # the part of a fit's time that the evidence takes
    python benchmarks/defaults.py --data FOLDER --markdown FILE   # the figures of each data set as a table
"""

import argparse
import json
import logging
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ContextDecorator, ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np
from datasets import Table, load_all
from revisions import check_out
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

Make = Callable[[int], Any]  # a classifier from a seed
Figures = dict[str, float]
Evaluation = Callable[[list[Any], int], Figures]  # from a split and a seed
Results = dict[str, dict[str, dict[int, Figures]]]  # by data set, classifier and seed

# --- the classifiers ----------------------------------------------------------------------------------------------


def import_and_make(package: str, name: str, seed: int, **parameters: Any) -> Any:
    """Return a classifier of a package, imported only now: the process of a revision has its own skrelu."""
    return getattr(import_module(package), name)(random_state=seed, **parameters)


def make_variant(**changes: Any) -> Make:
    return partial(import_and_make, "skrelu", "DeepLogisticClassifier", **changes)


CLASSIFIERS: dict[str, Make] = {
    "DeepLogisticClassifier": make_variant(),
    "  predictive='laplace'": make_variant(predictive="laplace"),
    "  alpha_grouping='shared'": make_variant(alpha_grouping="shared"),
    "  alpha_grouping='layer'": make_variant(alpha_grouping="layer"),
    "  alpha=3, early stopping": make_variant(alpha=3.0),
    "MLPClassifier": lambda seed: MLPClassifier(random_state=seed),
    "MLPClassifier(early_stopping=True)": lambda seed: MLPClassifier(early_stopping=True, random_state=seed),
    "LogisticRegression": lambda seed: LogisticRegression(),
    "LightGBM": partial(import_and_make, "lightgbm", "LGBMClassifier", verbose=-1),
}

CROSS_VALIDATED = {"DeepLogisticClassifierCV": partial(import_and_make, "skrelu", "DeepLogisticClassifierCV")}

ABLATION: dict[str, Make] = {
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

ONE_LAYER, *TWO_LAYERS = HIDDEN_LAYERS = ((100,), (20, 20), (50, 50), (100, 100))
BY_EVIDENCE = {f"{layers}": make_variant(hidden_layer_sizes=layers) for layers in HIDDEN_LAYERS}
FIXED = {f"{layers}, alpha=3": make_variant(hidden_layer_sizes=layers, alpha=3.0) for layers in HIDDEN_LAYERS}


def load_slow() -> dict[str, Make]:
    """Import the classifiers that take minutes; the parameters of RealMLP are those it recommends for log-loss."""
    try:
        from catboost import CatBoostClassifier
        from pytabkit import RealMLP_TD_Classifier
    except ImportError as error:
        raise SystemExit(f"--slow needs catboost and pytabkit, of the extra `benchmark`: {error}") from error
    logging.disable(logging.INFO)  # Lightning logs several lines a fit
    return {
        "CatBoost": lambda seed: CatBoostClassifier(random_seed=seed, verbose=False, allow_writing_files=False),
        "RealMLP": lambda seed: RealMLP_TD_Classifier(
            device="cpu", random_state=seed, val_metric_name="cross_entropy", use_ls=False
        ),
    }


@contextmanager
def at_revision(revision: str, makes: dict[str, Make]) -> Iterator[dict[str, Evaluation]]:
    """Yield evaluations of classifiers as they were at a revision, in a process of their own."""
    spawn = multiprocessing.get_context("spawn")
    with check_out(revision) as folder, ProcessPoolExecutor(1, spawn, import_package, (folder,)) as process:

        def evaluate_there(make: Make, split: list[Any], seed: int) -> Figures:
            return process.submit(evaluate, make, split, seed).result()

        yield {f"{revision}: {name}": partial(evaluate_there, make) for name, make in makes.items()}


def import_package(folder: Path) -> None:
    """Import the package of a folder, even if another one is installed."""
    sys.path.insert(0, str(folder))
    import skrelu

    assert Path(skrelu.__file__).is_relative_to(folder), f"{skrelu.__file__} is not in {folder}"


# --- the fits -----------------------------------------------------------------------------------------------------


def evaluate(make: Make, split: list[Any], seed: int) -> Figures:
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
        warnings.filterwarnings("ignore", message="`isinstance.*LeafSpec")  # Lightning's, which RealMLP uses
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


def evaluate_all(
    evaluations: dict[str, Evaluation], slow: Collection[str], tables: Iterable[Table], n_seeds: int, max_rows: int
) -> Results:
    """Evaluate classifiers on every split, slow ones on the first; print the log-losses. A slow one may fail."""
    results: Results = {}
    print("test log-loss, mean over the seeds" + "".join(f"; {name}: the first seed only" for name in slow))
    print(f"{'':16}{'rows':>7}{'columns':>8}{'classes':>8}" + "".join(f"{name[:20]:>22}" for name in evaluations))
    for data_set, X, y in tables:
        runs: dict[str, dict[int, Figures]] = {name: {} for name in evaluations}
        for seed in range(n_seeds):
            split = split_rows(X, y, max_rows, seed)
            for name, evaluation in evaluations.items():
                if name in slow and seed > 0:
                    continue
                try:
                    runs[name][seed] = evaluation(split, seed)
                except Exception as error:  # each library has its own errors, for too few rows for example
                    if name not in slow:
                        raise
                    print(f"{data_set} is left out for {name}: {type(error).__name__}: {error}", flush=True)
        results[data_set] = runs
        shape = f"{min(len(X), max_rows):7d}{X.shape[1]:8d}{len(np.unique(y)):8d}"
        losses = [average(runs[name].values(), "log_loss") for name in evaluations]
        print(f"{data_set:16}{shape}" + "".join(f"{loss:22.4f}" for loss in losses), flush=True)
    return results


# --- the tables of figures ----------------------------------------------------------------------------------------

TABLE_NAMES = ("DeepLogisticClassifier", "  predictive='laplace'", "MLPClassifier", "LogisticRegression", "LightGBM")
DIGITS = (("log_loss", 4), ("brier", 3), ("calibration", 3))
MAX_RATIO = 1.05  # of the log-losses of two revisions; data sets above it are listed
SMALL_LOSS = 0.02  # nats; data sets where both log-losses are below it are not listed


def average(runs: Iterable[Figures], figure: str) -> float:
    """Return the mean of a figure over the splits, but the median of the seconds; nan without a split."""
    values = [run[figure] for run in runs]
    if not values:
        return np.nan
    return float(np.median(values) if figure == "seconds" else np.mean(values))


def print_summary(results: Results) -> None:
    """Print a line for each classifier: figures over all data sets, with equal weights."""
    print(
        f"\n{len(results)} data sets\n"
        f"{'':36}{'fits':>6}{'log-loss':>10}{'log-loss':>10}{'accuracy':>10}{'Brier':>8}{'calibration':>12}"
        f"{'fit time':>10}{'fit time':>10}{'fits that':>11}\n"
        f"{'':36}{'':6}{'geo. mean':>10}{'mean':>10}{'mean':>10}{'score':>8}{'error':>12}"
        f"{'geo. mean':>10}{'total':>10}{'warned':>11}"
    )
    for name in next(iter(results.values())):
        fitted = [runs[name].values() for runs in results.values() if runs[name]]
        if not fitted:
            continue
        mean = {
            figure: np.array([average(runs, figure) for runs in fitted])
            for figure in ("log_loss", "accuracy", "brier", "calibration", "warned", "seconds")
        }
        print(
            f"{name:36}{sum(map(len, fitted)):6d}"
            f"{geometric_mean(mean['log_loss']):10.4f}{mean['log_loss'].mean():10.4f}{mean['accuracy'].mean():10.4f}"
            f"{mean['brier'].mean():8.4f}{mean['calibration'].mean():12.4f}"
            f"{geometric_mean(mean['seconds']):9.3f}s{mean['seconds'].sum():9.1f}s{mean['warned'].mean():11.1%}"
        )


def calibration_table(results: Results) -> str:
    """Return log-loss, Brier score and expected calibration error of each data set, as Markdown."""
    names = [name for name in TABLE_NAMES if name in next(iter(results.values()))]
    lines = [
        "| log-loss / Brier score / calibration error | " + " | ".join(name.strip() for name in names) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for data_set, runs in results.items():
        cells = [
            " / ".join(f"{average(runs[name].values(), figure):.{n_digits}f}" for figure, n_digits in DIGITS)
            for name in names
        ]
        lines.append(f"| {data_set} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def pair_up(results: Results, figure: str, name: str, *rivals: str) -> dict[str, tuple[float, float]]:
    """Return a figure of a classifier and the least of its rivals, by data set.

    Both are averages over the splits that all have. Data sets without such a split are left out.
    """
    pairs = {}
    for data_set, runs in results.items():
        everyone = [runs[each] for each in (name, *rivals)]
        shared = set.intersection(*map(set, everyone))
        if shared:
            mine, *theirs = (average([of_one[seed] for seed in shared], figure) for of_one in everyone)
            pairs[data_set] = mine, min(theirs)
    return pairs


def print_ratios(title: str, results: Results, comparisons: Mapping[str, tuple[str, ...]]) -> None:
    """Print the log-loss of a classifier over the least of its rivals: over all data sets, and for the worst.

    The fit time is the total over the data sets, over that of the rival if there is only one.
    """
    print(f"\n{title}\n{'':40}{'data sets':>10}{'geo. mean':>10}{'fit time':>10}{'worst':>10} data set (figures)")
    for label, (name, *rivals) in comparisons.items():
        losses = pair_up(results, "log_loss", name, *rivals)
        if not losses:
            print(f"{label:40}{0:10d}")
            continue
        ratios = {data_set: mine / its for data_set, (mine, its) in losses.items()}
        seconds = np.array(list(pair_up(results, "seconds", name, *rivals).values())).sum(axis=0)
        fit_time = f"{seconds[0] / seconds[1]:10.2f}" if len(rivals) == 1 else f"{'':10}"
        worst = max(ratios, key=lambda data_set: ratios[data_set])
        mine, its = losses[worst]
        print(
            f"{label:40}{len(losses):10d}{geometric_mean(np.array(list(ratios.values()))):10.3f}{fit_time}"
            f"{ratios[worst]:10.2f} {worst} ({mine:.4f}, {its:.4f})"
        )


def print_worse(results: Results, comparisons: Mapping[str, tuple[str, str]]) -> None:
    """Print the data sets where the log-loss of a classifier is clearly higher than that of its rival."""
    for label, (name, rival) in comparisons.items():
        losses = pair_up(results, "log_loss", name, rival)
        worse = [
            f"{data_set} ({mine:.4f}, {its:.4f}: {mine / its:.3f})"
            for data_set, (mine, its) in losses.items()
            if mine > MAX_RATIO * its and max(mine, its) >= SMALL_LOSS
        ]
        print(f"{label}: more than {MAX_RATIO} times as high on {', '.join(worse) or 'no data set'}")


def geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))


# --- the time of the evidence -------------------------------------------------------------------------------------

MIN_ROWS = 1000  # training rows; fits to fewer are too short


class Stopwatch(ContextDecorator):
    """Adds up the seconds in the functions that it decorates; a call within another one is counted once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._n_open_calls = 0

    def __enter__(self) -> Self:
        if self._n_open_calls == 0:
            self._start = time.perf_counter()
        self._n_open_calls += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._n_open_calls -= 1
        if self._n_open_calls == 0:
            self.seconds += time.perf_counter() - self._start


def time_evidence(split: list[Any], seed: int) -> tuple[float, float]:
    """Return the seconds of the evidence in a fit of the default classifier, and those of the fit."""
    from skrelu._fit import candidates
    from skrelu._laplace.evidence import Evidence

    watch = Stopwatch()
    with ExitStack() as stack:
        for owner, name in ((Evidence, "measure"), (Evidence, "measure_well"), (candidates, "leave_one_out_loss")):
            stack.enter_context(patch.object(owner, name, watch(getattr(owner, name))))
        figures = evaluate(make_variant(), split, seed)
    return watch.seconds, figures["seconds"]


def print_shares(tables: Iterable[Table], n_seeds: int, max_rows: int) -> None:
    """Print the part of the fits' time that the evidence takes, for each data set with enough training rows."""
    print(f"fits of the default classifier\n{'':16}{'rows':>7}{'seconds':>9}{'evidence':>10}")
    for data_set, X, y in tables:
        splits = [split_rows(X, y, max_rows, seed) for seed in range(n_seeds)]
        n_rows = len(splits[0][0])
        if n_rows >= MIN_ROWS:
            evidence, fit = np.sum([time_evidence(split, seed) for seed, split in enumerate(splits)], axis=0)
            print(f"{data_set:16}{n_rows:7d}{fit:9.2f}{evidence / fit:10.1%}", flush=True)


# --- the command --------------------------------------------------------------------------------------------------


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with more data sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-rows", type=int, default=20_000)
    fits = parser.add_mutually_exclusive_group()
    fits.add_argument("--ablation", action="store_true", help="compare variants of our own default")
    fits.add_argument("--layers", action="store_true", help="compare hidden layers, by the evidence and with alpha=3")
    fits.add_argument("--share", action="store_true", help="print the part of a fit's time that the evidence takes")
    parser.add_argument("--cv", action="store_true", help="add DeepLogisticClassifierCV, which fits 50 networks more")
    parser.add_argument("--slow", action="store_true", help="add CatBoost and RealMLP, on the first split of each")
    parser.add_argument("--revision", help="add the default, or what the evidence fits, as it was at this revision")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    parser.add_argument("--markdown", type=Path, help="where to write loss, Brier score and calibration by data set")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    tables = load_all(arguments.data)
    if arguments.share:
        print_shares(tables, arguments.seeds, arguments.max_rows)
        return
    makes = ABLATION if arguments.ablation else BY_EVIDENCE | FIXED if arguments.layers else CLASSIFIERS
    slow = load_slow() if arguments.slow else {}
    makes = makes | (CROSS_VALIDATED if arguments.cv else {}) | slow
    first, *others = makes
    revised = BY_EVIDENCE if arguments.layers else {first: makes[first]}
    evaluations: dict[str, Evaluation] = {name: partial(evaluate, make) for name, make in makes.items()}
    with ExitStack() as stack:
        if arguments.revision:
            evaluations |= stack.enter_context(at_revision(arguments.revision, revised))
        results = evaluate_all(evaluations, slow, tables, arguments.seeds, arguments.max_rows)

    print_summary(results)
    print_ratios(f"log-loss of {first} over that of", results, {other: (first, other) for other in others})
    if arguments.layers:
        better = {f"{layers}": (f"{layers}", f"{ONE_LAYER}", f"{layers}, alpha=3") for layers in TWO_LAYERS}
        print_ratios(f"log-loss over the better of {ONE_LAYER} and the same layers with alpha=3", results, better)
    if arguments.revision:
        pairs = {name: (name, f"{arguments.revision}: {name}") for name in revised}
        print_ratios(f"log-loss over that at {arguments.revision}", results, pairs)
        print_worse(results, pairs)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    if arguments.markdown:
        arguments.markdown.write_text(calibration_table(results))


if __name__ == "__main__":
    main()
