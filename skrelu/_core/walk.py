"""Straight lines through the activation regions: where a condition on the scores is met first, exactly.

On the line x + t d every unit's input is a piecewise linear function of t. Between two changes of the pattern all of
them are linear, so the next change, and the place where a linear condition on the scores becomes true, are quotients.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skrelu._core.arrays import Array


class Crossing(NamedTuple):
    """The first place on each line where all conditions hold.

    Attributes
    ----------
    t : ndarray of shape (n_lines,)
        NaN if there is none up to the end of the line.
    n_changes : ndarray of shape (n_lines,)
        The number of units that changed before it, or before the end.
    """

    t: Array
    n_changes: Array


class _Line(NamedTuple):
    """Inputs of the units and scores on some lines, value + t * slope under the current pattern."""

    values: list[Array]
    slopes: list[Array]


def first_crossing(
    coefs: Sequence[Array],
    intercepts: Sequence[Array],
    start: Array,
    direction: Array,
    conditions: Array,
    margin: Array,
    end: Array,
) -> Crossing:
    """Walk along lines from region to region until every condition on the scores is met.

    Parameters
    ----------
    coefs, intercepts : sequences of ndarray
        The network, in float64.
    start, direction : ndarray of shape (n_lines, n_features)
    conditions : ndarray of shape (n_lines, n_conditions, n_outputs)
        Each asks that its product with the scores is not less than the margin.
    margin : ndarray of shape (n_lines,)
    end : ndarray of shape (n_lines,)
        The largest t of each line.
    """
    n_lines = len(start)
    t = np.zeros(n_lines)
    found = np.full(n_lines, np.nan)
    n_changes = np.zeros(n_lines, dtype=np.intp)
    first = start @ coefs[0] + intercepts[0], direction @ coefs[0]
    patterns = _patterns_ahead(coefs, intercepts, *first)
    walking = np.arange(n_lines)
    max_changes = 16 + 8 * sum(pattern.shape[1] for pattern in patterns)
    for _ in range(max_changes):
        if not len(walking):
            break
        line = _line(coefs, intercepts, [part[walking] for part in first], [part[walking] for part in patterns])
        now = t[walking]
        until, unit = _next_change(line, [part[walking] for part in patterns], now)
        until = np.minimum(until, end[walking])
        met = _first_met(line, conditions[walking], margin[walking], now, until)
        found[walking] = met
        goes_on = np.isnan(met) & (until < end[walking])
        walking, unit = walking[goes_on], unit[goes_on]
        t[walking] = until[goes_on]
        n_changes[walking] += 1
        _flip(patterns, walking, unit)
    return Crossing(found, n_changes)


def _patterns_ahead(coefs: Sequence[Array], intercepts: Sequence[Array], a: Array, da: Array) -> list[Array]:
    """Return the pattern of each hidden layer just after the start of the lines."""
    patterns = []
    for coef, intercept in zip(coefs[1:], intercepts[1:], strict=True):
        patterns.append((a > 0) | ((a == 0) & (da > 0)))
        a, da = (a * patterns[-1]) @ coef + intercept, (da * patterns[-1]) @ coef
    return patterns


def _line(coefs: Sequence[Array], intercepts: Sequence[Array], first: Sequence[Array], patterns: list[Array]) -> _Line:
    values, slopes = [first[0]], [first[1]]
    for coef, intercept, pattern in zip(coefs[1:], intercepts[1:], patterns, strict=True):
        values.append((values[-1] * pattern) @ coef + intercept)
        slopes.append((slopes[-1] * pattern) @ coef)
    return _Line(values, slopes)


def _next_change(line: _Line, patterns: list[Array], now: Array) -> tuple[Array, Array]:
    """Return the next t at which a unit changes, and the number of the unit among all."""
    if not patterns:
        return np.full(len(now), np.inf), np.zeros(len(now), dtype=np.intp)
    values, slopes = np.concatenate(line.values[:-1], axis=1), np.concatenate(line.slopes[:-1], axis=1)
    changes = np.where(np.concatenate(patterns, axis=1), slopes < 0, slopes > 0)
    times = np.full(values.shape, np.inf)
    np.divide(-values, slopes, out=times, where=changes)
    unit = times.argmin(axis=1)
    return np.maximum(times[np.arange(len(times)), unit], now), unit


def _first_met(line: _Line, conditions: Array, margin: Array, now: Array, until: Array) -> Array:
    """Return the first t from now to `until` at which all conditions hold, or NaN; the scores are linear there."""
    g = np.einsum("nck,nk->nc", conditions, line.values[-1]) - margin[:, np.newaxis]
    dg = np.einsum("nck,nk->nc", conditions, line.slopes[-1])
    is_unmet = g + now[:, np.newaxis] * dg < 0
    roots = np.full(g.shape, np.inf)
    np.divide(-g, dg, out=roots, where=is_unmet & (dg > 0))
    t = np.maximum(np.where(is_unmet, roots, -np.inf).max(axis=1), now)
    with np.errstate(invalid="ignore"):  # 0 times infinity
        stays_met = (is_unmet | (g + t[:, np.newaxis] * dg >= 0)).all(axis=1)
    return np.where((t <= until) & stays_met & np.isfinite(t), t, np.nan)


def _flip(patterns: list[Array], lines: Array, unit: Array) -> None:
    begin = 0
    for pattern in patterns:
        here = (begin <= unit) & (unit < begin + pattern.shape[1])
        pattern[lines[here], unit[here] - begin] ^= True
        begin += pattern.shape[1]
