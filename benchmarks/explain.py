"""Exact explanations, compared with automatic differentiation (PyTorch) and with SHAP.

    python benchmarks/explain.py                 # random rows and the data sets of scikit-learn
    python benchmarks/explain.py --data FOLDER   # and those of a folder, see benchmarks/datasets.py
    python benchmarks/explain.py --quick         # fewer data sets, rows and rounds

- coefficients: those of `local_linear_models` against PyTorch's autograd on the same weights, in float64. A difference
  is relative to the largest coefficient of its row.
- time: `decision_function` (of an MLPClassifier `predict_proba`), `local_linear_models`, `local_feature_importance` and
  autograd take turns. Autograd differentiates the sum over the rows once for each score, which is faster than `vmap`.
- SHAP on usual backgrounds: the seconds for 100 rows, and the error against the Shapley values that a sum over all
  2^n_features coalitions gives.
- SHAP in one region: each row has a background of one row so near that the network is linear for all mixtures of the
  two. There the Shapley values are coef_j (x_j - background_j), for any number of columns.

An error of SHAP is relative to the largest Shapley value of its row. All explain scores in float64, and PyTorch has as
many threads as skrelu. The last lines compare the figures with what is promised; where one does not hold, the exit
status is 1.
"""

import argparse
import itertools
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
from datasets import load_all
from scipy import sparse
from shapes import load_shape, make_rows
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from timing import median_seconds

from skrelu import DeepLogisticClassifier
from skrelu._core.threads import count_threads
from skrelu.inspection import local_feature_importance, local_linear_models

try:
    import shap
    import torch
except ImportError as error:
    shap, MISSING = None, error.name  # the tests of this file need neither
else:
    MISSING = None

MAX_DIFFERENCE = 1e-10
MAX_TIMES = 25.0  # of decision_function
MIN_TIMES_FASTER = 50.0  # than KernelExplainer
N_EXPLAINED = 100  # rows for SHAP
N_CANDIDATES = 300  # rows to look for a background among
MAX_ROWS = 2000  # of a table, for its coefficients

Work = Callable[[], Any]


class Promise(NamedTuple):
    text: str
    holds: bool


def fit(X: Any, y: np.ndarray, hidden: tuple[int, ...], kind: type = DeepLogisticClassifier) -> Any:
    """Return a network with so small a penalty that most rows have a region of their own."""
    options = {"solver": "lbfgs"} if kind is MLPClassifier else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the minimum does not matter here
        return kind(hidden, alpha=1.0, max_iter=100, random_state=0, **options).fit(X, y)


