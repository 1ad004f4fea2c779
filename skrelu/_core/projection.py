"""The nearest point to each row that meets linear conditions within bounds."""

import numpy as np

from skrelu._core.arrays import Array

_N_SWEEPS = 1000  # over the conditions, if there are several
_ROUNDING = 1e-12


def project(x: Array, squared_scale: Array, normals: Array, constants: Array, low: Array, high: Array) -> Array:
    """Return the points q nearest to x with normals q + constants >= 0 and low <= q <= high.

    The distance is that of the columns divided by their scale. Each condition in turn gets the multiplier that just
    meets it, Hildreth's method: the point is clip(x + scale^2 sum_c multiplier_c normal_c), and the sum is the dual's
    solution. With one condition the first turn is exact. A condition that cannot be met within the bounds is met as far
    as possible. Conditions that can be met alone but not together are met alternately, and the point means nothing.

    Parameters
    ----------
    x : ndarray of shape (n_rows, n_features)
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
    n_rows, n_conditions = constants.shape
    steps = normals * squared_scale
    multipliers = np.zeros(constants.shape)
    free = x.copy()  # before it is clipped
    left = np.arange(n_rows)
    for _ in range(_N_SWEEPS if n_conditions > 1 else 1):
        before = multipliers[left]
        for c in range(n_conditions):
            step = steps[left, c]
            without = free[left] - multipliers[left, c, np.newaxis] * step
            multipliers[left, c] = _multiplier(without, step, normals[left, c], constants[left, c], low, high)
            free[left] = without + multipliers[left, c, np.newaxis] * step
        after = multipliers[left]
        left = left[(np.abs(after - before) > _ROUNDING * np.abs(after)).any(axis=1)]
        if not len(left):
            break
    return np.clip(free, low, high)


def _multiplier(free: Array, step: Array, normal: Array, constant: Array, low: Array, high: Array) -> Array:
    """Return the least m >= 0 with normal clip(free + m step) + constant >= 0, or one as large as is of use."""
    at_zero = np.einsum("np,np->n", normal, np.clip(free, low, high)) + constant
    slopes = normal * step
    rise = slopes.sum(axis=1)
    multiplier = np.zeros(len(free))
    unmet = np.flatnonzero((at_zero < 0) & (rise > 0))
    if np.isinf(low).all() and np.isinf(high).all():
        multiplier[unmet] = -at_zero[unmet] / rise[unmet]
    elif len(unmet):
        multiplier[unmet] = _zero_of_sum(at_zero[unmet], slopes[unmet], *_ways(free[unmet], step[unmet], low, high))
    return multiplier


def _ways(free: Array, step: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the m >= 0 at which each column of free + m step begins to move within the bounds, and ends."""
    begin, end = np.zeros(step.shape), np.zeros(step.shape)
    np.divide(np.where(step > 0, low, high) - free, step, out=begin, where=step != 0)
    np.divide(np.where(step > 0, high, low) - free, step, out=end, where=step != 0)
    return np.maximum(begin, 0), np.maximum(end, 0)


def _zero_of_sum(at_zero: Array, slopes: Array, begin: Array, end: Array) -> Array:
    """Return the least m at which a sum of ramps reaches 0, or the m of their last end if it never does.

    The sum is `at_zero` < 0 at m = 0, and each ramp rises with its slope from its begin to its end.
    """
    places = np.concatenate((begin, end), axis=1)
    changes = np.concatenate((slopes, -slopes), axis=1)
    order = places.argsort(axis=1, kind="stable")
    places = np.take_along_axis(places, order, axis=1)
    slope = np.take_along_axis(changes, order, axis=1).cumsum(axis=1)  # after each place
    is_finite = np.isfinite(places)
    last = is_finite.sum(axis=1) - 1  # a ramp begins at a finite place
    places = np.where(is_finite, places, places[np.arange(len(places)), last, np.newaxis])
    values = at_zero[:, np.newaxis] + np.concatenate(
        (np.zeros((len(places), 1)), (slope[:, :-1] * np.diff(places, axis=1)).cumsum(axis=1)), axis=1
    )
    at = np.minimum((values < 0).sum(axis=1) - 1, last)
    rows = np.arange(len(places))
    ends = at == places.shape[1] - 1
    way = np.zeros(len(places))
    np.divide(-values[rows, at], slope[rows, at], out=way, where=~ends & (slope[rows, at] > 0))
    return np.asarray(places[rows, at] + way)
