"""
From a table to a tuned, calibrated, saved and exported model
=============================================================

After this page you can take a mixed table all the way to an exported model: read, split, preprocess, fit, tune,
calibrate, save, and export to ONNX, where the model runs without Python. The question is who earns more than 50,000
dollars a year. The table has 30,162 adults of the United States census of 1994. Like most tables it has columns of
numbers and columns of words. The page needs, from a checkout,

.. code-block:: sh

    pip install ".[plot,onnx]" pandas

and :download:`adult.csv.gz <../../examples/data/adult.csv.gz>` (UCI Adult, B. Becker and R. Kohavi, 1996, CC BY 4.0) in
a folder ``data`` beside the script. If you are online,
``sklearn.datasets.fetch_openml("adult", version=2, as_frame=True)`` fetches the same census, with other column names
and with its missing values.
"""

import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import pandas as pd
import skl2onnx
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skrelu.onnx
from skrelu import DeepLogisticClassifier

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7F7F7F"

# %%
# Read and split
# --------------
# ``fnlwgt`` is the number of people that a row represents. It is not a property of a person, so it is not used as a
# feature. To keep this page quick, 6,000 rows are for training and 10,000 for the test, and the others are not used.
# The test rows are used to judge models, never to choose one.

adult = pd.read_csv("data/adult.csv.gz")
y = adult.pop("income")
X = adult.drop(columns="fnlwgt")
X, X_test, y, y_test = train_test_split(
    X, y, train_size=6000, test_size=10000, stratify=y, random_state=0
)
print(X.head(3).T)

# %%
# Preprocess
# ----------
# The search below also tries a fixed alpha, for which numbers should be of about the same size. So numeric columns are
# standardised here. Each other column becomes one column of 0 and 1 for each of its values. The encoder's output is
# sparse, and the fit uses it without making it dense.

numeric = list(X.select_dtypes("number").columns)
nominal = [name for name in X.columns if name not in numeric]
preprocess = ColumnTransformer(
    [
        ("numeric", StandardScaler(), numeric),
        ("nominal", OneHotEncoder(handle_unknown="ignore"), nominal),
    ]
)

# %%
# A first fit
# -----------
# The pipeline is a classifier like any other. You need not give a penalty: ``alpha="evidence"``, the default, finds one
# for every feature while the network is fitted. ``judge`` prints how good a model is on the test rows.


def judge(name, model):
    """Print how good the model is on the test rows."""
    p = model.predict_proba(X_test)
    print(
        f"{name:30} log-loss {log_loss(y_test, p):.4f}  "
        "Brier score "
        f"{brier_score_loss(y_test, p[:, 1], pos_label=model.classes_[1]):.4f}  "
        f"accuracy {accuracy_score(y_test, model.predict(X_test)):.4f}"
    )


def pipeline_of(classifier):
    return Pipeline([("preprocess", preprocess), ("classifier", classifier)])


first = pipeline_of(DeepLogisticClassifier((10,), random_state=0)).fit(X, y)
linear = pipeline_of(LogisticRegression(max_iter=1000)).fit(X, y)
judge("LogisticRegression", linear)
judge("one hidden layer of 10 units", first)

# %%
# Tune
# ----
# Two choices remain: the shape of the network, and whether the evidence finds a good penalty on this table. The
# alternative to the evidence is ``alpha=3`` with early stopping (:doc:`/guide/network`). ``GridSearchCV`` compares them
# by cross-validation on the training rows, two fits at a time. The score is minus the log-loss, which asks for good
# probabilities; accuracy only asks on which side of 1/2 they are.

shapes, alphas = [(), (20,), (20, 20)], ["evidence", 3]
search = GridSearchCV(
    pipeline_of(DeepLogisticClassifier(max_iter=2000, random_state=0)),
    {"classifier__alpha": alphas, "classifier__hidden_layer_sizes": shapes},
    scoring="neg_log_loss",
    cv=3,
    n_jobs=2,
).fit(X, y)
best = search.best_estimator_["classifier"]
chosen = f"{best.hidden_layer_sizes}, alpha={best.alpha}"
judge(f"chosen: {chosen}", search)

# %%
# One layer of 20 units is better than logistic regression, whichever way alpha is chosen. A second layer gains nothing
# here.

