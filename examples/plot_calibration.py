"""
Are the probabilities calibrated?
=================================

After this page you can check whether probabilities are calibrated, and correct them if they are not. Of the people to
whom a classifier gives a probability of 30%, three in ten should belong to the class. A classifier for which this holds
at every probability is called calibrated. scikit-learn's ``CalibrationDisplay`` draws it, here for four classifiers of
the adult census. It also draws it for a network that has learned its training rows by heart, before and after
``CalibratedClassifierCV``.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrelu import DeepLogisticClassifier

BLUE, ORANGE, GREEN, PINK, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
)

# %%
# The table
# ---------
# The class is an income above 50,000 dollars. ``fnlwgt``, the number of people that a row represents, is not used as a
# feature. 4000 rows are fitted, and 1000 more are kept for the calibration below. All others are test rows, so many
# that chance has little influence on the curves.

table = pd.read_csv("data/adult.csv.gz")
y = (table.pop("income") == ">50K").astype(int)
X = table.drop(columns="fnlwgt")
X, X_test, y, y_test = train_test_split(
    X, y, train_size=5000, stratify=y, random_state=0
)
X, X_calibration, y, y_calibration = train_test_split(
    X, y, train_size=4000, stratify=y, random_state=0
)
print(
    f"{len(X)} rows to fit, {len(X_calibration)} to calibrate, "
    f"{len(X_test)} to test; {y_test.mean():.0%} earn more"
)

# %%
# Fit and measure
# ---------------
# Three measures are used. The log-loss and the Brier score (the mean square of probability minus outcome) become worse
# for two reasons: probabilities that are not calibrated, and probabilities that separate the classes badly. So the best
# model by these need not be the best calibrated. The calibration error measures the calibration only. The test rows are
# put into bins by their probability. In each bin, the error is the distance between the mean probability and the
# fraction of rows that earn more. The calibration error is the mean of these distances over the rows.


def fit(classifier):
    """Return a pipeline fitted to the training rows."""
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    return make_pipeline(columns, classifier).fit(X, y)


def calibration_error(p, n_bins=15):
    """Return the mean distance of probability and frequency, in bins of equal width."""
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    return np.abs(np.bincount(bins, p - y_test, minlength=n_bins)).sum() / len(p)


def measure(model):
    """Return the probabilities of the test rows, and the three measures of them."""
    p = model.predict_proba(X_test)[:, 1]
    return p, (
        log_loss(y_test, p),
        brier_score_loss(y_test, p),
        calibration_error(p),
    )


models = {
    "skrelu": fit(DeepLogisticClassifier(random_state=0)),
    "LogisticRegression": fit(LogisticRegression(max_iter=1000)),
    "MLPClassifier": fit(MLPClassifier(early_stopping=True, random_state=0)),
    "RandomForest": fit(RandomForestClassifier(random_state=0)),
}

# %%
# A network that needs calibrating
# --------------------------------
# This is the same network as skrelu's above, with next to no penalty and without early stopping. It is then calibrated
# on rows that it was not fitted to. Isotonic regression finds a function of its probabilities that rises in steps. Some
# steps are at 0 or 1, and where these are wrong the log-loss is very large.
# ``FrozenEstimator`` keeps ``CalibratedClassifierCV`` from fitting the network again.

overfitted = fit(
    DeepLogisticClassifier(
        alpha=1e-3, early_stopping=False, max_iter=5000, random_state=0
    )
)
calibrated = CalibratedClassifierCV(
    FrozenEstimator(overfitted), method="isotonic"
).fit(X_calibration, y_calibration)
models |= {"overfitted": overfitted, "overfitted, calibrated": calibrated}

measured = {name: measure(model) for name, model in models.items()}
print(f"{'':24}{'log-loss':>10}{'Brier':>10}{'calibration':>13}")
for name, (_, (loss, brier, error)) in measured.items():
    print(f"{name:24}{loss:10.4f}{brier:10.4f}{error:13.4f}")
print("lowest log-loss:", min(measured, key=lambda name: measured[name][1][0]))
print(
    "lowest calibration error:",
    min(measured, key=lambda name: measured[name][1][2]),
)
assert measured["overfitted"][1][2] > measured["overfitted, calibrated"][1][2]
assert measured["overfitted, calibrated"][1][1] > measured["skrelu"][1][1]

# %%
# The curves
# ----------
# A classifier whose curve is the diagonal is calibrated. One that is too sure has a flatter curve: events to which it
# gives 10% happen more often than that, and events to which it gives 90% less often. The lower pictures show how many
# test rows have each probability. Calibration brings the overfitted network back to the diagonal, but it cannot change
# the order in which the network ranks the rows. So it cannot repair errors in the ranking, as the log-loss and the
# Brier score show.

styles = {
    "skrelu": (BLUE, "o"),
    "LogisticRegression": (ORANGE, "s"),
    "MLPClassifier": (GREEN, "^"),
    "RandomForest": (PINK, "D"),
    "overfitted": (BLACK, "s"),
    "overfitted, calibrated": (ORANGE, "^"),
}
figure, panels = plt.subplots(
    2,
    2,
    figsize=(9.5, 7.5),
    height_ratios=[3, 1],
    sharex=True,
    sharey="row",
    layout="constrained",
)
columns = (
    (
        ["skrelu", "LogisticRegression", "MLPClassifier", "RandomForest"],
        "As fitted",
    ),
    (
        ["overfitted", "overfitted, calibrated", "skrelu"],
        "The same network, hardly penalised",
    ),
)
for (curves, counts), (names, title) in zip(panels.T, columns, strict=True):
    for name in names:
        p, (color, marker) = measured[name][0], styles[name]
        CalibrationDisplay.from_predictions(
            y_test, p, n_bins=10, name=name, ax=curves, color=color, marker=marker
        )
        counts.hist(
            p,
            bins=np.linspace(0, 1, 21),
            histtype="step",
            color=color,
            linewidth=1.5,
        )
    curves.set(title=title, xlabel="", ylabel="")
    curves.legend(loc="upper left")
    counts.set(yscale="log", xlabel="probability of earning more")
panels[0, 0].set_ylabel("fraction that earns more")
panels[1, 0].set_ylabel("test rows")

plt.show()
