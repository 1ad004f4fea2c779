"""
Two moons, and what depth does to the boundary
==============================================

After this page you can compute and draw where the units of a network switch, and see the effect of more layers. The
boundary of logistic regression is one straight line. With hidden layers of ReLU units the boundary consists of straight
pieces, exactly: the network cuts the plane into polygons, and in each polygon its score is linear in x. This page draws
the polygons of networks with no, one, two and three hidden layers, and follows the score along a line.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from sklearn.datasets import make_moons
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skrelu import DeepLogisticClassifier

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
# Where units switch
# ------------------
# The output of a hidden unit is max(0, z), where z is its input. The unit switches where z = 0. In the first layer z is
# linear in x, so the unit switches along a straight line. In the second layer z is linear in the outputs of the first
# layer, so the line bends where a unit of the first layer switches; and so on.
#
# ``coefs_`` and ``intercepts_`` define the network completely. The function computes the input of each hidden layer
# and, last, the score.


def layer_inputs(model, points):
    """Return the inputs of each hidden layer and the score, from the weights alone."""
    z, inputs = points, []
    for coef, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        inputs.append(z @ coef + intercept)
        z = np.maximum(inputs[-1], 0)
    return inputs


# %%
# Within a polygon the same units are active everywhere. The output of an active unit is its input, and the output of
# any other unit is 0. So each layer is a matrix and an offset, and so are all layers together: the score is slope * x +
# offset. The cell computes slope and offset for the largest polygon of each network, and compares the result with the
# score everywhere in the polygon:


def slope_and_offset(model, is_on):
    """Return the score's slope and offset where the units in `is_on`, a mask for
    each hidden layer, are active."""
    slope, offset = model.coefs_[0], model.intercepts_[0]
    for on, coef, intercept in zip(
        is_on, model.coefs_[1:], model.intercepts_[1:], strict=True
    ):
        slope, offset = (slope * on) @ coef, (offset * on) @ coef + intercept
    return slope, offset


axes = np.linspace(-1.9, 2.9, 481), np.linspace(-1.5, 2.0, 351)
points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
n_regions = []
for model in models:
    *hidden, scores = layer_inputs(model, points)
    assert np.allclose(
        scores.ravel(), model.decision_function(points), rtol=1e-9, atol=1e-9
    )
    pattern = np.column_stack(
        [np.zeros((len(points), 0)), *[z > 0 for z in hidden]]
    )
    _, first, region, count = np.unique(
        pattern, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    n_regions.append(len(count))
    largest = count.argmax()
    slope, offset = slope_and_offset(model, [z[first[largest]] > 0 for z in hidden])
    inside = region.ravel() == largest
    error = np.abs(points[inside] @ slope + offset - scores[inside]).max()
    print(
        f"{model.hidden_layer_sizes!s:9}  polygons: {len(count):2}, "
        f"the largest {count.max() / len(points):4.0%} of "
        f"the area; linear to {error:.0e}"
    )
    assert error < 1e-9

# %%
# The pictures
# ------------
# The shading is the probability of the black class. The black line is the boundary, where the probability is 1/2. Units
# switch at the coloured lines. Between two crossings with them the boundary is straight. So are all other lines of
# equal probability, and within a polygon they are parallel to the boundary.

LAYERS = [(BLUE, "-"), (ORANGE, "--"), (GREEN, "-.")]

figure, panels = plt.subplots(
    2, 2, figsize=(9, 9), sharex=True, sharey=True, layout="constrained"
)
figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
for panel, model, loss, n_polygons in zip(
    panels.flat, models, losses, n_regions, strict=True
):
    probability = model.predict_proba(points)[:, 1].reshape(len(axes[1]), -1)
    image = panel.pcolormesh(
        *axes,
        probability,
        cmap="PuOr_r",
        vmin=0,
        vmax=1,
        alpha=0.5,
        rasterized=True,
    )
    *hidden, scores = layer_inputs(model, points)
    for inputs, (color, style) in zip(hidden, LAYERS, strict=False):
        for unit in inputs.T:
            if unit.min() < 0 < unit.max():
                panel.contour(
                    *axes,
                    unit.reshape(probability.shape),
                    [0],
                    colors=color,
                    linestyles=style,
                    linewidths=1.2,
                )
    panel.contour(
        *axes, scores.reshape(probability.shape), [0], colors="black", linewidths=3
    )
    panel.scatter(
        *X.T,
        c=y,
        s=12,
        cmap=ListedColormap(["white", "black"]),
        edgecolors="black",
        linewidths=0.5,
    )
    panel.set(
        aspect="equal",
        title=f"hidden_layer_sizes={model.hidden_layer_sizes}\n"
        f"polygons: {n_polygons}, test log-loss: {loss:.3f} nats",
    )
for panel in panels[1]:
    panel.set_xlabel("feature 0")
for panel in panels[:, 0]:
    panel.set_ylabel("feature 1")
figure.colorbar(
    image,
    ax=panels,
    label="probability of the black class",
    location="bottom",
    shrink=0.6,
    aspect=40,
)
figure.legend(
    [Line2D([], [], color="black", linewidth=3)]
    + [Line2D([], [], color=color, linestyle=style) for color, style in LAYERS],
    ["probability 1/2"]
    + [f"a unit of hidden layer {layer} switches" for layer in (1, 2, 3)],
    loc="outside upper center",
    ncols=2,
)

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
styles = [("black", ":"), *LAYERS]
for model, (color, style) in zip(models, styles, strict=True):
    *hidden, scores = layer_inputs(model, line)
    panel.plot(
        line[:, 0],
        scores,
        style,
        color=color,
        linewidth=2,
        label=f"{model.hidden_layer_sizes}",
    )
    switches = np.zeros(len(line) - 1, dtype=bool)
    for inputs in hidden:
        switches |= np.diff(inputs > 0, axis=0).any(axis=1)
    panel.plot(
        line[:-1][switches, 0],
        scores[:-1][switches],
        "o",
        color=color,
        markersize=5,
    )
panel.axhline(0, color="black", linewidth=0.8)
panel.set(
    xlabel=f"feature 0, at feature 1 = {HEIGHT}",
    ylabel="score: log-odds of the black class (nats)",
    title="Scores are chains of straight lines",
)
panel.legend(title="hidden_layer_sizes")

plt.show()
