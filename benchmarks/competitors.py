"""The fits to compare: the same network, data, penalty and number of L-BFGS iterations in each library."""

import itertools
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skrelu import DeepLogisticClassifier

ALPHA = 1.0


@dataclass
class Fit:
    """Result of a fit: its seconds, its number of iterations, and the training objective per row at its end."""

    seconds: float
    n_iter: int
    loss: float
    model: Any


def fit_ours(X: Any, y: np.ndarray, hidden: tuple[int, ...], n_iter: int) -> Fit:
    model = DeepLogisticClassifier(
        hidden, alpha=ALPHA, max_iter=n_iter, tol=0, n_iter_no_change=np.inf, early_stopping=False, random_state=0
    )
    seconds = _time(lambda: model.fit(X, y))
    return Fit(seconds, model.n_iter_, model.loss_, model)


def fit_mlp(X: Any, y: np.ndarray, hidden: tuple[int, ...], n_iter: int) -> Fit:
    model = MLPClassifier(hidden, solver="lbfgs", alpha=ALPHA, max_iter=n_iter, max_fun=10**9, tol=0, random_state=0)
    seconds = _time(lambda: model.fit(X, y))
    return Fit(seconds, model.n_iter_, model.loss_, model)


def fit_logistic(X: Any, y: np.ndarray, hidden: tuple[int, ...], n_iter: int) -> Fit:
    model = LogisticRegression(C=1 / ALPHA, max_iter=n_iter, tol=1e-14)
    seconds = _time(lambda: model.fit(X, y))
    return Fit(seconds, int(model.n_iter_.max()), np.nan, model)


class TorchNetwork:
    """The same objective by PyTorch's autograd, on dense rows."""

    def __init__(self, X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self.X = torch.from_numpy(X)
        n_classes = int(y.max()) + 1
        self.y = torch.from_numpy(y.astype(np.int64)) if n_classes > 2 else torch.from_numpy(y.astype(X.dtype))
        sizes = (X.shape[1], *hidden, n_classes if n_classes > 2 else 1)
        layers: list[torch.nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(n_in, n_out, dtype=self.X.dtype), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers[:-1])
        self.parameters = list(self.network.parameters())
        self.loss = torch.nn.CrossEntropyLoss() if n_classes > 2 else torch.nn.BCEWithLogitsLoss()

    def evaluate(self) -> torch.Tensor:
        """Compute the objective and, by autograd, its gradient."""
        for parameter in self.parameters:
            parameter.grad = None
        scores = self.network(self.X)
        value = self.loss(scores if self.y.dtype == torch.int64 else scores[:, 0], self.y)
        weights = [parameter for parameter in self.parameters if parameter.ndim == 2]
        value = value + 0.5 * ALPHA / len(self.X) * sum((weight * weight).sum() for weight in weights)
        value.backward()
        return value

    def fit(self, n_iter: int) -> Fit:
        optimizer = torch.optim.LBFGS(
            self.parameters,
            max_iter=n_iter,
            max_eval=10**9,
            history_size=10,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        seconds = _time(lambda: optimizer.step(self.evaluate))
        done = optimizer.state[self.parameters[0]]["n_iter"]
        return Fit(seconds, done, float(self.evaluate().detach()), self)


def fit_torch(X: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], n_iter: int) -> Fit:
    return TorchNetwork(X, y, hidden).fit(n_iter)


FITS: dict[str, Callable[..., Fit]] = {
    "skrelu": fit_ours,
    "MLPClassifier": fit_mlp,
    "PyTorch": fit_torch,
    "LogisticRegression": fit_logistic,
}


def names_for(X: Any, hidden: tuple[int, ...]) -> list[str]:
    """Return the libraries for a problem: PyTorch for dense rows, LogisticRegression without a hidden layer."""
    names = ["skrelu", "MLPClassifier"] if hidden else ["skrelu", "LogisticRegression"]
    return names if sparse.issparse(X) else [*names, "PyTorch"]


class PeakMemory:
    """Measures the private memory of this process; `beyond` is its peak minus its first value (bytes)."""

    def __enter__(self) -> "PeakMemory":
        self._before = self._peak = self._read()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.beyond = self._peak - self._before

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self._peak = max(self._peak, self._read())

    @staticmethod
    def _read() -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024


def _time(work: Callable[[], Any]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no fit converges in so few iterations
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
