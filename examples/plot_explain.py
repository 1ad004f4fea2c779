"""
Adult census: predictions explained exactly
===========================================

After this page you can explain each prediction of a network without an approximation, see which columns matter to it,
tell a person what would have to change, and replace the network by five logistic regressions and know the price.

A ReLU network is a linear function in each of its activation regions. The coefficients of that function are computed
from the weights, so the parts of a score are exact. The question is who earned more than 50,000 dollars in 1994. The
data are those of :ref:`sphx_glr_auto_examples_plot_adult.py`.
"""

from importlib.util import find_spec
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu.inspection import (
    LocalCoefficientsDisplay,
    LocalExplanationDisplay,
    linear_regions,
    local_feature_importance,
    local_linear_models,
    nearest_counterfactual,
    simplify,
)

# %%
# The model
# ---------
# Names become columns of zeros and ones, and numbers are standardised. The two columns of capital enter in both ways, as
# some amounts occur often. Each step can be followed, so explanations come out in the 13 columns of the table, not in
# those of the matrix.

table = pd.read_csv("data/adult.csv.gz").drop(columns="fnlwgt")
y = table.pop("income")
X = table.astype(dict.fromkeys(table.select_dtypes(exclude="number"), "category"))
X, X_test, y, y_test = train_test_split(
    X, y, train_size=10_000, stratify=y, random_state=0
)
one_hot = OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist")
columns = make_column_transformer(
    (one_hot, make_column_selector(dtype_exclude="number")),
    (one_hot, ["capital_gain", "capital_loss"]),
    (StandardScaler(), make_column_selector(dtype_include="number")),
    sparse_threshold=0,
    verbose_feature_names_out=False,
)
model = make_pipeline(columns, DeepLogisticClassifier(20, random_state=0)).fit(X, y)
print(
    f"{X.shape[1]} columns, {model[:-1].transform(X).shape[1]} features, "
    f"test log-loss {log_loss(y_test, model.predict_proba(X_test)):.4f} nats"
)

# %%
# One prediction
# --------------
# A person whose score is near 0. The bars are the parts of the score: coefficient times the difference to the mean of
# the training rows, summed over the columns of zeros and ones that come from one column of the table. They add up
# exactly, from the score that the person's linear model gives to the mean, to the person's score.

scores = model.decision_function(X_test)
person = X_test.iloc[[np.abs(scores).argmin()]]
display = LocalExplanationDisplay.from_estimator(model, person, reference=X)
total = display.base + display.contributions.sum()
print(
    f"{display.base:.6f} + {display.contributions.sum():.6f} = {total:.6f}, "
    f"decision_function: {model.decision_function(person)[0]:.6f}"
)
assert np.isclose(total, model.decision_function(person)[0], rtol=1e-9, atol=1e-9)

# %%
# The same coefficients hold for everybody in the same activation region, and so do the explanations. Beyond it they
# change.

models = local_linear_models(model, X_test)
print(
    f"{models.region.max() + 1} regions for {len(X_test)} rows; "
    f"the largest has {np.bincount(models.region).max()} rows"
)

# %%
# Beside SHAP
# -----------
# Shapley values with one row as background mix the features of the two rows in all ways. Where all mixtures lie in one
# region, the values are known: coefficient times difference. Such a pair is looked for here. Where shap is installed,
# its KernelExplainer is compared with them. ``benchmarks/explain.py`` does so for many rows, and for DeepExplainer.

Z = model[:-1].transform(X_test)


def mixtures(row, background):
    """Return all mixtures of two rows, or those of the first ten differences."""
    differ = np.flatnonzero(Z[row] != Z[background])[:10]
    chosen = np.indices((2,) * len(differ)).reshape(len(differ), -1).T.astype(bool)
    mixed = np.tile(Z[background], (len(chosen), 1))
    mixed[:, differ] = np.where(chosen, Z[row, differ], Z[background, differ])
    return mixed


row, *others = np.flatnonzero(models.region == 0)
background = next(
    other
    for other in others
    if 3 <= np.count_nonzero(Z[row] != Z[other]) <= 10
    and np.ptp(local_linear_models(model[-1], mixtures(row, other)).region) == 0
)
start = perf_counter()
exact = local_linear_models(model[-1], Z[[row]]).coef[0] * (Z[row] - Z[background])
print(f"exact: {perf_counter() - start:.4f} s, {np.count_nonzero(exact)} parts")
if find_spec("shap"):
    import shap

    start = perf_counter()
    explainer = shap.KernelExplainer(model[-1].decision_function, Z[[background]])
    values = explainer.shap_values(Z[[row]], silent=True)[0]
    error = np.abs(values - exact).max() / np.abs(exact).max()
    print(
        f"KernelExplainer: {perf_counter() - start:.4f} s, largest error {error:.1e}"
    )

# %%
# Which columns matter
# --------------------
# The importance of a column is the variance of its part in the score, under the linear model of each row, averaged over
# the rows. The coefficients of the most populated regions show how much they differ between regions.

importance = local_feature_importance(model, X)
ranking = pd.Series(importance.importances_mean, importance.feature_names)
print(ranking.sort_values(ascending=False).round(3).head(8).to_string())

LocalCoefficientsDisplay.from_estimator(model, X, n_regions=30)

# %%
# Along age, one year more raises the score of the young. The effect falls, and beyond 45 it is negative for many.

LocalCoefficientsDisplay.from_estimator(model, X, kind="profile", feature="age")

# %%
# The regions as a table
# ----------------------
# Only the regions with the most rows are printed. ``auc_all`` is the area under the ROC curve of the region's own linear
# model on all rows.

regions = linear_regions(model, X, y, n_regions=8)
print(
    regions[["count", "share", "response_mean", "log_loss", "auc", "auc_all"]]
    .round(3)
    .to_string()
)

# %%
# What would have to change
# -------------------------
# The nearest point with the other label, for ten people whose scores are near -1. Columns that are encoded do not change,
# among them those of capital. Age is fixed, and the other numbers stay in the range of the training rows.

some = X_test.iloc[np.argsort(np.abs(scores + 1))[:10]]
numbers = ["education_num", "hr_per_week"]
found = nearest_counterfactual(
    model,
    some,
    fixed=["age"],
    bounds={name: (X[name].min(), X[name].max()) for name in numbers},
)
print(
    pd.concat(
        {
            "today": some[numbers],
            "nearest with >50K": found.points[numbers].round(1),
        },
        axis=1,
    ).to_string()
)
assert (found.label[found.is_found] != model.predict(some)[found.is_found]).all()

# %%
# Five logistic regressions
# -------------------------
# Regions whose linear models are alike are merged, and each group gets one logistic regression. The network still
# decides which one a row gets. What it costs is measured on the test rows.

rows = {
    "network": log_loss(y_test, model.predict_proba(X_test)),
    "one logistic regression": log_loss(
        y_test,
        make_pipeline(columns, LogisticRegression(max_iter=1000))
        .fit(X, y)
        .predict_proba(X_test),
    ),
}
simple = {n: simplify(model, X, y, n_regions=n) for n in (2, 5, 10)}
for n, classifier in simple.items():
    rows[f"simplified to {n} regions"] = log_loss(
        y_test, classifier.predict_proba(X_test)
    )
print(pd.Series(rows).round(4).to_string())

frame = simple[5].to_frame()
print(frame.iloc[:, :6].round(3).to_string())

plt.show()
