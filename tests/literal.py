"""The design's equations, written literally: sample by sample, with explicit products of W diag(pos(z)).

Nothing here is shared with the package. W[l] has shape (m_l, n_l), the transpose of `coefs_[l]`.
"""

import math

import numpy as np


def pos(x):
    return np.array([1.0 if value > 0 else 0.0 for value in x])


def relu(x):
    return np.array([value if value > 0 else 0.0 for value in x])


def layer_inputs(W, b, x):
    """Return z_0, ..., z_{L-1}."""
    z = [np.asarray(x, dtype=float)]
    for weight, bias in zip(W[:-1], b[:-1], strict=True):
        z.append(relu(weight @ z[-1] + bias))
    return z


def score(W, b, x):
    return W[-1] @ layer_inputs(W, b, x)[-1] + b[-1]


def softplus(t):
    return t + math.log1p(math.exp(-t)) if t > 0 else math.log1p(math.exp(t))


def binary_loss(f, y):
    """log(1 + exp(-y f)) for y in {-1, +1}."""
    return softplus(-y * f)


def binary_residual(f, y):
    """r = -y / (1 + exp(y f))."""
    t = y * f
    return -y / (1 + math.exp(t)) if t < 0 else -y * math.exp(-t) / (math.exp(-t) + 1)


def multinomial_loss(f, k):
    """-log softmax(f)_k."""
    return math.log(math.fsum(math.exp(value - max(f)) for value in f)) + max(f) - f[k]


def multinomial_residual(f, k):
    """softmax(f) minus the indicator of k."""
    total = math.fsum(math.exp(value - max(f)) for value in f)
    return np.array([math.exp(value - max(f)) / total - (j == k) for j, value in enumerate(f)])


def sample_loss_and_residual(f, target):
    """Return loss and r of one sample: target is a sign, an array of signs, or a tuple ('class', k)."""
    if isinstance(target, tuple):
        return multinomial_loss(f, target[1]), multinomial_residual(f, target[1])
    signs = np.atleast_1d(target)
    losses = [binary_loss(value, y) for value, y in zip(f, signs, strict=True)]
    return math.fsum(losses), np.array([binary_residual(value, y) for value, y in zip(f, signs, strict=True)])


def P(W, z, l):
    """P_l(x) = prod_{k=0}^{L-l-1} W_{L-k} diag(pos(z_{L-k-1}(x))), of shape (m_L, m_l); l counts from 1."""
    L = len(W)
    product = np.eye(W[-1].shape[0])
    for k in range(L - l):
        product = product @ W[L - k - 1] @ np.diag(pos(z[L - k - 1]))
    return product


def loss_and_gradient(W, b, X, targets, sample_weight=None, alpha=0.0):
    """Return the summed loss with penalty, the gradients by W (m_l, n_l) and the gradients by b."""
    L = len(W)
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    loss = 0.5 * alpha * sum(float(value) ** 2 for weight in W for value in weight.ravel())
    W_grads = [alpha * weight for weight in W]
    b_grads = [np.zeros(len(bias)) for bias in b]
    for x, target, s in zip(X, targets, weights, strict=True):
        z = layer_inputs(W, b, x)
        value, r = sample_loss_and_residual(W[-1] @ z[-1] + b[-1], target)
        loss += s * value
        for l in range(1, L + 1):
            delta = s * (r @ P(W, z, l))
            b_grads[l - 1] = b_grads[l - 1] + delta  # (a)
            W_grads[l - 1] = W_grads[l - 1] + np.outer(delta, z[l - 1])  # (b)
    return loss, W_grads, b_grads


def jacobian(W, b, x):
    """Return the derivatives of the scores by all weights, layer by layer, each W_l^T in C order."""
    z = layer_inputs(W, b, x)
    return np.hstack([[np.outer(z[l - 1], row).ravel() for row in P(W, z, l)] for l in range(1, len(W) + 1)])


def second_derivative(f, is_multinomial):
    """Return Lambda, the second derivative of the loss by the scores."""
    if is_multinomial:
        p = np.exp(f - max(f)) / math.fsum(math.exp(value - max(f)) for value in f)
        return np.diag(p) - np.outer(p, p)
    return np.diag([1 / (2 + math.exp(value) + math.exp(-value)) for value in f])


def curvature(W, b, X, is_multinomial, sample_weight=None):
    """Return G = sum_i s_i J_i^T Lambda_i J_i, a matrix over all weights in the order of `jacobian`."""
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    total = 0.0
    for x, s in zip(X, weights, strict=True):
        J = jacobian(W, b, x)
        total = total + s * J.T @ second_derivative(score(W, b, x), is_multinomial) @ J
    return total


def group_of_each_weight(W, grouping):
    """Return the number of the group that each weight is in, in the order of `jacobian`."""
    groups = []
    for l, weight in enumerate(W):
        m, n = weight.shape
        groups += {
            "shared": [0] * m * n,
            "layer": [l] * m * n,
            "feature": [k for k in range(n) for _ in range(m)] if l == 0 else [W[0].shape[1]] * m * n,
        }[grouping]
    return np.array(groups)


def central_differences(function, parameters, step=1e-6):
    """Differentiate a function of a flat vector."""
    gradient = np.empty(len(parameters))
    for i in range(len(parameters)):
        shift = np.zeros(len(parameters))
        shift[i] = step
        gradient[i] = (function(parameters + shift) - function(parameters - shift)) / (2 * step)
    return gradient
