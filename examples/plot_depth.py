"""
Two moons, and what depth does to the boundary
==============================================

Logistic regression divides the plane by one straight line. With hidden layers of ReLU units the boundary is made of
straight pieces, exactly: the network divides the plane into polygons, in each of which its score is linear in x. This
page draws the polygons of networks with no, one, two and three hidden layers, and follows the score along a line.
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
# 400 rows to fit, and 2000 that no fit sees, as the differences between the deeper networks are small. Networks this
# small have minima of their own that are not good ones, so each is fitted from ten random starts, and the one of the
# highest evidence is kept; the test rows have no part in it. The first network has no hidden layer, and one minimum.
# Printed in nats:

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
# What a unit of a hidden layer passes on is max(0, z), with z its input. z = 0 is where it switches. In the first layer
# z is linear in x, so this is a straight line. In the second layer z is linear in what the first passes on, so the line
# bends where a unit of the first layer switches; and so on.
#
# ``coefs_`` and ``intercepts_`` hold all there is to know: here are the inputs of each layer, the score being the last.


def layer_inputs(model, points):
    """Return the inputs of each hidden layer and the score, from the weights alone."""
    z, inputs = points, []
    for coef, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        inputs.append(z @ coef + intercept)
        z = np.maximum(inputs[-1], 0)
    return inputs


# %%
# Which units are switched on is the same throughout a polygon. There each of them passes its input on as it is and
# every other passes 0, so each layer is a matrix and an offset, and so are all of them together: the score is
# slope * x + offset. Multiplied out for the largest polygon of each network, and compared with the score all over it:


def slope_and_offset(model, is_on):
    """Return the score's slope and offset where the units `is_on`, a mask for each
    hidden layer, are switched on."""
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
# Shading is the probability of the black class, the black line the boundary, probability 1/2. Coloured lines are where
# units switch. Between two crossings with them the boundary is straight, and so are all other lines of equal
# probability, parallel to it within a polygon.

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
# Most of what is to be gained here is gained by the first hidden layer. More layers make more polygons, but at many
# lines the score hardly bends, or bends where the probability is next to 0 or 1 already. More polygons need not make
# better probabilities of rows never seen: the titles and the evidence printed above tell whether they do here. Two
# moons are a simple shape; how deep a network should be is for the data to say, see
# :ref:`sphx_glr_auto_examples_plot_grid_search.py`.

assert losses[0] > 2 * max(losses[1:])

# %%
# Along a line
# ------------
# The score on the way through both moons. It is a chain of straight lines, and it bends only at the marks, where a unit
# switches.

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
