"""Random problems for the tests: an architecture, its weights, data and targets of every kind."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import StandardScaler

from skrelu._core.datafit import Datafit
from skrelu._core.losses import BinaryLoss, MultinomialLoss
from skrelu._core.network import Network
from skrelu._data.labels import Labels
from skrelu._data.rows import WeightedRows, weigh_rows
from skrelu._fit.problem import LocalProblem

KINDS = ("binary", "multiclass", "multilabel")


@dataclass
class Problem:
    coefs: list
    intercepts: list
    X: np.ndarray
    y: np.ndarray
    kind: str

    @property
    def W(self):
        return [coef.T for coef in self.coefs]

    @property
    def is_multinomial(self):
        return self.kind == "multiclass"

    @property
    def targets(self):
        """Targets as `tests.literal` takes them."""
        if self.kind == "multiclass":
            return [("class", int(label)) for label in self.y]
        return list(np.where(self.y > 0, 1, -1))


def make_problem(kind, hidden=(5, 4), n_samples=13, n_features=3, n_outputs=3, scale=1.0, seed=0):
    rng = np.random.RandomState(seed)
    n_outputs = 1 if kind == "binary" else n_outputs
    sizes = (n_features, *hidden, n_outputs)
    coefs = [scale * rng.randn(n, m) for n, m in itertools.pairwise(sizes)]
    intercepts = [scale * rng.randn(m) for m in sizes[1:]]
    X = rng.randn(n_samples, n_features)
    if kind == "binary":
        y = rng.randint(2, size=n_samples)
        y[:2] = [0, 1]
    elif kind == "multiclass":
        y = rng.randint(n_outputs, size=n_samples)
        y[:n_outputs] = np.arange(n_outputs)
    else:
        y = rng.randint(2, size=(n_samples, n_outputs))
    return Problem(coefs, intercepts, X, y, kind)


def make_datafit(problem, team, X=None, **options):
    """Return the data term of a problem and the flat vector of its weights."""
    network = Network.of(problem.coefs)
    loss = MultinomialLoss() if problem.is_multinomial else BinaryLoss()
    targets = problem.y if problem.is_multinomial else np.where(problem.y > 0, 1, -1).reshape(len(problem.y), -1)
    datafit = Datafit(network, loss, problem.X if X is None else X, targets, team=team, **options)
    return datafit, network.join(problem.coefs, problem.intercepts)


def make_fit_problem(problem, sample_weight=None, n_held_out=0, dtype=np.float64):
    """Return what `fit` makes of a problem; the last rows are held out."""
    labels = Labels.of(problem.y, None)
    network = Network.of(problem.coefs)
    X, targets = problem.X.astype(dtype), labels.encode(problem.y)
    rows = weigh_rows(X, labels, targets, None, sample_weight)
    if not n_held_out:
        return LocalProblem(network, labels, None, rows, None)
    numbers = np.arange(len(X))
    parts = [replace(rows, selection=part) for part in (numbers[:-n_held_out], numbers[-n_held_out:])]
    return LocalProblem(network, labels, None, *parts)


def relative_error(actual, expected):
    """Return the largest difference over all arrays, relative to the largest entry."""
    actual = np.concatenate([np.ravel(part) for part in actual])
    expected = np.concatenate([np.ravel(part) for part in expected])
    return np.abs(actual - expected).max() / max(np.abs(expected).max(), np.finfo(float).tiny)


def make_rows(n_rows=200, n_distinct=50, *, weighted=False, as_sparse=False, seed=0):
    """Return rows of a table, many of them equal, and their labels."""
    rng = np.random.RandomState(seed)
    distinct = rng.randn(n_distinct, 3) * (rng.rand(n_distinct, 3) > 0.4)
    X = distinct[np.r_[np.arange(n_distinct), rng.randint(n_distinct, size=n_rows - n_distinct)]]
    y = rng.randint(3, size=n_rows)
    weights = rng.randint(1, 4, size=n_rows).astype(float) if weighted else None
    return WeightedRows(sparse.csr_array(X) if as_sparse else X, y, weights), y


def load_table(name):
    """Return a standardised table of scikit-learn's: 'binary', 'multiclass' or 'multilabel'."""
    if name == "multilabel":
        X, y = load_breast_cancer(return_X_y=True)
        return StandardScaler().fit_transform(X), np.column_stack([y, X[:, 1] > 20]).astype(int)
    X, y = {"binary": load_breast_cancer, "multiclass": load_iris}[name](return_X_y=True)
    return StandardScaler().fit_transform(X), y


# A small table, for bad input.
SMALL_X = np.random.RandomState(0).randn(40, 3)
SMALL_Y = np.tile([0, 1], 20)


def with_value(value, dtype=float):
    """Return the small table with another value in one place."""
    changed = SMALL_X.astype(dtype)
    changed[3, 1] = value
    return changed


def weights_with(value):
    """Return weights of one for its rows, and another value in one place."""
    weights = np.ones(40)
    weights[5] = value
    return weights
