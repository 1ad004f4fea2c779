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
    python benchmarks/defaults.py --raw                  # columns in their own units, for skrelu and for others
    python benchmarks/defaults.py --data FOLDER --markdown FILE   # the figures of each data set as a table
"""

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ContextDecorator, ExitStack, contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np
from datasets import Table, load_all
from evaluation import Evaluation, Figures, Make, Split, evaluate, split_raw_rows, split_rows
from figures import Results, average, markdown_table, print_ratios, print_summary, print_worse
from revisions import check_out
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from units import OURS, make_evaluations, print_units

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

# On columns in their own units; LightGBM is left out where it is not installed.
RAW = {
    name: CLASSIFIERS[name]
    for name in (OURS, "MLPClassifier", "LogisticRegression", "LightGBM")
    if name != "LightGBM" or find_spec("lightgbm")
}

# The columns of the table of each data set, where they were fitted.
TABLE_NAMES = (OURS, "  standardised", "  predictive='laplace'", "MLPClassifier", "LogisticRegression", "LightGBM")

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

        def evaluate_there(make: Make, split: Split, seed: int) -> Figures:
            return process.submit(evaluate, make, split, seed).result()

        yield {f"{revision}: {name}": partial(evaluate_there, make) for name, make in makes.items()}


def import_package(folder: Path) -> None:
    """Import the package of a folder, even if another one is installed."""
    sys.path.insert(0, str(folder))
    import skrelu

    assert Path(skrelu.__file__).is_relative_to(folder), f"{skrelu.__file__} is not in {folder}"


# --- the fits -----------------------------------------------------------------------------------------------------


def evaluate_all(
    evaluations: dict[str, Evaluation],
    slow: Collection[str],
    tables: Iterable[Table],
    n_seeds: int,
    max_rows: int,
    draw: Callable[..., Split] = split_rows,
) -> Results:
    """Evaluate classifiers on every split, slow ones on the first; print the log-losses. A slow one may fail."""
    results: Results = {}
    print("test log-loss, mean over the seeds" + "".join(f"; {name}: the first seed only" for name in slow))
    print(f"{'':16}{'rows':>7}{'columns':>8}{'classes':>8}" + "".join(f"{name[:20]:>22}" for name in evaluations))
    for data_set, X, y in tables:
        runs: dict[str, dict[int, Figures]] = {name: {} for name in evaluations}
        for seed in range(n_seeds):
            split = draw(X, y, max_rows, seed)
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


def time_evidence(split: Split, seed: int) -> tuple[float, float]:
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
    fits.add_argument("--raw", action="store_true", help="compare columns in their own units with standardised ones")
    parser.add_argument("--cv", action="store_true", help="add DeepLogisticClassifierCV, which fits 50 networks more")
    parser.add_argument("--slow", action="store_true", help="add CatBoost and RealMLP, on the first split of each")
    parser.add_argument("--revision", help="add the default, or what the evidence fits, as it was at this revision")
    parser.add_argument("--json", type=Path, help="where to write every figure")
    parser.add_argument("--markdown", type=Path, help="where to write the figures of each data set as a table")
    return parser.parse_args(arguments)


def choose_classifiers(arguments: argparse.Namespace) -> dict[str, Make]:
    """Return the classifiers of the fits asked for; the first one is compared with the others."""
    if arguments.ablation:
        return ABLATION
    if arguments.layers:
        return BY_EVIDENCE | FIXED
    return RAW if arguments.raw else CLASSIFIERS


def main() -> None:
    arguments = parse()
    tables = load_all(arguments.data)
    if arguments.share:
        print_shares(tables, arguments.seeds, arguments.max_rows)
        return
    makes = choose_classifiers(arguments)
    slow = load_slow() if arguments.slow else {}
    makes = makes | (CROSS_VALIDATED if arguments.cv else {}) | slow
    first, *others = makes
    revised = BY_EVIDENCE if arguments.layers else {first: makes[first]}
    evaluations: dict[str, Evaluation] = {name: partial(evaluate, make) for name, make in makes.items()}
    if arguments.raw:
        evaluations = make_evaluations(makes[OURS]) | evaluations
    with ExitStack() as stack:
        if arguments.revision:
            evaluations |= stack.enter_context(at_revision(arguments.revision, revised))
        draw = split_raw_rows if arguments.raw else split_rows
        results = evaluate_all(evaluations, slow, tables, arguments.seeds, arguments.max_rows, draw)

    print_summary(results)
    print_ratios(f"log-loss of {first} over that of", results, {other: (first, other) for other in others})
    if arguments.raw:
        print_units(results)
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
        figures = ("log_loss", "accuracy") if arguments.raw else ("log_loss", "brier", "calibration")
        arguments.markdown.write_text(markdown_table(results, TABLE_NAMES, figures))


if __name__ == "__main__":
    main()
