r"""
The gradient, checked by hand
=============================

After this page you can check the gradient of skrelu yourself. The package computes it by explicit equations, without
automatic differentiation. This page computes it a second time, literally, one row after another, and a third time from
values of the loss alone.

With the layers :math:`f_l(z) = W_l z + b_l`, :math:`z_0 = x` and :math:`z_l = \mathrm{relu}(f_l(z_{l-1}))`, the score
:math:`f = f_L(z_{L-1})` and :math:`y \in \{-1, +1\}`, the loss of one row is :math:`\log(1 + e^{-y f})`, and

.. math::

    r &= \frac{-y}{1 + e^{y f}} \\
    P_l &= W_L \,\mathrm{diag}(z_{L-1} > 0)\, W_{L-1} \cdots W_{l+1} \,\mathrm{diag}(z_l > 0), \quad P_L = 1

are its derivative with respect to the score, and the derivative of the score with respect to the output of layer
:math:`l`. The gradient of the loss is then

.. math::

    \text{by } b_l: \quad & r P_l^T & \quad (a) \\
    \text{by } W_l: \quad & r P_l^T z_{l-1}^T & \quad (b)

and the gradient for the whole table is the sum over its rows. :doc:`/theory/gradient` derives both.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

from skrelu import DeepLogisticClassifier, loss_and_gradient

COLORS, GREY = ("#0072B2", "#D55E00", "#009E73"), "#7F7F7F"

# %%
# A model to check
# ----------------
# Two hidden layers, so that :math:`P_1` is a product with two factors of each kind.
# ``coefs_`` are the transposes of :math:`W_l`, as in MLPClassifier. :func:`skrelu.loss_and_gradient` returns the sum of
# the losses and its gradient, which a fit uses too.

table = load_breast_cancer()
X, signs = scale(table.data), np.where(table.target == 1, 1, -1)
model = DeepLogisticClassifier((6, 4), alpha=3.0, random_state=0).fit(X, signs)
loss, coef_grads, intercept_grads = loss_and_gradient(
    model.coefs_, model.intercepts_, X, signs
)

W, b = [coef.T for coef in model.coefs_], model.intercepts_
print("shapes of W_l:", [w.shape for w in W])

# %%
# One row
# -------
# The forward pass computes the inputs :math:`z_0, \dots, z_{L-1}` of the layers and the score. The backward pass
# computes :math:`P_L, \dots, P_1`, each from the previous one. Python counts layers from 0:
# ``P[l]`` belongs to the layer with the input ``z[l]``.


def forward(W, b, x):
    """Return the input of each layer, and the score."""
    z = [x]
    for w, v in zip(W[:-1], b[:-1], strict=True):
        z.append(np.maximum(w @ z[-1] + v, 0))
    return z, (W[-1] @ z[-1] + b[-1])[0]


def backward(W, z):
    """Return the score's derivative by each layer's output, as matrices of one row."""
    P = [np.eye(1)]
    for l in range(len(W) - 1, 0, -1):
        P.insert(0, P[0] @ W[l] @ np.diag((z[l] > 0).astype(float)))
    return P


def terms(W, b, x, y):
    """Return the loss of one row, and its terms of (a) and of (b) for each layer."""
    z, f = forward(W, b, x)
    r = -y / (1 + np.exp(y * f))
    P = backward(W, z)
    return (
        np.logaddexp(0, -y * f),
        [r * p[0] for p in P],
        [r * p.T @ [u] for p, u in zip(P, z, strict=True)],
    )


# %%
# One row of the table adds a matrix of rank one to the gradient with respect to :math:`W_1`: a column vector times a
# row vector. Units that are inactive for this row have zeros in :math:`P_1`, so the row has no influence on their
# weights. The picture shows the row of the table with the score nearest to zero.

doubtful = int(np.argmin(np.abs(model.decision_function(X))))
z, f = forward(W, b, X[doubtful])
r = -signs[doubtful] / (1 + np.exp(signs[doubtful] * f))
column = r * backward(W, z)[0].T
term = terms(W, b, X[doubtful], signs[doubtful])[2][0]
assert np.linalg.matrix_rank(term) == 1

figure, axes = plt.subplots(
    2,
    2,
    figsize=(10, 4.6),
    width_ratios=[1, 30],
    height_ratios=[1, 6],
    sharex="col",
    sharey="row",
    layout="constrained",
)
for panel, values, title in (
    (axes[0, 1], z[0][np.newaxis], "$z_0^T$, the row's features"),
    (axes[1, 0], column, "$r P_1^T$"),
    (axes[1, 1], term, "their product, the term of equation (b)"),
):
    relative = values / np.abs(values).max()
    image = panel.pcolormesh(
        relative, cmap="PuOr_r", vmin=-1, vmax=1, edgecolors="white", linewidth=0.5
    )
    panel.set_title(title)
figure.colorbar(image, ax=axes, label="value over the panel's largest", aspect=30)
axes[0, 0].set_axis_off()
axes[0, 1].set_yticks([])
axes[1, 0].set(
    xticks=[],
    yticks=np.arange(6) + 0.5,
    yticklabels=range(1, 7),
    ylabel="unit of the first layer",
)
axes[1, 0].invert_yaxis()
axes[1, 1].set(
    xticks=np.arange(0, 30, 5) + 0.5, xticklabels=range(0, 30, 5), xlabel="feature"
)
print(
    f"row {doubtful}: score {f:.3f}, r {r:.3f}, "
    f"{np.count_nonzero(column)} of {len(column)} units are on"
)

# %%
# All rows
# --------
# The literal sum and the gradient of the package differ only by rounding.

expected_loss = 0.0
sum_a, sum_b = [np.zeros_like(v) for v in b], [np.zeros_like(w) for w in W]
for x, y in zip(X, signs, strict=True):
    row_loss, row_a, row_b = terms(W, b, x, y)
    expected_loss += row_loss
    for l in range(len(W)):
        sum_a[l] += row_a[l]
        sum_b[l] += row_b[l]


def relative_error(actual, expected):
    """Return the largest difference over the largest entry."""
    return np.abs(actual - expected).max() / np.abs(expected).max()


print(f"loss            {loss:.12f}  by hand {expected_loss:.12f}")
literal_errors = []
for l in range(len(W)):
    error_a, error_b = (
        relative_error(intercept_grads[l], sum_a[l]),
        relative_error(coef_grads[l].T, sum_b[l]),
    )
    print(
        f"layer {l + 1}: largest relative error (a) {error_a:.1e}  (b) {error_b:.1e}"
    )
    assert max(error_a, error_b) < 1e-9
    literal_errors.append(max(error_a, error_b))

# %%
# From the loss alone
# -------------------
# Both computations so far use the same equations, and would agree even if these were wrong. So this is a measurement of
# the slope from the loss alone: go a step :math:`h` forward and a step back along one parameter, and divide the
# difference of the losses by :math:`2h`. This central difference has three errors. It leaves out the third derivative,
# an error proportional to :math:`h^2`. If the step takes a row over a kink of relu, it mixes two slopes. The losses are
# rounded to about :math:`10^{-16}` of their size, and that error is divided by :math:`2h`. So there is a best step, and
# even there the error is much larger than that of the equations. There is no relu after the last layer, so its curve
# has no kinks.


def loss_at(W, b):
    """Return the sum of the losses of all rows."""
    z = X
    for w, v in zip(W[:-1], b[:-1], strict=True):
        z = np.maximum(z @ w.T + v, 0)
    return np.logaddexp(0, -signs * (z @ W[-1].T + b[-1])[:, 0]).sum()


def central_differences(parameters, h):
    """Return the slope of the loss by each entry of one of the arrays in W and b."""
    slopes = np.empty_like(parameters)
    for i in np.ndindex(parameters.shape):
        kept = parameters[i]
        parameters[i] = kept + h
        after = loss_at(W, b)
        parameters[i] = kept - h
        slopes[i] = (after - loss_at(W, b)) / (2 * h)
        parameters[i] = kept
    return slopes


W, b = [w.copy() for w in W], [v.copy() for v in b]
steps = np.logspace(-12, 0, 37)
errors = np.array(
    [
        [
            max(
                relative_error(central_differences(w, h), grad.T),
                relative_error(central_differences(v, h), intercept_grad),
            )
            for w, v, grad, intercept_grad in zip(
                W, b, coef_grads, intercept_grads, strict=True
            )
        ]
        for h in steps
    ]
)
for l in range(len(W)):
    best = int(errors[:, l].argmin())
    print(
        f"layer {l + 1}: best step {steps[best]:.0e}, "
        f"relative error {errors[best, l]:.1e}"
    )
assert errors.min(axis=0).max() < 1e-6

figure, panel = plt.subplots(figsize=(7.5, 6), layout="constrained")
for l, (color, marker) in enumerate(zip(COLORS, "os^", strict=True)):
    panel.plot(
        steps,
        errors[:, l],
        marker + "-",
        color=color,
        markersize=4,
        label=f"layer {l + 1}, central differences",
    )
for l, (color, style) in enumerate(zip(COLORS, ("--", ":", "-."), strict=True)):
    panel.axhline(
        literal_errors[l],
        color=color,
        linestyle=style,
        label=f"layer {l + 1}, equations (a) and (b)",
    )
last = errors[:, -1]
for anchor, power, where, text in (
    (5, -1, steps < 1e-5, "rounding: 1 / h"),
    (-7, 2, steps > 1e-6, "truncation: h²"),
):
    guide = 0.05 * last[anchor] * (steps / steps[anchor]) ** power
    panel.plot(steps[where], guide[where], color=GREY, linewidth=1)
    panel.text(
        steps[anchor],
        guide[anchor] / 2,
        text,
        color=GREY,
        ha="right" if power < 0 else "left",
        va="top",
    )
panel.set(
    ylim=(1e-16, None),
    xscale="log",
    yscale="log",
    xlabel="step h (units of the parameter)",
    ylabel="largest relative error",
    title="How closely the gradient is met",
)
figure.legend(loc="outside lower center", ncols=2)

plt.show()
