"""Does a change of the code change a bit of any fit?

    python benchmarks/bits.py REV            # the working tree against a revision
    python benchmarks/bits.py REV --only cv  # only fits whose name contains a word

Both packages make the same fits on this machine: losses, depths, groupings, weights, sparse, float32, memory-mapped,
early stopping, restarts, warm starts, callbacks, cross-validation, Laplace, limits, overflow. These are compared, bit
for bit: every fitted attribute, probabilities and standard deviations of some rows, the printed lines, each warning and
each error.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import itertools
import json
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from revisions import ROOT, check_out, run_with
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification
from sklearn.preprocessing import scale

Case = tuple[str, Callable[[], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", help="the revision to compare with")
    parser.add_argument("--only", default="", help="compare the fits whose name holds this")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record, arguments.only)
        return
    with check_out(arguments.revision) as folder, tempfile.TemporaryDirectory() as results:
        files = {name: Path(results) / f"{name}.json" for name in ("before", "after")}
        for name, package_folder in (("before", folder), ("after", ROOT)):
            command = [__file__, "--record", str(files[name]), "--only", arguments.only]
            print(run_with(package_folder, command), end="", flush=True)
        before, after = (json.loads(file.read_text()) for file in files.values())
    raise SystemExit(report(before, after))


def report(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> int:
    """Print each difference; return the number of fits that differ."""
    differing = sorted(name for name in before | after if before.get(name) != after.get(name))
    for name in differing:
        old, new = before.get(name, {}), after.get(name, {})
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                print(f"{name}: {key} was {old.get(key)}, is {new.get(key)}")
    print(f"{len(before)} fits, {sum(map(len, before.values()))} values compared, {len(differing)} fits differ")
    return len(differing)


def record(file: Path, only: str) -> None:
    import skrelu

    seen: dict[str, dict[str, str]] = {}
    for name, fit in all_cases():
        if only in name:
            assert name not in seen, f"two fits are called {name}"
            seen[name] = observe(fit)
    file.write_text(json.dumps(seen))
    print(f"{len(seen)} fits with {Path(skrelu.__file__).parent}")


def observe(fit: Callable[[], Any]) -> dict[str, str]:
    """Return fingerprints of the results, warnings, error and printed lines of a fit."""
    printed = io.StringIO()
    seen: dict[str, str] = {}
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            result = fit()
        except Exception as error:
            seen["error"] = f"{type(error).__name__}: {error}"
            result = {}
    seen |= {name: fingerprint(value) for name, value in result.items()}
    seen["warnings"] = str([f"{Path(w.filename).name} {w.category.__name__}: {w.message}" for w in caught])
    seen["printed"] = re.sub(r"[\d.]+ s$", "s", printed.getvalue(), flags=re.M)
    return seen


def fingerprint(value: Any) -> str:
    """Return a short text that is equal for values of equal bits, types and shapes."""
    if value is None or isinstance(value, str | bool | int):
        return repr(value)
    if isinstance(value, float | np.floating):
        return f"{type(value).__name__} {float(value).hex()}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]}"
    if isinstance(value, dict):
        return str({key: fingerprint(part) for key, part in value.items()})
    if isinstance(value, list | tuple | np.ndarray):
        parts = [fingerprint(part) for part in value]
        return f"{type(value).__name__} of {len(parts)} {hashlib.sha256(str(parts).encode()).hexdigest()[:16]}"
    return repr(value)


def describe(model: Any, X: Any = None) -> dict[str, Any]:
    """Return the fitted attributes, and the predictions for the rows of X."""
    seen = {name: value for name, value in vars(model).items() if name.endswith("_") and not name.startswith("_")}
    if X is not None:
        seen["predict_proba"], seen["predict"] = model.predict_proba(X), model.predict(X)
        try:
            seen["decision"], seen["std"] = model.decision_function(X, return_std=True)
        except ValueError as error:
            seen["std"] = f"{type(error).__name__}: {error}"
    return seen


# --- data ---------------------------------------------------------------------------------------------------------


def make_rows(kind: str, n_rows: int = 160, n_features: int = 6, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features))
    scores = np.stack([X[:, 0] * X[:, 1] + X[:, 2], X[:, 2] - X[:, 3] ** 2, X[:, 4] + 0.3], axis=1)
    scores += rng.normal(size=scores.shape) * 0.7
    if kind == "binary":
        return X, np.where(scores[:, 0] > 0, "yes", "no")
    return X, (scores.argmax(axis=1) if kind == "multinomial" else (scores > 0).astype(int))


def as_container(X: Any, container: str) -> Any:
    if container.startswith("sparse"):
        X = np.where(np.abs(X) > 0.7, X, 0)
        return sparse.csr_array(X.astype(np.float32) if container.endswith("32") else X)
    if container == "float32":
        return X.astype(np.float32)
    if container == "fortran":
        return np.asfortranarray(X)
    if container == "memmap":
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, X)
            return np.load(file.name, mmap_mode="r")
    return X


CONTAINERS = ("dense", "float32", "fortran", "memmap", "sparse", "sparse32")
KINDS = ("binary", "multinomial", "multilabel")
LAYERS = ((), (7,), (6, 4))


def weights_of(name: str, n_rows: int) -> Any:
    rng = np.random.default_rng(5)
    drawn = rng.exponential(size=n_rows)
    return {
        "none": None,
        "counts": rng.integers(0, 4, n_rows),
        "drawn": drawn,
        "small": 0.01 * drawn,
        "tiny": 1e-300 * drawn,
        "huge": 1e300 * drawn,
        "mean": np.full(n_rows, 1 / n_rows),
    }[name]


# --- fits ---------------------------------------------------------------------------------------------------------


def classifier(*args: Any, **parameters: Any) -> Any:
    from skrelu import DeepLogisticClassifier

    return DeepLogisticClassifier(*args, **{"random_state": 3, "n_jobs": 1, **parameters})


def fit_case(name: str, X: Any, y: Any, layers: Any, *args: Any, _fit: Any = None, **parameters: Any) -> Case:
    def fit() -> Any:
        model = classifier(layers, **parameters)
        model.fit(X, y, *args, **(_fit or {}))
        return describe(model, X[:40])

    return name, fit


def all_cases() -> Iterator[Case]:
    for family in (basic, weighted, stopped, restarted, continued, bounded, large, real, watched, validated, refused):
        for name, fit in family():
            yield f"{family.__name__} {name}", fit


def basic() -> Iterator[Case]:
    """Every loss, depth and container, with a fixed alpha and with the evidence."""
    for kind, layers, container in itertools.product(KINDS, LAYERS, CONTAINERS):
        X, y = make_rows(kind)
        X = as_container(X, container)
        yield fit_case(f"{kind} {layers} {container} alpha=1", X, y, layers, alpha=1.0, early_stopping=False)
        if container in ("dense", "float32", "sparse"):
            for grouping in ("shared", "layer", "feature"):
                name = f"{kind} {layers} {container} evidence {grouping}"
                yield fit_case(name, X, y, layers, alpha_grouping=grouping)
    for kind, layers in itertools.product(KINDS, LAYERS):
        X, y = make_rows(kind)
        n_layers = len(layers) + 1
        yield fit_case(f"{kind} {layers} alpha by layer", X, y, layers, alpha=[0.3, 2.0, 0.7][:n_layers])
        yield fit_case(f"{kind} {layers} alpha=0", X, y, layers, alpha=0.0, max_iter=30)
        yield fit_case(f"{kind} {layers} laplace alpha=2", X, y, layers, alpha=2.0, predictive="laplace")
        yield fit_case(f"{kind} {layers} laplace evidence", X, y, layers, predictive="laplace")
        yield fit_case(f"{kind} {layers} 40 terms", X, y, layers, n_curvature_terms=40, max_iter=120)


def weighted() -> Iterator[Case]:
    for kind, weights, alpha in itertools.product(
        KINDS, ("counts", "drawn", "small", "tiny", "huge", "mean"), (1.0, 0)
    ):
        X, y = make_rows(kind)
        given = weights_of(weights, len(y))
        options = {"alpha": alpha * (given.mean() if weights in ("tiny", "huge") else 1)} if alpha else {}
        name = f"{kind} {weights} {'alpha=1' if alpha else 'evidence'}"
        yield fit_case(name, X, y, (7,), given, **options)
    for kind, class_weight, weights in itertools.product(
        ("binary", "multinomial"), ("balanced", {}, {"yes": 3.0, 1: 0.2}), ("none", "counts", "drawn", "huge")
    ):
        X, y = make_rows(kind)
        known = set(y.tolist())
        chosen: Any = class_weight
        if isinstance(class_weight, dict):
            chosen = {label: weight for label, weight in class_weight.items() if label in known}
        for alpha in ("evidence", 1.0):
            name = f"{kind} class_weight={class_weight} {weights} alpha={alpha}"
            given = weights_of(weights, len(y))
            yield fit_case(name, X, y, (7,), given, class_weight=chosen, alpha=alpha, early_stopping=False)
    X, y = make_rows("binary", 300)
    repeated = np.arange(300) % 90
    yield fit_case("repeated rows", X[repeated], y[repeated], (7,))
    yield fit_case("repeated rows, weighted", X[repeated], y[repeated], (7,), weights_of("drawn", 300))
    yield fit_case("repeated sparse rows", as_container(X[repeated], "sparse"), y[repeated], (7,))


def stopped() -> Iterator[Case]:
    """Early stopping, on rows held out or given."""
    for kind, alpha, container in itertools.product(KINDS, ("evidence", 0.3), ("dense", "sparse", "float32")):
        X, y = make_rows(kind, 400)
        X = as_container(X, container)
        X_val, y_val = make_rows(kind, 90, seed=1)
        given = {"X_val": as_container(X_val, container), "y_val": y_val}
        name = f"{kind} {container} alpha={alpha}"
        yield fit_case(f"{name} held out", X, y, (9,), alpha=alpha, early_stopping=True)
        yield fit_case(f"{name} given", X, y, (9,), alpha=alpha, _fit=given)
        weights = {"sample_weight": weights_of("drawn", 400), "sample_weight_val": weights_of("counts", 90)}
        yield fit_case(f"{name} given, weighted", X, y, (9,), alpha=alpha, _fit={**given, **weights})
        yield fit_case(f"{name} linear", X, y, (), alpha=alpha, early_stopping=True)
    X, y = make_rows("multinomial", 400)
    yield fit_case("auto", X, y, (9,), alpha=0.3)
    yield fit_case("auto, balanced", X, y, (9,), weights_of("drawn", 400), alpha=0.3, class_weight="balanced")
    yield fit_case("fraction", X, y, (9,), alpha=0.3, validation_fraction=0.4, n_iter_no_change=3)
    yield fit_case("laplace", X, y, (9,), alpha=0.3, predictive="laplace")


def restarted() -> Iterator[Case]:
    for kind, options in itertools.product(
        KINDS, ({}, {"alpha": 1.0, "early_stopping": False}, {"alpha": 1.0, "early_stopping": True})
    ):
        X, y = make_rows(kind, 220)
        for layers in ((), (5,)):
            yield fit_case(f"{kind} {layers} {options}", X, y, layers, n_init=3, **options)
    X, y = make_rows("binary", 220)
    yield fit_case("evidence, stopping early", X, y, (5,), n_init=3, early_stopping=True)
    yield fit_case("laplace, fixed alpha", X, y, (5,), n_init=3, alpha=1.0, predictive="laplace")
    yield fit_case("a RandomState", X, y, (5,), n_init=2, random_state=np.random.RandomState(8))


def continued() -> Iterator[Case]:
    """Warm starts, on other rows and after a change of parameters."""

    def twice(kind: str, container: str, changes: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        X, y = make_rows(kind, 300)
        X = as_container(X, container)
        model = classifier((6,), warm_start=True, **parameters).fit(X[:200], y[:200])
        first = describe(model, X[:20])
        model.set_params(**changes).fit(X, y)
        return {f"first {name}": value for name, value in first.items()} | describe(model, X[:20])

    for kind, container in itertools.product(KINDS, ("dense", "float32")):
        for changes in ({}, {"alpha": 2.0}, {"alpha_grouping": "shared"}, {"n_init": 2}):
            yield f"{kind} {container} {changes}", lambda k=kind, c=container, d=changes: twice(k, c, d)
        yield f"{kind} {container} fixed", lambda k=kind, c=container: twice(k, c, {"alpha": "evidence"}, alpha=0.5)


def bounded() -> Iterator[Case]:
    """Limits of the descent, and printed lines."""
    X, y = make_rows("binary", 300)
    for options in (
        {"max_iter": 1},
        {"max_iter": 7},
        {"max_iter": 35},
        {"max_fun": 1},
        {"max_fun": 9},
        {"max_fun": 40},
        {"tol": 0.0},
        {"tol": 0.1},
        {"n_iter_no_change": 1},
        {"n_iter_no_change": np.inf},
        {"max_iter": 60, "n_init": 2},
        {"verbose": 1, "n_init": 2, "max_iter": 25},
        {"verbose": 1, "early_stopping": True, "max_iter": 12},
    ):
        for alpha in ("evidence", 0.1):
            yield fit_case(f"{options} alpha={alpha}", X, y, (8,), **options, alpha=alpha)
    for scale_of_X in (1e-200, 1e-8, 1e6, 1e12, 1e100, 1e160, 1e300):
        for alpha in ("evidence", 1.0):
            yield fit_case(f"X of {scale_of_X:g} alpha={alpha}", scale_of_X * X, y, (8,), alpha=alpha, max_iter=60)
    yield fit_case("X of 1e30 in float32", (1e30 * X).astype(np.float32), y, (8,), max_iter=60)
    yield fit_case("a constant X", np.ones((50, 3)), np.arange(50) % 2, (8,))
    yield fit_case("separable", X, X[:, 0] > 0, (8,))
    yield fit_case("separable, linear", X, X[:, 0] > 0, ())
    yield fit_case("separable, alpha=0", X, X[:, 0] > 0, (8,), alpha=0.0)


def large() -> Iterator[Case]:
    """Tables of many blocks, which are not put in order and whose terms are drawn; with one thread and with two."""
    for kind, n_jobs in itertools.product(KINDS, (1, 2)):
        X, y = make_rows(kind, 20000, 30)
        for container in ("dense", "float32", "sparse"):
            given = as_container(X, container)
            name = f"{kind} {container} n_jobs={n_jobs}"
            options = {"n_jobs": n_jobs, "max_iter": 14}
            yield fit_case(f"{name} alpha=1", given, y, (40,), alpha=1.0, early_stopping=False, **options)
            yield fit_case(f"{name} evidence", given, y, (12, 8), **options)
    X, y = make_rows("binary", 5000, 12)
    yield fit_case("5000 rows", X, y, (20,), max_iter=150)
    yield fit_case("5000 rows, weighted", X, y, (20,), weights_of("drawn", 5000), max_iter=100)
    yield fit_case("5000 rows, laplace", X, y, (20,), alpha=1.0, predictive="laplace", max_iter=60)
    yield fit_case("5000 rows, stopping early", X, y, (20,), early_stopping=True, max_iter=100)
    yield fit_case("memory map", as_container(X, "memmap"), y, (20,), max_iter=40)


def real() -> Iterator[Case]:
    """Tables on which weaker penalties are tried."""
    for load in (load_iris, load_wine, load_breast_cancer, load_digits):
        X, y = load(return_X_y=True)
        X = scale(X)
        max_iter = 60 if load is load_digits else 500
        for options in ({}, {"alpha_grouping": "shared"}, {"hidden_layer_sizes": (20, 20)}):
            parameters = {"max_iter": max_iter, "hidden_layer_sizes": (30,)} | options
            layers = parameters.pop("hidden_layer_sizes")
            yield fit_case(f"{load.__name__} {options}", X, y, layers, **parameters)
    X, y = load_wine(return_X_y=True)
    yield fit_case("wine, defaults, float32", scale(X).astype(np.float32), y, (100,))
    yield fit_case("wine, in its own units", X, y, (100,), max_iter=100)


def watched() -> Iterator[Case]:
    """The tasks and fitted estimators that callbacks receive."""

    class Watcher:
        def __init__(self, stop_at: int) -> None:
            self.stop_at, self.seen = stop_at, []

        def setup(self, estimator: Any, context: Any) -> None: ...

        def teardown(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any, **data: Any) -> None:
            self.seen.append(("begin", context.task_name, context.task_id))

        def on_fit_task_end(
            self, estimator: Any, context: Any, *, X: Any, y: Any, metadata: Any, fitted_estimator: Any = None
        ) -> bool:
            coefs = None if fitted_estimator is None else getattr(fitted_estimator, "coefs_", None)
            self.seen.append((context.task_name, context.task_id, fingerprint(coefs), type(estimator).__name__))
            return bool(context.task_name == "iterate" and context.task_id == self.stop_at)

    def watch(make: Callable[[], Any], stop_at: int) -> dict[str, Any]:
        X, y = make_rows("binary", 220)
        watcher = Watcher(stop_at)
        model = make()
        model.set_callbacks(watcher)
        model.fit(X, y)
        return describe(model, X[:20]) | {"seen": watcher.seen}

    several = ({}, {"alpha": 1.0}, {"alpha": 1.0, "n_init": 2}, {"n_init": 2})
    for stop_at, options in itertools.product((4, 10**6), several):
        yield f"{stop_at} {options}", lambda s=stop_at, o=options: watch(lambda: classifier((5,), **o), s)
    for stop_at in (3, 10**6):
        yield f"{stop_at} cv", lambda s=stop_at: watch(lambda: cross_validated((4,), alphas=[0.1, 1.0, 10.0], cv=3), s)


def cross_validated(*args: Any, **parameters: Any) -> Any:
    from skrelu import DeepLogisticClassifierCV

    return DeepLogisticClassifierCV(*args, **{"random_state": 3, **parameters})


def validated() -> Iterator[Case]:
    """Cross-validation."""

    def cv_case(name: str, X: Any, y: Any, layers: Any, *args: Any, **parameters: Any) -> Case:
        def fit() -> Any:
            model = cross_validated(layers, **parameters).fit(X, y, *args)
            return describe(model, X[:40] if parameters.get("refit", True) else None)

        return f"cv {name}", fit

    alphas = [0.03, 0.5, 4.0, 50.0]
    for kind, container in itertools.product(KINDS, ("dense", "sparse", "float32")):
        X, y = make_rows(kind)
        X = as_container(X, container)
        for layers in ((), (5,)):
            yield cv_case(f"{kind} {layers} {container}", X, y, layers, alphas=alphas, cv=3)
        drawn = weights_of("counts", 160) * 0.7
        yield cv_case(f"{kind} {container} weighted", X, y, (5,), drawn, alphas=alphas, cv=3)
    X, y = make_rows("multinomial")
    for options in (
        {"alphas": 3},
        {"cv": None},
        {"scoring": "accuracy"},
        {"scoring": "neg_log_loss"},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0}},
        {"refit": False},
        {"verbose": 1, "max_iter": 20},
        {"max_iter": 9},
        {"max_fun": 9},
        {"n_jobs": 2},
    ):
        parameters = {"alphas": alphas, "cv": 3, **options}
        yield cv_case(f"{options}", X, y, (5,), **copy.deepcopy(parameters))
    yield cv_case("a RandomState", X, y, (5,), alphas=alphas, cv=3, random_state=np.random.RandomState(4))
    rng = np.random.default_rng(0)
    drawn = [(rng.integers(0, 160, 150), np.arange(160)) for _ in range(3)]
    yield cv_case("rows drawn with repetition", X, y, (5,), weights_of("drawn", 160), alphas=alphas, cv=drawn)
    few = np.arange(160) % 50
    yield cv_case("repeated rows", X[few], y[few], (5,), weights_of("drawn", 160), alphas=alphas, cv=3)
    X, y = make_rows("binary", 2500)
    yield cv_case("folds below the order's limit", X, y, (5,), alphas=alphas, cv=4, max_iter=60)
    X, y = make_rows("binary", 6000)
    yield cv_case("6000 rows", X, y, (5,), alphas=alphas, cv=2, max_iter=30)
    X, y = load_breast_cancer(return_X_y=True)
    yield cv_case("breast cancer", scale(X), y, (10,), alphas=[0.3, 3, 30], cv=3)
    yield cv_case("huge weights", scale(X), y, (10,), np.full(len(y), 1e300), alphas=[3e299, 3e300], cv=3)
    yield cv_case("overflow", 1e200 * X, y, (10,), alphas=[0.3, 3], cv=3)


def refused() -> Iterator[Case]:
    """Errors and their messages."""
    X, y = make_rows("binary")
    for options in (
        {"alpha": -1.0},
        {"alpha": "evidences"},
        {"alpha": [1.0]},
        {"alpha_grouping": "all"},
        {"tol": -1},
        {"max_iter": 0},
        {"early_stopping": "yes"},
        {"validation_fraction": 0.001, "early_stopping": True},
        {"n_jobs": 0},
        {"random_state": "seed"},
        {"class_weight": {"maybe": 1.0}},
        {"predictive": "laplace", "alpha": 0.0},
        {"hidden_layer_sizes": (0,)},
    ):
        parameters = {"hidden_layer_sizes": (4,)} | options
        yield fit_case(f"{options}", X, y, parameters.pop("hidden_layer_sizes"), **parameters)
    bad = X.copy()
    bad[3, 1] = np.nan
    yield fit_case("nan", bad, y, (4,))
    yield fit_case("one class", X, np.zeros(160), (4,))
    yield fit_case("negative weights", X, y, (4,), -np.ones(160))
    yield fit_case("zero weights", X, y, (4,), np.zeros(160))
    yield fit_case("X_val alone", X, y, (4,), _fit={"X_val": X})
    X, y = make_classification(random_state=0)
    yield fit_case("make_classification", X, y, (4,))


if __name__ == "__main__":
    main()
