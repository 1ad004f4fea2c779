"""
Watch a fit, and end it, with callbacks
=======================================

After this page you can watch a fit with scikit-learn's callbacks, and write your own to record it or end it early. A
callback is an object that an estimator calls while it is fitted. With :class:`skrelu.DeepLogisticClassifier` every
iterate of L-BFGS is a separate task, so a callback gets the model after each iteration. This page uses two of
scikit-learn's callbacks, ``ProgressBar`` and ``ScoringMonitor``, and writes two others.
"""

import time

import matplotlib.patheffects as patheffects
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split

from skrelu import DeepLogisticClassifier

BLUE, ORANGE = "#0072B2", "#D55E00"
# After Paul Tol.
MUTED = (
    "#332288 #88CCEE #44AA99 #117733 #999933 "
    "#DDCC77 #CC6677 #882255 #AA4499 #777777"
)
PALETTE = np.array([to_rgb(color) for color in MUTED.split()])

# %%
# Digits in a plane
# -----------------
# A prediction can be drawn as a map if there are only two features. So the 64 pixels are reduced to the two directions
# that linear discriminant analysis finds in the training rows, which are half of all rows. The other half is for
# validation. Without a penalty a network of this size can learn the training rows by heart.

X, y = load_digits(return_X_y=True)
X, X_val, y, y_val = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
plane = LinearDiscriminantAnalysis(n_components=2).fit(X, y)
X, X_val = plane.transform(X), plane.transform(X_val)
model = DeepLogisticClassifier(
    (50, 50), alpha=0, early_stopping=False, random_state=0
)

# %%
# A score at each iterate
# -----------------------
# ``ScoringMonitor`` scores the model of each task on the rows passed to ``fit``. Its ``scoring`` may be a function that
# returns several scores, and this function can use other rows too.


def log_losses(model, X, y):
    """Return the mean log-loss (nats) of the training and of the validation rows."""
    return {
        "training": log_loss(y, model.predict_proba(X)),
        "validation": log_loss(y_val, model.predict_proba(X_val)),
    }


monitor = ScoringMonitor(scoring=log_losses)

# %%
# Callbacks of your own
# ---------------------
# A callback is an object with four methods.
# ``on_fit_task_end`` can have four more arguments: ``X``, ``y``, ``metadata`` and ``fitted_estimator``. If it returns
# True, the fit ends, keeps its current iterate and gives no warning.


class TimeLimit:
    """End a fit at the first iterate after some seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    def setup(self, estimator, context):
        self.end = time.perf_counter() + self.seconds

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return time.perf_counter() > self.end


# %%
# The next callback uses ``fitted_estimator``, a copy of the model that is ready to predict. The fit as a whole is a
# task too, with the name ``"fit"``, and ends after the last iterate.


class Snapshots:
    """Keep the models of some iterates, and end the fit after the last of them."""

    def __init__(self, iterates):
        self.iterates = iterates

    def setup(self, estimator, context):
        self.n_iter, self.models = 0, {}

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "iterate":
            return False
        self.n_iter += 1
        if self.n_iter in self.iterates:
            self.models[self.n_iter] = fitted_estimator
        return self.n_iter == max(self.iterates)


# %%
# The fits
# --------
# ``ProgressBar`` needs the package ``rich``. In a terminal or a notebook its bar moves; this page shows its last state.
# A fit that ends before ``max_iter`` counts as complete.

snapshots = Snapshots((5, 40, 300))
model.set_callbacks(ProgressBar(), monitor, snapshots).fit(X, y)
print(f"{model.n_iter_} iterates: {model.optimize_result_.message}")

# %%
# How many iterates a time limit allows depends on the machine.

model.set_callbacks(TimeLimit(seconds=0.2)).fit(X, y)
assert model.optimize_result_.status == 99
print(f"{model.n_iter_} iterates: {model.optimize_result_.message}")

# %%
# A progress bar belongs to the outermost estimator, here a search. It shows a bar for each nested task, down to the
# level ``max_propagation_depth``.

search = GridSearchCV(
    DeepLogisticClassifier((20,), random_state=0), {"alpha": [0.1, 1, 10]}, cv=3
)
search.set_callbacks(ProgressBar(max_propagation_depth=0)).fit(X, y)
print(search.best_params_)

# %%
# The scores, and the models on the way
# -------------------------------------
# ``get_logs`` returns one entry for each task. In the maps the color is the most probable digit according to the model,
# paler where the model is less sure. The dots are the training rows.

log = [row for row in monitor.get_logs().data if row["task_name"] == "iterate"]
assert len(log) == max(snapshots.iterates)
n_iter = np.arange(1, len(log) + 1)
curves = {
    name: np.array([row[name] for row in log])
    for name in ("training", "validation")
}
best = int(curves["validation"].argmin())
print(
    "lowest validation log-loss: "
    f"{curves['validation'][best]:.3f} nats after {n_iter[best]} iterates"
)
for number, kept in snapshots.models.items():
    print(
        f"after {number:3}: "
        f"{log_loss(y_val, kept.predict_proba(X_val)):.3f} nats, "
        f"{kept.score(X_val, y_val):.1%} right"
    )

figure, panels = plt.subplots(2, 2, figsize=(9.5, 9), layout="constrained")
scores, *maps = panels.flat
for (name, losses), color, style in zip(
    curves.items(), (BLUE, ORANGE), ("-", "--"), strict=True
):
    scores.plot(n_iter, losses, style, color=color, label=name)
for number in snapshots.models:
    scores.axvline(number, color="black", linewidth=1, linestyle=":")
    scores.text(
        number,
        1.01,
        str(number),
        ha="center",
        transform=scores.get_xaxis_transform(),
    )
scores.set(
    xscale="log",
    yscale="log",
    xlabel="iterate of L-BFGS",
    ylabel="log-loss (nats)",
    box_aspect=1,
)
ticks = [0.3, 0.5, 1, 2, 3]
scores.set_yticks(ticks, labels=[str(tick) for tick in ticks])
scores.set_yticks([], minor=True)
scores.legend(loc="lower left")

low, high = X.min(axis=0) - 0.5, X.max(axis=0) + 0.5
axes = [np.linspace(low[j], high[j], 300) for j in range(2)]
points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
for (number, kept), panel in zip(snapshots.models.items(), maps, strict=True):
    p = kept.predict_proba(points)
    sure = p.max(axis=1, keepdims=True)
    image = 1 - sure * (1 - PALETTE[p.argmax(axis=1)])
    panel.imshow(
        image.reshape(300, 300, 3),
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        aspect="auto",
    )
    panel.scatter(*X.T, c=PALETTE[y], s=7, edgecolors="black", linewidths=0.3)
    for digit in range(10):
        side = {5: "top", 9: "bottom"}.get(
            digit, "center"
        )  # these two lie on each other
        text = panel.text(
            *np.median(X[y == digit], axis=0),
            str(digit),
            fontsize=16,
            ha="center",
            va=side,
        )
        text.set_path_effects(
            [patheffects.withStroke(linewidth=3, foreground="white")]
        )
    panel.set(
        title=f"iterate {number}",
        box_aspect=1,
        xlabel="first discriminant",
        ylabel="second discriminant",
    )

plt.show()
