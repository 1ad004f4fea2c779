"""
Without a hidden layer it is logistic regression
================================================

After this page you can fit logistic regression with skrelu, and compare it with scikit-learn's to any precision.
``hidden_layer_sizes=()`` leaves one layer, L = 1. The objective is then that of
:class:`sklearn.linear_model.LogisticRegression`, with ``alpha`` = 1 / ``C``. Penalised logistic regression has one
minimum, so both must find the same weights, for two classes and for more. This page checks how closely they agree.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5F5F5F"

# %%
# The same objective
# ------------------
# LogisticRegression minimises C times the sum of the losses plus half the squared weights; skrelu minimises the sum of
# the losses plus alpha times half the squared weights. Neither penalises the intercepts. ``alpha`` has to be given: the
# default, ``alpha="evidence"``, chooses it from the data.
#
# breast_cancer has two classes and one score, wine three classes and a score for each. The solver "newton-cholesky" of
# LogisticRegression uses second derivatives and reaches the minimum nearly to the last digit. It is the reference here.

C = 0.5
data, deep, reference = {}, {}, {}
for name, load in (("breast_cancer", load_breast_cancer), ("wine", load_wine)):
    X, y = load(return_X_y=True)
    data[name] = X, y = StandardScaler().fit_transform(X), y
    deep[name] = DeepLogisticClassifier(
        (), alpha=1 / C, tol=1e-10, max_iter=10_000
    ).fit(X, y)
    reference[name] = LogisticRegression(
        C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000
    ).fit(X, y)

# %%
# In ``coefs_[0]`` each feature has a row of the matrix, as in the first layer of any network here. In ``coef_`` each
# score has one.


def distance(coefs, name):
    """Return the largest difference of the coefficients from those of the reference."""
    return np.abs(coefs - reference[name].coef_).max()


for name, (X, _) in data.items():
    coefs = deep[name].coefs_[0].T
    of_probabilities = np.abs(
        deep[name].predict_proba(X) - reference[name].predict_proba(X)
    ).max()
    print(
        f"{name}: {coefs.size} coefficients, the largest {np.abs(coefs).max():.2f}\n"
        f"    largest difference {distance(coefs, name):.0e}, "
        f"of the probabilities {of_probabilities:.0e}"
    )
    assert distance(coefs, name) < 1e-5
    assert of_probabilities < 1e-5
    assert np.allclose(
        deep[name].intercepts_[0], reference[name].intercept_, atol=1e-5
    )

# %%
figure, diagonal = plt.subplots(figsize=(6.4, 6), layout="constrained")
styles = {"breast_cancer": (BLUE, "o"), "wine": (ORANGE, "s")}
for name, (color, marker) in styles.items():
    coefs = deep[name].coefs_[0].T
    label = f"{name}, {len(coefs)} x {coefs.shape[1]}"
    diagonal.plot(
        reference[name].coef_.ravel(),
        coefs.ravel(),
        marker,
        color=color,
        markersize=7,
        markerfacecolor="none",
        markeredgewidth=1.5,
        label=label,
    )
diagonal.axline(
    (0, 0), slope=1, color="black", linewidth=0.8, zorder=0, label="equal"
)
diagonal.set(
    aspect="equal",
    xlabel="coef_ of LogisticRegression\n(nats per standard deviation of the feature)",
    ylabel="coefs_[0] of DeepLogisticClassifier (same unit)",
    title="All coefficients, scores x features",
)
diagonal.legend()

# %%
# As tol falls
# ------------
# With the default ``tol`` neither goes that far. In both, ``tol`` bounds the largest component of the gradient of the
# mean objective. It is 1e-5 here and 1e-4 in LogisticRegression, whose default solver is L-BFGS too. How far from the
# reference are the coefficients for each tol?

tols = np.logspace(-2, -12, 11)
distances, n_iters = {}, {}
for name, (X, y) in data.items():
    ours = [
        DeepLogisticClassifier((), alpha=1 / C, tol=tol, max_iter=10_000).fit(X, y)
        for tol in tols
    ]
    theirs = [
        LogisticRegression(C=C, tol=tol, max_iter=10_000).fit(X, y) for tol in tols
    ]
    distances[name] = (
        np.array([distance(model.coefs_[0].T, name) for model in ours]),
        np.array([distance(model.coef_, name) for model in theirs]),
    )
    print(
        f"iterations, {name}\n"
        f"    DeepLogisticClassifier {[model.n_iter_ for model in ours]}"
    )
    print(
        f"    LogisticRegression     {[int(model.n_iter_[0]) for model in theirs]}"
    )
print(f"the last DeepLogisticClassifier:\n    {ours[-1].optimize_result_.message}")

# %%
# At the same tol, both are at the same distance after as many iterations: both run the same algorithm from the same
# start on the same function, the objective divided by the number of rows. LogisticRegression also ends once an
# iteration lowers this function by less than 64 times the machine epsilon, DeepLogisticClassifier at a sixteenth of it.
# So the curves separate, at differences that are too small to matter in practice. To compare the two, give both the
# same ``tol``. For the minimum to the last digit, "newton-cholesky" is better, if the number of features allows it.

for of_ours, of_theirs in distances.values():
    assert np.allclose(of_ours[:5], of_theirs[:5], rtol=0.1)

figure, falling = plt.subplots(figsize=(8, 5.6), layout="constrained")
for name, (color, marker) in styles.items():
    of_ours, of_theirs = distances[name]
    theirs_label, ours_label = (
        f"{name}, LogisticRegression",
        f"{name}, DeepLogisticClassifier",
    )
    falling.plot(
        tols,
        of_theirs,
        marker + ":",
        color=color,
        markersize=10,
        markerfacecolor="none",
        label=theirs_label,
    )
    falling.plot(
        tols, of_ours, marker + "-", color=color, markersize=4.5, label=ours_label
    )
for tol, label in ((1e-4, "LogisticRegression's default"), (1e-5, "default here")):
    falling.axvline(tol, color=GREY, linestyle="--", linewidth=1)
    falling.annotate(
        label,
        (tol, 0.02),
        (-3, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        rotation=90,
        ha="right",
        va="bottom",
        color=GREY,
    )
falling.set(
    xscale="log",
    yscale="log",
    xlabel="tol",
    ylabel="largest difference from the reference\n(nats per standard deviation)",
    title="Coefficients as tol falls",
)
falling.invert_xaxis()
falling.legend()

plt.show()