def make_torch(model: Any) -> Any:
    """Return the network of a fitted classifier as a module of PyTorch, in float64."""
    layers: list[Any] = []
    for coef, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        layer = torch.nn.Linear(*coef.shape, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.array(coef.T)))
            layer.bias.copy_(torch.from_numpy(np.array(intercept)))
        layers += [layer.requires_grad_(False), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def differentiate(network: Any, rows: Any) -> np.ndarray:
    """Return the derivatives of the scores by the columns, of shape (n_samples, n_outputs, n_features)."""
    rows = rows.clone().requires_grad_()
    scores = network(rows)
    n_outputs = scores.shape[1]
    by_output = [
        torch.autograd.grad(scores[:, k].sum(), rows, retain_graph=k + 1 < n_outputs)[0] for k in range(n_outputs)
    ]
    stacked: np.ndarray = torch.stack(by_output, dim=1).numpy()
    return stacked


def coefficients(model: Any, X: Any) -> np.ndarray:
    """Return the local coefficients with an axis for the outputs, also if there is one."""
    coef = local_linear_models(model, X).coef
    return coef if coef.ndim == 3 else coef[:, np.newaxis]


def relative_errors(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return for each row the largest error of its values, divided by the largest of the exact ones."""
    axes = tuple(range(1, exact.ndim))
    error, size = np.abs(values - exact).max(axis=axes), np.abs(exact).max(axis=axes)
    relative: np.ndarray = np.divide(error, size, out=np.where(error > 0, np.inf, 0.0), where=size > 0)
    return relative


def take_turns(works: Mapping[str, Work], n_rounds: int, measure: Callable[[Work], float]) -> dict[str, np.ndarray]:
    """Return the seconds of each in every round. The one that begins changes."""
    names, rounds = list(works), []
    for number in range(n_rounds):
        first = number % len(names)
        seconds = {name: measure(works[name]) for name in names[first:] + names[:first]}
        rounds.append(seconds)
    return {name: np.array([seconds[name] for seconds in rounds]) for name in names}


def seconds_of(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- coefficients -------------------------------------------------------------------------------------------------


def compare_coefficients(folder: Path | None, is_quick: bool) -> Promise:
    """Print the largest differences from autograd for each table: a column for each shape of the network."""
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        str(hidden): (hidden, DeepLogisticClassifier) for hidden in [(), (30,), (30, 20), (30, 20, 10)]
    }
    shapes["MLP (30, 20)"] = ((30, 20), MLPClassifier)
    print("\nlargest difference from autograd, relative to the row's largest coefficient")
    print(f"{'':16}{'rows':>6}{'columns':>8}{'classes':>8}" + "".join(f"{name:>14}" for name in shapes))
    largest = 0.0
    for name, X, y in itertools.islice(load_all(folder), 3 if is_quick else None):
        drawn = np.random.default_rng(0).permutation(len(X))[:MAX_ROWS]
        X, y = StandardScaler().fit_transform(X[drawn]), y[drawn]
        differences = []
        for hidden, kind in shapes.values():
            model = fit(X, y, hidden, kind)
            exact = differentiate(make_torch(model), torch.from_numpy(X))
            differences.append(relative_errors(coefficients(model, X), exact).max())
        largest = max(largest, *differences)
        shape = f"{len(X):6d}{X.shape[1]:8d}{len(np.unique(y)):8d}"
        print(f"{name:16}{shape}" + "".join(f"{difference:14.1e}" for difference in differences), flush=True)
    text = f"largest difference from autograd {largest:.1e}, at most {MAX_DIFFERENCE:.0e}"
    return Promise(text, largest <= MAX_DIFFERENCE)


# --- time ---------------------------------------------------------------------------------------------------------


def list_time_cases(folder: Path | None, is_quick: bool) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, fitted classifier, rows). That of the promise comes first."""
    X, y = make_rows(13000, 10)
    yield "13000x10 (100,)", fit(X, y, (100,)), X
    if is_quick:
        return
    yield "13000x10 (100,) MLPClassifier", fit(X, y, (100,), MLPClassifier), X
    yield "13000x10 (20, 20)", fit(X, y, (20, 20)), X
    yield "13000x10 (6,), few regions", fit(X, y, (6,)), X
    adult = load_shape("adult sparse", np.float64, folder)
    yield "{}x{} (100,) sparse".format(*adult.X.shape), fit(adult.X, adult.y, (100,)), adult.X
    X, y = make_rows(13000, 20, n_classes=10)
    yield "13000x20 (100,) 10 classes", fit(X, y, (100,)), X


def compare_times(folder: Path | None, is_quick: bool) -> Promise:
    """Print the time of each function over that of `decision_function`, the median of the rounds' ratios."""
    print("\ntime of decision_function, and ratios to it")
    columns = ("regions", "ms", "local_linear_models", "local_feature_importance", "autograd")
    print(f"{'':32}" + "".join(f"{column:>{len(column) + 3}}" for column in columns))
    promises = []
    for name, model, X in list_time_cases(folder, is_quick):
        network, rows = make_torch(model), torch.from_numpy(X.toarray() if sparse.issparse(X) else X)
        scores = model.predict_proba if isinstance(model, MLPClassifier) else model.decision_function
        works: dict[str, Work] = {
            "decision_function": lambda scores=scores, X=X: scores(X),
            "local_linear_models": lambda model=model, X=X: local_linear_models(model, X),
            "local_feature_importance": lambda model=model, X=X: local_feature_importance(model, X),
            "autograd": lambda network=network, rows=rows: differentiate(network, rows),
        }
        seconds = take_turns(works, 3 if is_quick else 7, lambda work: median_seconds(work, 0.1))
        base = seconds.pop("decision_function")
        ratios = {work: float(np.median(times / base)) for work, times in seconds.items()}
        figures = [str(len(local_linear_models(model, X).pattern)), f"{1e3 * np.median(base):.1f}"]
        figures += [f"{ratio:.2f}x" for ratio in ratios.values()]
        cells = "".join(f"{figure:>{len(column) + 3}}" for column, figure in zip(columns, figures, strict=True))
        print(f"{name:32}{cells}", flush=True)
        ratio = ratios["local_linear_models"]
        text = f"{name}: local_linear_models takes {ratio:.1f}x decision_function, at most {MAX_TIMES:.0f}x"
        promises.append(Promise(text, ratio <= MAX_TIMES))
    return promises[0]


# --- SHAP ---------------------------------------------------------------------------------------------------------


def shapley_values(score: Callable[[np.ndarray], np.ndarray], X: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the interventional Shapley values by their definition, of shape (n_samples, n_outputs, n_features).

    The value of a coalition of columns is the mean score of the background rows with these columns taken from x.
    Column j gets the sum over the coalitions S without it of |S|! (p - |S| - 1)! / p! (value(S + j) - value(S)).
    """
    n_features = X.shape[1]
    members = np.array(list(itertools.product([False, True], repeat=n_features)))
    n_members = members.sum(axis=1)
    of_size = np.array([1 / (n_features * math.comb(n_features - 1, size)) for size in range(n_features)])
    joined, apart = of_size[np.maximum(n_members - 1, 0)], of_size[np.minimum(n_members, n_features - 1)]
    weights = np.where(members, joined[:, np.newaxis], -apart[:, np.newaxis]).T
    results = []
    for x in X:
        mixtures = np.where(members[:, np.newaxis], x, background).reshape(-1, n_features)
        values = np.reshape(score(mixtures), (len(members), len(background), -1)).mean(axis=1)
        results.append((weights @ values).T)
    return np.array(results)


def largest_steps(coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray], X: Any, D: np.ndarray) -> np.ndarray:
    """Return how far each row x can go along d = D[i] while all mixtures of x and x + t d stay in its region.

    Around x the input of a hidden unit is z + slope . (x' - x). Among the mixtures it moves farthest towards 0 where
    the columns with slope_j d_j of the other sign than z are those of x + t d, and the others are those of x.
    """
    slopes, z = np.broadcast_to(coefs[0], (len(X), *coefs[0].shape)), X @ coefs[0] + intercepts[0]
    steps = np.full(len(X), np.inf)
    for coef, intercept in zip(coefs[1:], intercepts[1:], strict=True):
        sign = np.where(z > 0, 1.0, -1.0)
        approach = np.maximum(-sign[:, np.newaxis] * slopes * D[:, :, np.newaxis], 0).sum(axis=1)
        reach = np.divide(np.abs(z), approach, out=np.full(z.shape, np.inf), where=approach > 0)
        steps = np.minimum(steps, reach.min(axis=1))
        slopes = (slopes * (z > 0)[:, np.newaxis]) @ coef
        z = np.maximum(z, 0) @ coef + intercept
    return steps


def make_backgrounds(model: Any, X: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each row a point with which it is in one region, and so are all mixtures of the two.

    Of the points on the way to the other rows it is the farthest one from x.
    """
    backgrounds = []
    for x in X:
        D = others - x
        steps = largest_steps(model.coefs_, model.intercepts_, np.broadcast_to(x, D.shape), D)
        moves = np.minimum(0.9 * steps, 1)[:, np.newaxis] * D
        backgrounds.append(x + moves[np.linalg.norm(moves, axis=1).argmax()])
    return np.array(backgrounds)


class Explainers:
    """SHAP's explainers of one classifier, each a function of rows and of their background."""

    def __init__(self, model: Any) -> None:
        self._scores, self._network = model.decision_function, make_torch(model)
        self._network_32 = make_torch(model).float()

    def kernel(self, X: np.ndarray, background: np.ndarray, **options: Any) -> np.ndarray:
        np.random.seed(0)  # noqa: NPY002 - SHAP draws coalitions from this generator
        explainer = shap.KernelExplainer(self._scores, background)
        return _in_our_shape(explainer.shap_values(X, silent=True, **options), X)

    def kernel_all_columns(self, X: np.ndarray, background: np.ndarray) -> np.ndarray:
        return self.kernel(X, background, l1_reg=False)

    def deep(self, X: np.ndarray, background: np.ndarray) -> np.ndarray:
        explainer = shap.DeepExplainer(self._network, torch.from_numpy(background))
        return _in_our_shape(explainer.shap_values(torch.from_numpy(X)), X)

    def gradient(self, X: np.ndarray, background: np.ndarray) -> np.ndarray:
        explainer = shap.GradientExplainer(self._network_32, torch.from_numpy(background).float())
        return _in_our_shape(explainer.shap_values(torch.from_numpy(X).float(), rseed=0), X)

    def by_name(self) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        return {
            "KernelExplainer": self.kernel,
            "KernelExplainer(l1_reg=False)": self.kernel_all_columns,
            "DeepExplainer": self.deep,
            "GradientExplainer": self.gradient,
        }


def _in_our_shape(values: Any, X: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.reshape(values, (*X.shape, -1)), 2, 1)


def compare_usual_backgrounds(is_quick: bool) -> Promise:
    """Print SHAP's time for some rows of 13000 x 10, over that of `local_linear_models` for all, and its errors."""
    X, y = make_rows(13000, 10)
    model = fit(X, y, (100,))
    rows, explainers = X[:N_EXPLAINED], Explainers(model).by_name()
    ours = "local_linear_models"
    works: dict[str, Work] = {ours: lambda: local_linear_models(model, X)}
    errors = {}
    for n_background in (1,) if is_quick else (1, 50):
        background = X[-n_background:]
        exact = shapley_values(model.decision_function, rows, background)
        for name, explain in explainers.items():
            label = f"{name}, {n_background} row{'s' * (n_background > 1)}"
            works[label] = lambda explain=explain, background=background: explain(rows, background)
            errors[label] = relative_errors(works[label](), exact)
    works[ours]()

    def measure(work: Work) -> float:
        return median_seconds(work, 0.1) if work is works[ours] else seconds_of(work)

    seconds = take_turns(works, 3, measure)
    ours_seconds = seconds.pop(ours)
    print(f"\n13000x10 (100,): {ours} takes {np.median(ours_seconds):.4f} s for all rows")
    print(f"SHAP for {len(rows)} rows, by the size of the background; ratio: its time over that of {ours}")
    print(f"{'':40}{'s':>8}{'ratio':>8}{'median error':>15}{'largest':>10}")
    ratios = {name: float(np.median(times / ours_seconds)) for name, times in seconds.items()}
    for name, times in seconds.items():
        figures = (
            f"{np.median(times):8.3f}{ratios[name]:7.0f}x{np.median(errors[name]):15.1e}{errors[name].max():10.1e}"
        )
        print(f"{name:40}{figures}", flush=True)
    ratio = ratios["KernelExplainer, 1 row"]
    text = (
        f"KernelExplainer, {len(rows)} rows, takes {ratio:.0f}x {ours}, {len(X)} rows, at least {MIN_TIMES_FASTER:.0f}x"
    )
    return Promise(text, ratio >= MIN_TIMES_FASTER)


def list_region_cases(folder: Path | None, is_quick: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    X, y = make_rows(13000, 10)
    yield "random", X, y
    X, y = load_breast_cancer(return_X_y=True)
    yield "breast_cancer", StandardScaler().fit_transform(X), y
    if is_quick:
        return
    X, y = load_digits(return_X_y=True)
    yield "digits", StandardScaler().fit_transform(X), y
    if folder is not None:
        adult = load_shape("adult sparse", np.float64, folder)
        yield "adult", adult.X.toarray(), adult.y


def compare_in_one_region(folder: Path | None, is_quick: bool) -> None:
    """Print seconds and errors of SHAP where the Shapley values are those of a linear function."""
    n_rows = 10 if is_quick else 20
    print(f"\n{n_rows} rows, each with a background of one row in its region; network (20,)")
    print(f"{'':16}{'columns':>8}{'classes':>8}  {'':32}{'s':>8}{'median error':>15}{'largest':>10}")
    for name, X, y in list_region_cases(folder, is_quick):
        model = fit(X, y, (20,))
        rows, others = np.split(np.random.default_rng(0).permutation(X)[:N_CANDIDATES], [n_rows])
        backgrounds = make_backgrounds(model, rows, others)
        exact = coefficients(model, rows) * (rows - backgrounds)[:, np.newaxis]
        for explainer, explain in Explainers(model).by_name().items():
            start = time.perf_counter()
            values = [explain(rows[[i]], backgrounds[[i]]) for i in range(n_rows)]
            seconds = time.perf_counter() - start
            errors = relative_errors(np.concatenate(values), exact)
            shape = f"{X.shape[1]:8d}{len(np.unique(y)):8d}"
            print(
                f"{name:16}{shape}  {explainer:32}{seconds:8.2f}{np.median(errors):15.1e}{errors.max():10.1e}",
                flush=True,
            )


# --- the command --------------------------------------------------------------------------------------------------


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with more data sets")
    parser.add_argument("--quick", action="store_true", help="fewer data sets, rows and rounds")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    if MISSING is not None:
        sys.exit(f"This benchmark needs {MISSING}: pip install 'skrelu[benchmark]'")
    from run import describe_machine  # needs PyTorch

    start = time.perf_counter()
    torch.set_num_threads(count_threads(None))
    print(f"{describe_machine()}; scikit-learn {sklearn.__version__}, SHAP {shap.__version__}")
    promises = [
        compare_coefficients(arguments.data, arguments.quick),
        compare_times(arguments.data, arguments.quick),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # SHAP's own
        promises.append(compare_usual_backgrounds(arguments.quick))
        compare_in_one_region(arguments.data, arguments.quick)
    print()
    for promise in promises:
        print(f"{promise.text}: {'holds' if promise.holds else 'DOES NOT HOLD'}")
    print(f"{time.perf_counter() - start:.0f} s in all")
    sys.exit(0 if all(promise.holds for promise in promises) else 1)


if __name__ == "__main__":
    main()
