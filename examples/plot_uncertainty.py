"""
How sure is the model, far from the data?
=========================================

After this page you can compare the probabilities of ``predictive="map"`` and ``predictive="laplace"`` far from the
training rows. There a ReLU network is linear in x, so its score grows without bound. Its probability tends to 0 or 1,
although there are no training rows. The standard deviation of the score grows as fast. With ``predictive="laplace"``
the score is divided by a number that grows with this standard deviation and, beyond the training rows, faster. So the
probability tends to 1/2. :doc:`/uncertainty` derives both.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn.datasets import make_moons

from skrelu import DeepLogisticClassifier

BLUE, ORANGE = "#0072B2", "#D55E00"

# %%
# Two moons
# ---------
# The table has 200 rows. The network has two hidden layers, and the evidence chooses its alphas.

X, y = make_moons(200, noise=0.2, random_state=0)
model = DeepLogisticClassifier((20, 20), max_iter=2000, random_state=0).fit(X, y)
n_weights = sum(coef.size for coef in model.coefs_)
print(
    f"{model.n_effective_parameters_:.1f} effective parameters of {n_weights} weights"
)


def probabilities(points, predictive):
    """Return the probability of the second class."""
    return model.set_params(predictive=predictive).predict_proba(points)[:, 1]


# %%
# A wide area
# -----------
# The moons lie within two units of the origin. `predictive` is read at prediction, so one fit is enough for both: "map"
# is the probability at the fitted weights, "laplace" the moderated one.

axis = np.linspace(-8, 8, 161)
points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def draw(panel, values, title, **style):
    """Draw one value for each point, and the rows on top."""
    image = panel.pcolormesh(
        axis, axis, values.reshape(len(axis), -1), vmin=0, rasterized=True, **style
    )
    panel.scatter(
        *X.T,
        c=y,
        s=9,
        cmap=ListedColormap(["white", "black"]),
        edgecolors="black",
        linewidths=0.5,
    )
    panel.set(box_aspect=1, xlabel="feature 0", ylabel="feature 1", title=title)
    return image


figure, panels = plt.subplots(
    1, 2, figsize=(8, 4), sharey=True, layout="constrained"
)
for panel, predictive in zip(panels, ("map", "laplace"), strict=True):
    image = draw(
        panel,
        probabilities(points, predictive),
        f'predictive="{predictive}"',
        cmap="PuOr_r",
        vmax=1,
    )
panels[1].set_ylabel("")
figure.colorbar(image, ax=panels, label="probability of the black class")

# %%
# Going away
# ----------
# The left picture is the standard deviation of the score. "laplace" moderates the score by its square times a factor.
# The rows choose this factor, ``model.laplace_scale_``, and it grows away from them. The right picture follows 180
# directions outwards from the mean of the rows. It shows the probability of the more probable class at each distance.

print(f"the factor near the rows: {model.laplace_scale_:.2f}")
std = model.decision_function(points, return_std=True)[1]
angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
directions = np.column_stack([np.cos(angles), np.sin(angles)])
distances = np.logspace(-1, 3, 61)
rays = X.mean(axis=0) + distances[:, np.newaxis, np.newaxis] * directions

figure, (of_std, cut) = plt.subplots(1, 2, figsize=(8.4, 4.2), layout="constrained")
image = draw(of_std, std, "Standard deviation of the score", cmap="viridis")
figure.colorbar(image, ax=of_std, label="std (nats)")
for predictive, color, style in (("map", ORANGE, "-"), ("laplace", BLUE, "--")):
    p = probabilities(rays.reshape(-1, 2), predictive).reshape(len(distances), -1)
    low, median, high = np.quantile(np.maximum(p, 1 - p), [0.1, 0.5, 0.9], axis=1)
    cut.fill_between(distances, low, high, color=color, alpha=0.25, linewidth=0)
    cut.plot(
        distances,
        median,
        style,
        color=color,
        label=f'"{predictive}": median, 10% to 90%',
    )
    print(
        f"{predictive:8} {distances[-1]:.0f} away: median {median[-1]:.3f}, "
        f"10% {low[-1]:.3f}, 90% {high[-1]:.3f}"
    )
reach = np.linalg.norm(X - X.mean(axis=0), axis=1).max()
cut.axvline(reach, color="black", linestyle=":", label="the farthest training row")
cut.set(
    xscale="log",
    ylim=(0.5, 1.25),
    yticks=np.linspace(0.5, 1, 6),
    xlabel="distance from the mean (units of x)",
    ylabel="probability of the more probable class",
    title="180 directions",
)
cut.legend(loc="upper right", fontsize="small")

plt.show()
