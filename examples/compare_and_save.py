"""Fit DeepLogisticClassifier to real data, compare it, save it and load it again.

python examples/compare_and_save.py               # scikit-learn's digits
python examples/compare_and_save.py table.csv     # any table: the last column is the class
"""

import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrelu import DeepLogisticClassifier


def load(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits, or a table of numbers; other columns are made one-hot."""
    if path is None:
        return load_digits(return_X_y=True)
    header, *lines = np.loadtxt(path, dtype=str, delimiter=",")
    columns, y = np.array(lines)[:, :-1].T, np.array(lines)[:, -1]
    print(f"{path}: the class is '{header[-1]}'")
    return np.hstack([read_column(column) for column in columns]), y


def read_column(column: np.ndarray) -> np.ndarray:
    """Return a column as numbers, or with a column of 0 and 1 for each of its values."""
    try:
        return column.astype(float)[:, np.newaxis]
    except ValueError:
        return OneHotEncoder(sparse_output=False).fit_transform(
            column[:, np.newaxis]
        )


def main() -> None:
    X, y = load(sys.argv[1] if len(sys.argv) > 1 else None)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=0
    )
    classifiers = [
        DeepLogisticClassifier(random_state=0),
        LogisticRegression(max_iter=1000),
        MLPClassifier(max_iter=1000, random_state=0),
    ]
    print(
        f"{len(X)} rows to fit, {len(X_test)} to test\n{'':24}{'log-loss':>10}{'accuracy':>10}"
    )
    models = [
        make_pipeline(StandardScaler(), classifier).fit(X, y)
        for classifier in classifiers
    ]
    for model, classifier in zip(models, classifiers, strict=True):
        loss, accuracy = (
            log_loss(y_test, model.predict_proba(X_test)),
            model.score(X_test, y_test),
        )
        print(f"{type(classifier).__name__:24}{loss:10.4f}{accuracy:10.4f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(models[0], path)
        loaded = joblib.load(path)
        size = path.stat().st_size
    assert np.array_equal(
        loaded.predict_proba(X_test), models[0].predict_proba(X_test)
    )
    print(
        f"\nSaved ({size} bytes) and loaded again: the same probabilities, bit for bit."
    )


if __name__ == "__main__":
    main()
