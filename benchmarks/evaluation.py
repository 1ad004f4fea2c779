"""A fit of a classifier to one split of a table, and its figures on the test rows."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

Make = Callable[[int], Any]  # a classifier from a seed
Split = list[Any]  # training rows, test rows and their labels
Figures = dict[str, float]
Evaluation = Callable[[Split, int], Figures]  # from a split and a seed


def evaluate(make: Make, split: Split, seed: int) -> Figures:
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


def split_raw_rows(X: Any, y: np.ndarray, max_rows: int, seed: int) -> Split:
    """Draw at most `max_rows` rows and split them; the columns keep their units."""
    if len(X) > max_rows:
        X, _, y, _ = train_test_split(X, y, train_size=max_rows, stratify=y, random_state=seed)
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)


def split_rows(X: np.ndarray, y: np.ndarray, max_rows: int, seed: int) -> Split:
    """Draw at most `max_rows` rows, split them and standardise both parts."""
    return standardise(split_raw_rows(X, y, max_rows, seed))


def standardise(split: Split) -> Split:
    """Standardise both parts of a split by the mean and standard deviation of its training rows."""
    X, X_test, y, y_test = split
    scaler = StandardScaler().fit(X)
    return [scaler.transform(X), scaler.transform(X_test), y, y_test]
