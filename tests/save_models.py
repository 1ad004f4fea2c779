"""Save models in this release's format, for the releases to come: `python -m tests.save_models`, once for a format.

They go to tests/saved/VERSION-formatN/, with the rows and the probabilities that every later release must find.
tests/saved/0.1.0/ has those of format 1.
"""

from pathlib import Path

import joblib
import numpy as np
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.preprocessing import scale

import skrelu
from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._persistence import FORMAT

SAVED = Path(__file__).parent / "saved"


def fitted_models():
    """Yield a name, a fitted model and rows for each kind of model."""
    X, y = load_iris(return_X_y=True)
    X, names = scale(X), np.array(["setosa", "versicolor", "virginica"])
    yield "binary", DeepLogisticClassifier((4, 3), alpha=0.1, random_state=0).fit(X, names[np.minimum(y, 1)]), X
    yield "logistic", DeepLogisticClassifier((), alpha=1.0).fit(X, y == 2), X
    yield "multinomial", DeepLogisticClassifier((5,), random_state=0).fit(X, y), X
    few = scale(load_wine().data)[::4]
    indicator = np.stack([few[:, 0] > 0, few[:, 1] > 0], axis=1).astype(int)
    laplace = DeepLogisticClassifier((4,), predictive="laplace", random_state=0)
    yield "multilabel_laplace", laplace.fit(few, indicator), few
    X32 = X.astype(np.float32)
    early = DeepLogisticClassifier((5,), alpha=0.1, early_stopping=True, random_state=0)
    yield "early_stopping_float32", early.fit(X32, y), X32
    yield "cv", DeepLogisticClassifierCV((3,), alphas=3, cv=2, random_state=0).fit(X, y), X
    raw = load_wine().data[1::4]  # in its own units
    laplace = DeepLogisticClassifier((4,), predictive="laplace", random_state=0)
    yield "raw_laplace", laplace.fit(raw, raw[:, 0] > 13), raw
    laplace = DeepLogisticClassifier((4,), predictive="laplace", random_state=0)
    yield "raw_sparse_laplace", laplace.fit(sparse.csr_array(raw), raw[:, 0] > 13), raw


def save(folder):
    """Write every model and what it says."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {}
    for name, model, X in fitted_models():
        joblib.dump(model, folder / f"{name}.joblib", compress=3)
        said |= {f"{name}_X": X, f"{name}_probabilities": model.predict_proba(X), f"{name}_labels": model.predict(X)}
    np.savez_compressed(folder / "said.npz", **said)


if __name__ == "__main__":
    save(SAVED / f"{skrelu.__version__}-format{FORMAT}")
