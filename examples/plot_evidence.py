"""
Alpha converges and overfitting disappears on a small noisy table
=================================================================

After this page you can follow how a fit chooses alpha, and compare the result with fixed alphas. A network of 100 units
has 3,201 parameters, and the table here has 300 training rows. Of 30 features 5 matter, and a fifth of the rows have a
random label. With a weak penalty the network learns the training rows by heart. Its probabilities for new rows are then
worse than always predicting 1/2. With ``alpha="evidence"``, the default, the penalty is chosen from the training rows
alone, without a validation set. :doc:`/theory/evidence` derives the method.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skrelu import DeepLogisticClassifier

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"

# %%
# The table
# ---------
# Features 0 to 4 are informative, the other 25 are noise.

N_INFORMATIVE = 5
X, y = make_classification(
    600,
    30,
    n_informative=N_INFORMATIVE,
    n_redundant=0,
    flip_y=0.2,
    shuffle=False,
    random_state=0,
)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=0)


def test_loss(model):
    """Return the mean log-loss (nats) of the test rows."""
    return log_loss(y_test, model.predict_proba(X_test))


# %%
# Alpha chosen by the evidence
# ----------------------------
# By default every feature has its own alpha; ``alpha_grouping="shared"`` gives all weights the same one. Log-loss and
# evidence are in nats.

by_feature = DeepLogisticClassifier(max_iter=2000, random_state=0).fit(X, y)
shared = DeepLogisticClassifier(
    alpha_grouping="shared", max_iter=2000, random_state=0
).fit(X, y)
for name, model in (
    ("one alpha per feature", by_feature),
    ("one alpha for all", shared),
):
    print(
        f"{name:21}: test log-loss {test_loss(model):.3f}, "
        f"log evidence {model.log_evidence_:.1f}, "
        f"{model.n_effective_parameters_:.0f} effective parameters"
    )

# %%
# Alpha fixed
# -----------
# This is the same network without early stopping, for a grid of fixed alphas.

alphas = np.logspace(-4, 3, 22)
losses = [
    test_loss(
        DeepLogisticClassifier(
            alpha=alpha, early_stopping=False, max_iter=5000, random_state=0
        ).fit(X, y)
    )
    for alpha in alphas
]
best = int(np.argmin(losses))
print(
    f"{'best fixed alpha':21}: "
    f"test log-loss {losses[best]:.3f} nats at {alphas[best]:.3g}, "
    "chosen on the test rows"
)

# %%
# The rounds
# ----------
# ``evidence_curve_`` has, for the end of each round, the alphas of that round and the number of weights that the data
# determine. The fitted attributes add the values at the end of the fit.


def continued(model, name, attribute):
    """Return a column of evidence_curve_, with the value at the end of the fit added."""
    return np.concatenate(
        [model.evidence_curve_[name], [getattr(model, attribute)]]
    )


n_iter = continued(by_feature, "n_iter", "n_iter_")
feature_alphas = continued(by_feature, "alpha", "alpha_")[
    :, :-1
]  # the last one is that of the later layers
informative, noise = (
    feature_alphas[:, :N_INFORMATIVE],
    feature_alphas[:, N_INFORMATIVE:],
)

figure, ((rounds, effective), (fixed, relevance)) = plt.subplots(
    2, 2, figsize=(11.5, 8), layout="constrained"
)
figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)

rounds.fill_between(
    n_iter,
    *np.quantile(noise, [0.1, 0.9], axis=1),
    color=GREY,
    alpha=0.3,
    linewidth=0,
)
rounds.plot(
    n_iter,
    np.median(noise, axis=1),
    "o-",
    color=GREY,
    label="noise features: median, 10% to 90%",
)
rounds.plot(
    n_iter, informative[:, 0], color=ORANGE, label="each informative feature"
)
rounds.plot(n_iter, informative[:, 1:], color=ORANGE)
shared_n_iter = continued(shared, "n_iter", "n_iter_")
rounds.plot(
    shared_n_iter,
    continued(shared, "alpha", "alpha_"),
    "s--",
    color=BLUE,
    label="one for all weights",
)
rounds.set(
    yscale="log",
    xlabel="iterations of L-BFGS",
    ylabel="alpha",
    title="Alpha over the rounds",
)
rounds.legend()

for model, style, color, label in (
    (by_feature, "o-", GREEN, "one alpha per feature"),
    (shared, "s--", BLUE, "one alpha for all weights"),
):
    gammas = continued(model, "n_effective_parameters", "n_effective_parameters_")
    effective.plot(
        continued(model, "n_iter", "n_iter_"),
        gammas,
        style,
        color=color,
        label=label,
    )
effective.set(
    ylim=(0, None),
    xlabel="iterations of L-BFGS",
    ylabel="effective parameters",
    title="Well-determined weights, of 3,100",
)
effective.legend()

fixed.plot(alphas, losses, ".-", color=GREY, label="fixed alpha")
fixed.axhline(
    test_loss(by_feature), color=GREEN, label="evidence, one alpha per feature"
)
fixed.plot(
    shared.alpha_,
    test_loss(shared),
    "s",
    color=BLUE,
    markersize=8,
    label="evidence, one alpha for all weights",
)
fixed.axhline(np.log(2), color="black", linestyle=":", label="always 1/2")
fixed.set(
    xscale="log",
    yscale="log",
    xlabel="alpha",
    ylabel="test log-loss (nats)",
    title="Log-loss of 300 rows never seen",
)
ticks = [0.5, 0.7, 1, 2, 3]
fixed.set_yticks(ticks, labels=[str(tick) for tick in ticks])
fixed.set_yticks([], minor=True)
fixed.legend()

is_informative = np.arange(X.shape[1]) < N_INFORMATIVE
for chosen, color, label in (
    (is_informative, ORANGE, "informative"),
    (~is_informative, GREY, "noise"),
):
    relevance.bar(
        np.flatnonzero(chosen),
        by_feature.feature_relevance_[chosen],
        color=color,
        label=label,
    )
relevance.axhline(
    1 / X.shape[1], color="black", linestyle=":", linewidth=1, label="all alike"
)
relevance.set(
    ylim=(0, 1.35 * by_feature.feature_relevance_.max()),
    xlabel="feature",
    ylabel="relevance (sum 1)",
    title="feature_relevance_, gamma / alpha over its sum",
)
relevance.legend(ncols=3, loc="upper right")

plt.show()
