"""The nearest point to each row that meets linear conditions within bounds."""

import numpy as np

from skrelu._core.arrays import Array

_N_SWEEPS = 100  # over the conditions, if there are several
_N_HALVINGS = 80
_ROUNDING = 1e-12


def project(x: Array, squared_scale: Array, normals: Array, constants: Array, low: Array, high: Array) -> Array:
    """Return the points q nearest to x with normals q + constants >= 0 and low <= q <= high.

    The distance is that of the columns divided by their scale. Each condition in turn gets the multiplier that just
    meets it, Hildreth's method: the point is clip(x + scale^2 sum_c multiplier_c normal_c), and the sum is the dual's
    solution. With one condition the first turn is exact. A condition that cannot be met within the bounds is met as far
    as possible.

    Parameters
    ----------
    x : ndarray of shape (n_rows, n_features)
        Within the bounds.
    squared_scale : ndarray of shape (n_features,)
        0 for a column that must stay.
    normals : ndarray of shape (n_rows, n_conditions, n_features)
    constants : ndarray of shape (n_rows, n_conditions)
    low, high : ndarray of shape (n_features,)

    Returns
    -------
    points : ndarray of shape (n_rows, n_features)

    References
    ----------
    C. Hildreth, 'A quadratic programming procedure', Naval Research Logistics Quarterly 4, 1957.
    """
    n_conditions = normals.shape[1]
    steps = normals * squared_scale
    multipliers = np.zeros(constants.shape)
    free = x.copy()  # before it is clipped
    for _ in range(_N_SWEEPS if n_conditions > 1 else 1):
        before = multipliers.copy()
        for c in range(n_conditions):
            free -= multipliers[:, c, np.newaxis] * steps[:, c]
            multipliers[:, c] = _multiplier(free, steps[:, c], normals[:, c], constants[:, c], low, high)
            free += multipliers[:, c, np.newaxis] * steps[:, c]
        if (np.abs(multipliers - before) <= _ROUNDING * np.abs(multipliers)).all():
            break
    return np.clip(free, low, high)


def _multiplier(free: Array, step: Array, normal: Array, constant: Array, low: Array, high: Array) -> Array:
    """Return the least m >= 0 with normal clip(free + m step) + constant >= 0, or one as large as is of use."""

    def value(m: Array) -> Array:
        return np.einsum("np,np->n", normal, np.clip(free + m[:, np.newaxis] * step, low, high)) + constant

    at_zero = value(np.zeros(len(free)))
    rise = np.einsum("np,np->n", normal, step)
    is_unmet = (at_zero < 0) & (rise > 0)
    least = np.zeros(len(free))
    np.divide(-at_zero, rise, out=least, where=is_unmet)  # exact if no bound is in the way
    if np.isinf(low).all() and np.isinf(high).all():
        return least
    # With bounds it is at least that much. Where even all columns at their bounds do not meet the condition, it is what
    # takes them there.
    limit = np.where(step > 0, high, low)
    moves = step != 0
    corner = np.where(moves, limit, np.clip(free, low, high))
    can_meet = np.einsum("np,np->n", normal, corner) + constant >= 0
    ways = np.zeros(step.shape)
    np.divide(limit - free, step, out=ways, where=moves & ~can_meet[:, np.newaxis])
    most = np.where(can_meet, least, ways.max(axis=1))
    for _ in range(_N_HALVINGS):
        lacks = is_unmet & can_meet & (value(most) < 0)
        if not lacks.any():
            break
        most[lacks] *= 2
    least = np.where(can_meet, least, most)
    for _ in range(_N_HALVINGS):
        if (most - least <= _ROUNDING * most).all():
            break
        middle = (least + most) / 2
        meets = value(middle) >= 0
        least, most = np.where(meets, least, middle), np.where(meets, middle, most)
    return np.where(is_unmet, most, 0)
