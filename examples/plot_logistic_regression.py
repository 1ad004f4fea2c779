"""
Without a hidden layer it is logistic regression
================================================

``hidden_layer_sizes=()`` leaves one layer, L = 1, and the model is logistic regression: the same objective as in
:class:`sklearn.linear_model.LogisticRegression`, with ``alpha`` = 1 / ``C``. Penalised logistic regression has one
minimum, so both must come to the same weights, for two classes and for more. This page checks how closely they do.
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
# LogisticRegression minimises C times the sum of the losses plus half the squared weights; here it is the sum of the
# losses plus alpha times half the squared weights. Neither penalises the intercepts. ``alpha`` has to be given: the
# default, ``alpha="evidence"``, chooses it from the data.
#
# breast_cancer has two classes and one score, wine three classes and a score for each. The solver "newton-cholesky" of
# LogisticRegression uses second derivatives and comes to the minimum nearly to the last digit: it is the reference.

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
# ``coefs_[0]`` has a row for each feature, as the first layer of any network here; ``coef_`` has a row for each score.


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
# By default neither goes that far. ``tol`` bounds the largest component of the gradient of the mean objective, in both;
# it is 1e-5 here and 1e-4 in LogisticRegression, whose default solver is L-BFGS too. For each tol, how far from the
# reference do the coefficients stay?

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
# At the same tol, both are at the same distance after as many iterations: it is the same algorithm, from the same
# start, on the same function, divided by the number of rows in both. LogisticRegression also ends once an iteration
# lowers this function by less than 64 roundings of the machine, DeepLogisticClassifier at a sixteenth of one; so the
# curves part, far below where anyone would look at coefficients. To compare the two, give both the same ``tol``. For
# the minimum to the last digit, "newton-cholesky" is the better tool where the number of features allows it.

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
