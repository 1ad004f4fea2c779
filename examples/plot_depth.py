"""
Two moons, and what depth does to the boundary
==============================================

After this page you can draw the activation regions of a network, compute its linear model in each of them, and see the
effect of more layers. The boundary of logistic regression is one straight line. With hidden layers of ReLU units the
boundary consists of straight pieces, exactly: the network cuts the plane into polygons, and in each polygon its score is
linear in x. This page draws the polygons of networks with no, one, two and three hidden layers, and follows the score
along a line.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skrelu import DeepLogisticClassifier
from skrelu.inspection import LinearRegionsDisplay, local_linear_models

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"

# %%
# Four depths
# -----------
# There are 400 training rows. The differences between the deeper networks are small, so there are 2000 test rows.
# Networks this small have many minima, and some are bad. So each network is fitted from ten random starts, and the fit
# with the highest evidence is kept; the test rows are not used for this choice. The first network has no hidden layer,
# and only one minimum. The printed figures are in nats:

X, y = make_moons(2400, noise=0.2, random_state=0)
X, X_test, y, y_test = train_test_split(X, y, train_size=400, random_state=0)

models = [
    DeepLogisticClassifier(
        hidden_layer_sizes, n_init=10, max_iter=2000, random_state=0
    ).fit(X, y)
    for hidden_layer_sizes in [(), (8,), (8, 8), (8, 8, 8)]
]
losses = [log_loss(y_test, model.predict_proba(X_test)) for model in models]
for model, loss in zip(models, losses, strict=True):
    print(
        f"{model.hidden_layer_sizes!s:9}  test log-loss {loss:.3f}, "
        f"log evidence {model.log_evidence_:6.1f} nats"
    )

# %%
# The regions
# -----------
# The output of a hidden unit is max(0, z), where z is its input. In the first layer z is linear in x, so each unit
# switches along a straight line. In the second layer z is linear in the outputs of the first layer, so the line bends
# where a unit of the first layer switches; and so on. :class:`skrelu.inspection.LinearRegionsDisplay` computes the
# polygons between these lines from the weights, layer by layer. The shading is the probability of class 1, and the black
# line is the boundary, where it is 1/2.

figure, panels = plt.subplots(
    2, 2, figsize=(8, 8), sharex=True, sharey=True, layout="constrained"
)
displays = []
for panel, model, loss in zip(panels.flat, models, losses, strict=True):
    display = LinearRegionsDisplay.from_estimator(model, X, y, ax=panel)
    # One legend and one colour bar are enough for four panels.
    display.legend_.axes.remove()
    display.colorbar_.remove()
    panel.set_title(
        f"{model.hidden_layer_sizes}: {len(display.polygons)} region(s)\n"
        f"test log-loss {loss:.3f} nats"
    )
    panel.label_outer()
    displays.append(display)
figure.colorbar(
    displays[-1].image_,
    ax=panels,
    label="probability of class 1",
    location="bottom",
    shrink=0.6,
    aspect=40,
)

# %%
# In a polygon the score is coef * x + intercept. The display has these numbers for each polygon, and
# :func:`skrelu.inspection.local_linear_models` for each row. They agree with the scores to rounding:

for model in models:
    local = local_linear_models(model, X_test)
    linear = (local.coef * X_test).sum(axis=1) + local.intercept
    error = np.abs(linear - model.decision_function(X_test)).max()
    print(
        f"{model.hidden_layer_sizes!s:9}  test rows in {local.region.max() + 1:2} "
        f"region(s), linear to {error:.0e}"
    )
    assert error < 1e-9

# %%
# On this table most of the gain comes from the first hidden layer. More layers make more polygons. But at many lines
# the score hardly bends, or it bends where the probability is nearly 0 or 1 already. More polygons need not give better
# probabilities on test rows: compare the titles of the pictures and the evidence printed above. Two moons are a simple
# shape. To choose the depth for your data, see :ref:`sphx_glr_auto_examples_plot_grid_search.py`.

assert losses[0] > 2 * max(losses[1:])

# %%
# Along a line
# ------------
# This is the score along a line through both moons. It consists of straight pieces, and bends only at the marks, where
# a unit switches.

HEIGHT = 0.25
line = np.column_stack([np.linspace(-1.9, 2.9, 4801), np.full(4801, HEIGHT)])

figure, panel = plt.subplots(figsize=(9, 5), layout="constrained")
styles = [("black", ":"), (BLUE, "-"), (ORANGE, "--"), (GREEN, "-.")]
for model, (color, style) in zip(models, styles, strict=True):
    scores = model.decision_function(line)
    panel.plot(
        line[:, 0],
        scores,
        style,
        color=color,
        linewidth=2,
        label=f"{model.hidden_layer_sizes}",
    )
    region = local_linear_models(model, line).region
    switches = np.flatnonzero(region[1:] != region[:-1])
    panel.plot(line[switches, 0], scores[switches], "o", color=color, markersize=5)
panel.axhline(0, color="black", linewidth=0.8)
panel.set(
    xlabel=f"feature 0, at feature 1 = {HEIGHT}",
    ylabel="score: log-odds of class 1 (nats)",
    title="Scores are chains of straight lines",
)
panel.legend(title="hidden_layer_sizes")

plt.show()
