"""The problems of `run.py`: name, rows, targets, hidden layers and the number of iterations to time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import OneHotEncoder, StandardScaler


@dataclass
class Shape:
    name: str
    X: Any
    y: np.ndarray
    hidden: tuple[int, ...]
    n_iter: int


def load_shape(name: str, dtype: type, folder: Path | None) -> Shape:
    """Return a problem by name, in a dtype; with real data if they are available."""
    hidden, n_iter = SHAPES[name]
    X, y = _load(name, folder)
    return Shape(name, X.astype(dtype), y, hidden, n_iter)


# The hidden layers and the number of iterations of each problem.
SHAPES: dict[str, tuple[tuple[int, ...], int]] = {
    "569x30 L=1": ((), 50),
    "569x30": ((10,), 200),
    "1797x64": ((100,), 60),
    "20000x28 L=1": ((), 30),
    "20000x28": ((100,), 40),
    "300000x30": ((64, 32), 6),
    "40000x30": ((256, 256), 6),
    "10000x784": ((256, 128), 8),
    "adult sparse": ((100,), 20),
}


def make_rows(n_rows: int, n_features: int, n_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian rows and noisy classes that a network can learn in part."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_rows, n_features))
    if n_classes > 2:
        return X, (X[:, :n_classes] + X[:, n_classes : 2 * n_classes] * rng.rand(n_rows, 1)).argmax(axis=1)
    return X, (X[:, 0] * X[:, 1] + X[:, 2] + rng.standard_normal(n_rows) > 0).astype(int)


def _load(name: str, folder: Path | None) -> tuple[Any, np.ndarray]:
    if name.startswith("569x30"):
        X, y = load_breast_cancer(return_X_y=True)
    elif name == "1797x64":
        X, y = load_digits(return_X_y=True)
    elif name == "10000x784" and folder is not None:
        with np.load(folder / "mnist10k.npz") as archive:
            X, y = archive["X"].astype(float), archive["y"].astype(int)
    elif name == "adult sparse":
        return _load_adult(folder)
    else:
        n_rows, n_features = (int(size) for size in name.split()[0].split("x"))
        X, y = make_rows(n_rows, n_features, 10 if n_features == 784 else 2)
    return StandardScaler().fit_transform(X), y


def _load_adult(folder: Path | None) -> tuple[Any, np.ndarray]:
    """Return the adult census with one-hot columns, sparse; without the folder, random rows of the same shape."""
    if folder is None:
        rng = np.random.default_rng(0)
        X = sparse.random_array((30162, 104), density=0.13, format="csr", rng=rng)
        return X, rng.integers(2, size=30162)
    frame = pd.read_csv(folder / "adult.csv.gz", skipinitialspace=True)
    y = pd.factorize(frame.pop("income"), sort=True)[0]
    numbers = frame.select_dtypes("number")
    nominal = OneHotEncoder().fit_transform(frame.drop(columns=numbers.columns))
    return sparse.csr_array(sparse.hstack([nominal, StandardScaler().fit_transform(numbers)])), y