folds = [search.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
losses = -np.reshape(folds, (3, len(alphas), len(shapes)))
means = losses.mean(axis=0)
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for number, (alpha, color) in enumerate(zip(alphas, (ORANGE, BLUE), strict=True)):
    places = np.arange(len(shapes)) + 0.3 * number - 0.15
    axes.plot(places, losses[:, number].T, "o", color=color, alpha=0.5)
    style = {"color": color, "markersize": 28, "markeredgewidth": 3}
    axes.plot(places, means[number], "_", label=f"alpha={alpha!r}", **style)
axes.set_xticks(range(len(shapes)), [str(shape) for shape in shapes])
axes.margins(x=0.15, y=0.15)
axes.set_xlabel("units of the hidden layers")
axes.set_ylabel("log-loss (nats per row)")
axes.set_title("Three folds of the training rows (dots), their mean (bars)")
axes.legend(markerscale=0.4)
assert (means[:, 1] < means[:, [0, 2]].min(axis=1)).all()

# %%
# Calibrate
# ---------
# Of the people to whom the model gives 30%, do 30% earn that much? ``CalibratedClassifierCV`` fits the network to two
# thirds of the training rows and a sigmoid of its scores to the others. It does this three times and averages the
# three. It corrects scores that are too sure. Here they were about right before, as the figures and the picture show.
# It is *inside* the pipeline, because skl2onnx 1.20 would convert it wrongly around a pipeline.

calibrated = pipeline_of(
    CalibratedClassifierCV(clone(best), method="sigmoid", cv=3)
).fit(X, y)
judge("the same, calibrated", calibrated)

figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
for name, model, color, marker in (
    ("LogisticRegression", linear, GREY, "^"),
    (f"network {chosen}", search, BLUE, "o"),
    ("the same, calibrated", calibrated, ORANGE, "s"),
):
    style = {"name": name, "color": color, "marker": marker, "ax": axes}
    CalibrationDisplay.from_estimator(
        model, X_test, y_test, n_bins=10, strategy="quantile", **style
    )
axes.set_xlabel("predicted probability of > 50K, mean of a tenth of the rows")
axes.set_ylabel("how many of these earn > 50K")
axes.set_title("On the diagonal a probability means what it says")
# sphinx_gallery_thumbnail_number = 2

# %%
# Save and load
# -------------
# One file holds the whole pipeline. Loading a joblib file or a pickle runs code in it, so load only files you trust.
# :doc:`/guide/persistence` describes skops, which runs no code from the file.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "income.joblib"
    joblib.dump(calibrated, path)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
    loaded = joblib.load(path)
same = np.array_equal(
    loaded.predict_proba(X_test), calibrated.predict_proba(X_test)
)
assert same
print("The loaded model says the same, bit for bit.")

# %%
# Export to ONNX
# --------------
# ``skrelu.onnx.register()`` tells skl2onnx how to convert the network; it can convert the rest of the pipeline already.
# Every column of the table is a separate input. Numbers are float64, as in the fit.

skrelu.onnx.register()
inputs = [
    (
        name,
        DoubleTensorType([None, 1])
        if name in numeric
        else StringTensorType([None, 1]),
    )
    for name in X.columns
]
onnx_model = skl2onnx.to_onnx(
    calibrated, initial_types=inputs, options={"zipmap": False}
)
onnx_bytes = onnx_model.SerializeToString()  # what to write to a file income.onnx

session = onnxruntime.InferenceSession(
    onnx_bytes, providers=["CPUExecutionProvider"]
)
columns = {
    name: X_test[[name]].to_numpy(dtype=np.float64 if name in numeric else object)
    for name in X_test.columns
}
labels, probabilities = session.run(None, columns)
difference = np.abs(probabilities - calibrated.predict_proba(X_test)).max()
assert difference < 1e-5
assert np.array_equal(labels, calibrated.predict(X_test))
print(
    f"{len(onnx_bytes) / 1024:.0f} KiB; {len(labels)} rows: the same labels, "
    f"probabilities within {difference:.0e}"
)

# %%
# The cell predicts one person, given as a dictionary, with both models. ``predict`` uses the threshold 1/2. For any
# other threshold compare it with the second probability.

person = X_test.iloc[0].to_dict()
print("\n".join(f"{name:15}{value}" for name, value in person.items()))
feed = {
    name: np.array([[value]], dtype=np.float64 if name in numeric else object)
    for name, value in person.items()
}
_, by_onnx = session.run(None, feed)
by_skrelu = calibrated.predict_proba(pd.DataFrame([person]))
print(f"earns > 50K: {by_onnx[0, 1]:.3f} by ONNX, {by_skrelu[0, 1]:.3f} by skrelu")

plt.show()

# %%
# Where to go from here: :doc:`/guide/alpha` on the penalty, :doc:`/guide/when_not` on what to use instead,
# :doc:`/uncertainty` on how sure a score is.
