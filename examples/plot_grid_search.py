"""
A grid search over depth and alpha, or the evidence instead
===========================================================

After this page you can search for the number of hidden layers, their units and the penalty, and decide whether you need
the search. :class:`sklearn.model_selection.GridSearchCV` fits every combination to parts of the training rows and
measures it on the others. It does so for a pipeline with :class:`skrelu.DeepLogisticClassifier` as for any other. The
default, alpha chosen by the evidence, takes one fit. This page does both on the same rows and compares the results.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"

# %%
# The search
# ----------
# Half of the rows of breast_cancer are for the search, half for the test. The grid has two alphas for each power of
# ten, and five shapes of the network. The scaler is a step of the pipeline, so it never uses the rows on which a fold
# is measured. The score is the log-loss, because the fit minimises it, and because it judges the probability itself.
# Accuracy only asks on which side of 1/2 the probability is.
#
# With a fixed alpha, a fit by default also holds rows out and stops early. Early stopping acts like a second penalty
# besides the one in the grid, so it is switched off. ``n_jobs=2`` is for the search; joblib then gives each fit its
# part of the processors.

X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)

SHAPES = [(), (10,), (30,), (10, 10), (30, 30)]
ALPHAS = np.logspace(-2, 2, 9)
fixed = make_pipeline(
    StandardScaler(),
    DeepLogisticClassifier(
        alpha=1, early_stopping=False, max_iter=2000, random_state=0
    ),
)
search = GridSearchCV(
    fixed,
    {
        "deeplogisticclassifier__alpha": ALPHAS,
        "deeplogisticclassifier__hidden_layer_sizes": SHAPES,
    },
    scoring="neg_log_loss",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    n_jobs=2,
)
start = perf_counter()
search.fit(X, y)
seconds_of_search = perf_counter() - start

# The grid's combinations come in the order of the parameters' names: alpha first,
# the shape changes faster.
cv_losses = -search.cv_results_["mean_test_score"].reshape(len(ALPHAS), len(SHAPES))
best_row, best_column = np.unravel_index(search.best_index_, cv_losses.shape)
assert (
    search.best_params_["deeplogisticclassifier__hidden_layer_sizes"]
    == SHAPES[best_column]
)
assert search.best_params_["deeplogisticclassifier__alpha"] == ALPHAS[best_row]
print(
    f"{cv_losses.size} combinations, "
    f"{cv_losses.size * search.n_splits_} fits and one to all rows, in "
    f"{seconds_of_search:.1f} s\n"
    f"lowest log-loss over the folds: {cv_losses.min():.3f} nats, "
    f"alpha {ALPHAS[best_row]:.2g}, {SHAPES[best_column]}"
)

# %%
# The evidence
# ------------
# There is one fit for each shape, to the whole training half. ``alpha_grouping="shared"`` finds one alpha for all
# weights, like the grid. The default finds one for each feature.


def by_evidence(shape, alpha_grouping):
    """Return the pipeline fitted with alpha chosen by the evidence."""
    classifier = DeepLogisticClassifier(
        shape, alpha_grouping=alpha_grouping, max_iter=2000, random_state=0
    )
    return make_pipeline(StandardScaler(), classifier).fit(X, y)


start = perf_counter()
shared = [by_evidence(shape, "shared") for shape in SHAPES]
by_feature = [by_evidence(shape, "feature") for shape in SHAPES]
print(f"{2 * len(SHAPES)} fits in {perf_counter() - start:.1f} s")

# %%
# The map
# -------
# Each cell is a combination, and its number is the mean log-loss over the five folds. The square is the cell chosen by
# the search. The stars are the shared alphas chosen by the evidence, one for each shape.

figure, panel = plt.subplots(figsize=(7.4, 7), layout="constrained")
rows = np.arange(len(ALPHAS))
image = panel.imshow(
    cv_losses, norm=LogNorm(vmax=0.3), cmap="cividis", aspect="auto", origin="lower"
)
for (row, column), loss in np.ndenumerate(cv_losses):
    color = "white" if image.norm(loss) < 0.5 else "black"
    panel.text(
        column - 0.12, row, f"{loss:.3f}", ha="center", va="center", color=color
    )
at_search = Rectangle(
    (best_column - 0.47, best_row - 0.47),
    0.94,
    0.94,
    fill=False,
    edgecolor=ORANGE,
    linewidth=3.5,
)
panel.add_patch(at_search)
height = [
    np.interp(np.log(model[-1].alpha_), np.log(ALPHAS), rows) for model in shared
]
(stars,) = panel.plot(
    np.arange(len(SHAPES)) + 0.31,
    height,
    "*",
    color="white",
    markeredgecolor="black",
    markersize=17,
)
panel.set_xticks(range(len(SHAPES)), labels=[str(shape) for shape in SHAPES])
panel.set_yticks(
    rows,
    labels=[f"{alpha:.2g}" if alpha < 10 else f"{alpha:.0f}" for alpha in ALPHAS],
)
panel.set(
    xlabel="hidden_layer_sizes",
    ylabel="alpha",
    title="Log-loss by five-fold cross-validation (nats)",
)
bar = figure.colorbar(image, ax=panel, extend="max", label="mean log-loss (nats)")
bar.set_ticks([0.1, 0.15, 0.2, 0.3], labels=["0.1", "0.15", "0.2", "0.3"])
bar.minorticks_off()
figure.legend(
    [at_search, stars],
    ["chosen by the search", 'alpha="evidence", shared'],
    loc="outside lower center",
    ncols=2,
)

# %%
# In each column, the log-loss of the cell nearest to the star is not far from the lowest one.

nearest = cv_losses[np.round(height).astype(int), np.arange(len(SHAPES))]
ratio = nearest / cv_losses.min(axis=0)
print("the star's cell / the lowest of its column:", *ratio.round(2))
assert ratio.max() < 1.2

# %%
# On the test rows
# ----------------
# The lowest of 45 means is low partly by chance, so the folds are too optimistic about the chosen combination; the test
# rows are not. Each model's loss is compared with that of the search row by row. This removes the differences between
# easy and difficult rows. The bars are two standard errors of the mean difference. "Grid" is the best alpha of each
# shape over the folds.


def row_losses(model):
    """Return the log-loss of each test row (nats)."""
    return -model.predict_log_proba(X_test)[np.arange(len(y_test)), y_test]


def at_grid_point(shape, alpha):
    """Return the pipeline fitted to the training half with this shape and alpha."""
    parameters = {
        "deeplogisticclassifier__hidden_layer_sizes": shape,
        "deeplogisticclassifier__alpha": alpha,
    }
    return clone(fixed).set_params(**parameters).fit(X, y)


kinds = {
    "grid": [
        at_grid_point(*each)
        for each in zip(SHAPES, ALPHAS[cv_losses.argmin(axis=0)], strict=True)
    ],
    "evidence, shared": shared,
    "evidence, per feature": by_feature,
}
of_search = row_losses(search)
standard_error = of_search.std() / np.sqrt(len(y_test))
print(
    f"the search: test log-loss {of_search.mean():.3f} nats, "
    f"standard error {standard_error:.3f}"
)
print(f"{'test log-loss (nats)':21}" + "".join(f"{shape!s:>9}" for shape in SHAPES))
for name, models in kinds.items():
    print(
        f"{name:21}"
        + "".join(f"{row_losses(model).mean():9.3f}" for model in models)
    )
print(
    f"{'  its log evidence':21}"
    + "".join(f"{model[-1].log_evidence_:9.1f}" for model in by_feature)
)

figure, panel = plt.subplots(figsize=(7.4, 5), layout="constrained")
styles = {
    "grid": (BLUE, "s"),
    "evidence, shared": (ORANGE, "*"),
    "evidence, per feature": (GREEN, "o"),
}
for offset, (name, models) in zip((-0.2, 0, 0.2), kinds.items(), strict=True):
    differences = np.array([row_losses(model) - of_search for model in models])
    color, marker = styles[name]
    panel.errorbar(
        np.arange(len(SHAPES)) + offset,
        differences.mean(axis=1),
        2 * differences.std(axis=1) / np.sqrt(len(y_test)),
        fmt=marker,
        markersize=11 if marker == "*" else 7,
        color=color,
        capsize=3,
        label=name,
    )
panel.axhline(0, color="black", linewidth=0.8)
panel.set_xticks(range(len(SHAPES)), labels=[str(shape) for shape in SHAPES])
panel.set(
    xlabel="hidden_layer_sizes",
    ylabel="difference (nats), 2 standard errors",
    title="Test log-loss against the search: lower is better",
)
panel.legend()

# %%
# In every line of the printed table the network without a hidden layer has the highest loss. Among the networks with
# hidden layers, the test rows show no clear difference between search and evidence: every difference of the means is
# smaller than the standard error of the search's own loss.

for models in kinds.values():
    losses = np.array([row_losses(model).mean() for model in models])
    assert losses.argmax() == 0
    assert np.abs(losses[1:] - of_search.mean()).max() < standard_error

# %%
# The last printed line is a warning. By the evidence, the most probable shape is the one with the highest log evidence.
# Here that is the network without a hidden layer, and both the folds and the test rows disagree. Use the evidence for
# alpha, where it can choose one for each feature, too many for a grid. For the shape use a search, with
# ``alpha="evidence"`` in each fit.

assert np.argmax([model[-1].log_evidence_ for model in by_feature]) == 0

plt.show()
