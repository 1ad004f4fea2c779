"""Activation regions: the pattern of each row, and the linear model of the scores inside a region.

Where the pattern pos(z_1), ..., pos(z_{L-1}) is the same, the network is one affine function,

    f(x) = P_1 W_1 x + sum_l P_l b_l,

with the product P_l of `W diag(pos(z))` that carries the gradient. So the model of a region is computed from its
pattern alone, by a backward pass that begins at the unit vectors of the scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Rows
from skrelu._core.network import Workspace
from skrelu._core.scores import forward_blocks
from skrelu._core.threads import Team, count_threads

_MAX_VALUES = 2**18  # of the deltas of a block of patterns


@dataclass(frozen=True, eq=False)
class Grouping:
    """Rows grouped by their pattern. Groups are numbered from 0, the one with the most rows first.

    Attributes
    ----------
    region : ndarray of shape (n_samples,)
        The number of each row's group.
    first : ndarray of shape (n_regions,)
        A row of each group.
    count : ndarray of shape (n_regions,)
        The number of rows of each group.
    """

    region: Array
    first: Array
    count: Array


def count_hidden_units(coefs: Sequence[Array]) -> int:
    return sum(coef.shape[1] for coef in coefs[:-1])


def find_patterns(coefs: Sequence[Array], intercepts: Sequence[Array], X: Rows, n_jobs: int | None) -> Array:
    """Return the activation pattern of each row: pos(z) of all hidden units in float64, eight to a byte.

    Returns
    -------
    patterns : ndarray of shape (n_samples, ceil(n_hidden_units / 8)), uint8
        In the order of the layers, as `numpy.packbits` writes them.
    """
    return trace_patterns(coefs, intercepts, X, n_jobs)[0]


def trace_patterns(
    coefs: Sequence[Array], intercepts: Sequence[Array], X: Rows, n_jobs: int | None
) -> tuple[Array, Array]:
    """Return the patterns as `find_patterns`, and the scores in float64. A pattern means nothing if they overflow."""
    patterns = np.empty((X.shape[0], -(-count_hidden_units(coefs) // 8)), dtype=np.uint8)
    scores = np.empty((X.shape[0], coefs[-1].shape[1]))

    def keep(where: slice, workspace: Workspace) -> None:
        scores[where] = workspace.scores
        if active := [z[:, :-1] > 0 for z in workspace.inputs[1:]]:
            patterns[where] = np.packbits(np.concatenate(active, axis=1), axis=1)

    if len(scores):
        forward_blocks(coefs, intercepts, X, keep, dtype=scores.dtype, n_jobs=n_jobs)
    return patterns, scores


def unpack_patterns(coefs: Sequence[Array], patterns: Array) -> list[Array]:
    """Return the patterns layer by layer, as float64 arrays of shape (n_patterns, m_l) of 0 and 1."""
    bits = np.unpackbits(patterns, axis=1, count=count_hidden_units(coefs)).astype(np.float64)
    return np.split(bits, np.cumsum([coef.shape[1] for coef in coefs[:-1]])[:-1], axis=1) if bits.shape[1] else []


def group_patterns(patterns: Array) -> Grouping:
    """Group rows by their pattern. Of groups of as many rows the one whose first row comes first is first."""
    n_rows, n_bytes = patterns.shape
    if n_bytes:
        words = np.zeros((n_rows, -(-n_bytes // 8) * 8), dtype=np.uint8)
        words[:, :n_bytes] = patterns
        order, starts = _sort(words.view(np.uint64))
    else:
        order, starts = np.arange(n_rows), np.arange(min(n_rows, 1))
    counts = np.diff(starts, append=n_rows)
    first = order[starts]  # the sort is stable
    rank = np.lexsort((first, -counts))
    region = np.empty(n_rows, dtype=np.intp)
    region[order] = np.repeat(np.argsort(rank), counts)
    return Grouping(region, first[rank], counts[rank])


def _sort(words: Array) -> tuple[Array, Array]:
    """Return a stable order of the rows of `words`, and the places in it where a run of equal rows begins."""
    order = np.lexsort(words.T)
    words = words[order]
    differs = (words[1:] != words[:-1]).any(axis=1)
    return order, np.concatenate(([0], np.flatnonzero(differs) + 1))


def linear_models(
    coefs: Sequence[Array], intercepts: Sequence[Array], patterns: Array, n_jobs: int | None
) -> tuple[Array, Array]:
    """Return the linear model of the scores for each pattern, in float64.

    Returns
    -------
    coef : ndarray of shape (n_patterns, n_outputs, n_features)
        P_1 W_1.
    intercept : ndarray of shape (n_patterns, n_outputs)
        The sum of P_l b_l over the layers.
    """
    weights = [coef.T.astype(np.float64, order="C") for coef in coefs]  # W_l
    biases = [intercept.astype(np.float64) for intercept in intercepts]
    n_outputs, n_patterns = len(biases[-1]), len(patterns)
    coef = np.empty((n_patterns, n_outputs, weights[0].shape[1]))
    intercept = np.empty((n_patterns, n_outputs))
    n_block_rows = max(_MAX_VALUES // (n_outputs * max(weight.shape[1] for weight in weights)), 1)

    def compute(member: int, block: int) -> None:
        where = slice(block * n_block_rows, (block + 1) * n_block_rows)
        active = unpack_patterns(coefs, patterns[where])
        delta = np.broadcast_to(np.eye(n_outputs), (len(patterns[where]), n_outputs, n_outputs))  # P_L
        constant = np.broadcast_to(biases[-1], intercept[where].shape)
        for l in range(len(weights) - 1, 0, -1):
            # P_l = P_{l+1} W_{l+1} diag(pos(z_l)); P_L is the identity
            product = weights[l] if l == len(weights) - 1 else _multiply(delta, weights[l])
            delta = product * active[l - 1][:, np.newaxis]
            constant = constant + delta @ biases[l - 1]
        coef[where] = _multiply(delta, weights[0])
        intercept[where] = constant

    with Team(count_threads(n_jobs)) as team:
        team.each_block(-(-n_patterns // n_block_rows), compute)
    return coef, intercept


def _multiply(stack: Array, matrix: Array) -> Array:
    """Return `stack @ matrix` as one product, which is faster than one for each matrix of the stack."""
    return (stack.reshape(-1, stack.shape[-1]) @ matrix).reshape(*stack.shape[:-1], -1)
