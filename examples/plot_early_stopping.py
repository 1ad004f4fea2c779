"""
Early stopping, or a penalty instead
====================================

After this page you can draw the loss of a fit, and choose between early stopping and a penalty. A fit can lower the
loss of its training rows while the loss of other rows rises. Early stopping holds some rows out, measures their
log-loss at each iterate of L-BFGS, and keeps the best iterate. A penalty of the right strength also prevents
overfitting, without held-out rows. With ``alpha="evidence"``, the default, the penalty is chosen from the training
rows. This page draws such fits with :class:`skrelu.inspection.LossCurveDisplay` and compares the models.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skrelu import DeepLogisticClassifier
from skrelu.inspection import LossCurveDisplay

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"

# %%
# The table
# ---------
# Half of the handwritten digits, each of 64 pixels, are training rows; the other half are test rows.

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X / X.max(), y, test_size=0.5, stratify=y, random_state=0
)
print(f"{len(X)} rows to fit, {len(X_test)} to test")


def test_loss(model):
    """Return the mean log-loss (nats) of the test rows."""
    return log_loss(y_test, model.predict_proba(X_test))


# %%
# Without a penalty
# -----------------
# Without early stopping the fit ends where the training loss cannot become much lower. With early stopping, a tenth of
# the rows is held out, and the fit ends when more than ``n_iter_no_change`` iterates in a row were not better on these.
# You can choose the held-out rows yourself: ``fit(X, y, X_val=..., y_val=...)``.

to_the_end = DeepLogisticClassifier(
    (50,), alpha=0, early_stopping=False, random_state=0
).fit(X, y)
stopped = DeepLogisticClassifier(
    (50,), alpha=0, early_stopping=True, random_state=0
).fit(X, y)
print(
    f"to the end: training loss {to_the_end.loss_:.6f}, "
    f"test loss {test_loss(to_the_end):.3f} nats"
)
print(
    f"stopped:    training loss {stopped.loss_:.6f}, "
    f"test loss {test_loss(stopped):.3f} nats"
)
assert test_loss(stopped) < test_loss(to_the_end)

# %%
# With the evidence
# -----------------
# All rows are fitted. Alpha is updated again and again, until weights and alpha rest together. Then fits with half or
# twice the alphas are compared with this one, and the best is kept.

by_evidence = [
    DeepLogisticClassifier((50,), random_state=seed).fit(X, y) for seed in range(3)
]
print(
    f"evidence:   training loss {by_evidence[0].loss_:.6f}, "
    f"test loss {test_loss(by_evidence[0]):.3f} nats"
)
assert test_loss(by_evidence[0]) < test_loss(stopped)

# %%
# With a fixed penalty
# --------------------
# For each of several alphas there are three starts and, with early stopping, three choices of the held-out rows. Early
# stopping reduces the harm of a weak alpha. It has a price: fewer rows are fitted, and few rows decide which iterate is
# best. If alpha is about right, it is better to go to the end.

alphas = np.logspace(-5, 1, 7)


def losses_of_starts(alpha, early_stopping):
    """Return the test loss for each of three random states."""
    model = DeepLogisticClassifier(
        (50,), alpha=alpha, early_stopping=early_stopping, max_iter=1000
    )
    return [
        test_loss(model.set_params(random_state=seed).fit(X, y))
        for seed in range(3)
    ]


losses = {
    early_stopping: np.array(
        [losses_of_starts(alpha, early_stopping) for alpha in alphas]
    )
    for early_stopping in (False, True)
}
for early_stopping, name in ((False, "to the end"), (True, "stopped")):
    means = losses[early_stopping].mean(axis=1)
    print(
        f"{name + ':':11} best mean test loss {means.min():.3f} nats, "
        f"at alpha={alphas[means.argmin()]:g}"
    )
evidence_losses = np.array([test_loss(model) for model in by_evidence])
print(f"evidence:   mean test loss {evidence_losses.mean():.3f} nats")
assert losses[False].mean(axis=1).min() < losses[True].mean(axis=1).min()

# %%
# The loss curves
# ---------------
# A display marks the iterate that was kept. The first two fits have no penalty. In the third the training loss includes
# the penalty, so it rises or falls where alpha does. If it falls sharply after the mark, the quarter of alpha was tried
# and not kept. The fourth picture has the test loss over alpha: the mean and the range of the three starts.

figure, panels = plt.subplots(2, 2, figsize=(10, 8.5), layout="constrained")
(end, stop), (evidence, fixed) = panels
LossCurveDisplay.from_estimator(to_the_end, ax=end, name="alpha=0, to the end")
LossCurveDisplay.from_estimator(stopped, ax=stop, name="alpha=0, early stopping")
LossCurveDisplay.from_estimator(
    by_evidence[0], ax=evidence, name='alpha="evidence"'
)
for panel in (stop, evidence):
    panel.set_ylim(1e-3, 4)

for early_stopping, color, style, label in (
    (False, ORANGE, "s-", "to the end"),
    (True, BLUE, "o--", "early stopping"),
):
    values = losses[early_stopping]
    fixed.fill_between(
        alphas,
        values.min(axis=1),
        values.max(axis=1),
        color=color,
        alpha=0.25,
        linewidth=0,
    )
    fixed.plot(alphas, values.mean(axis=1), style, color=color, label=label)
fixed.axhspan(
    evidence_losses.min(),
    evidence_losses.max(),
    color=GREEN,
    alpha=0.25,
    linewidth=0,
)
fixed.axhline(
    evidence_losses.mean(), color=GREEN, linestyle="-.", label='alpha="evidence"'
)
fixed.set(
    xscale="log",
    yscale="log",
    xlabel="alpha",
    ylabel="test log-loss (nats)",
    title=f"{len(X_test)} digits never seen",
)
ticks = [0.1, 0.2, 0.3, 0.5, 0.7]
fixed.set_yticks(ticks, labels=[str(tick) for tick in ticks])
fixed.set_yticks([], minor=True)
fixed.legend()

plt.show()
