"""What must work wherever skrelu is installed: run from outside the checkout, with nothing but its dependencies."""

import importlib.metadata
import importlib.resources
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skrelu
import skrelu.inspection

package = Path(skrelu.__file__).parent
assert "site-packages" in package.parts, f"{package} is not an installed package"
metadata = importlib.metadata.metadata("skrelu")
assert metadata["Version"] == skrelu.__version__
assert metadata["License-Expression"] == "BSD-3-Clause"
assert metadata.get_all("Project-URL")
extras = set(metadata.get_all("Provides-Extra"))
assert {"plot", "onnx", "dask", "docs", "test", "dev"} <= extras, extras
assert importlib.resources.files("skrelu").joinpath("py.typed").is_file()
files = {file.parts[0] for file in importlib.metadata.files("skrelu")}
assert files <= {"skrelu", f"skrelu-{skrelu.__version__}.dist-info"}, files

X, X_test, y, y_test = train_test_split(*load_iris(return_X_y=True), random_state=0)
model = make_pipeline(StandardScaler(), skrelu.DeepLogisticClassifier(random_state=0)).fit(X, y)
assert model.score(X_test, y_test) > 0.9
with tempfile.TemporaryDirectory() as folder:
    joblib.dump(model, Path(folder) / "model.joblib")
    loaded = joblib.load(Path(folder) / "model.joblib")
assert np.array_equal(loaded.predict_proba(X_test), model.predict_proba(X_test))
print(f"skrelu {skrelu.__version__} in {package}: works")
