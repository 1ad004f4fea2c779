"""The terms of the Gauss-Newton curvature: all of them, or some that are drawn.

G = sum_i s_i J_i^T Lambda_i J_i is a sum over rows i. With a root of the loss's own second derivative,
Lambda_i = sum_k l_ik l_ik^T, it is a sum over pairs (i, k): each pair is one term g g^T with g = sqrt(s_i) J_i^T l_ik.
A few thousand terms make up most of G, if long vectors g are drawn more often than short ones. When the model is
certain of most rows, a few rows make up nearly all of G.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Inputs


@dataclass(frozen=True)
class Terms:
    """m terms of the curvature, each divided by the probability of having been drawn.

    Attributes
    ----------
    X : {ndarray, CSR matrix, CentredRows} of shape (m, n_features)
        The row of each term, in float64; standardised if the network is for standardised columns.
    slopes : ndarray of shape (m, n_outputs)
        sqrt(s_i / pi_ik) l_ik, the slopes from which the backward pass computes the vector g.
    inclusion : ndarray of shape (m,)
        The probabilities pi_ik of being drawn.
    numbers : ndarray of shape (m,)
        i n_outputs + k, in ascending order.
    """

    X: Inputs
    slopes: Array
    inclusion: Array
    numbers: Array

    @property
    def is_complete(self) -> bool:
        """Whether no term was left out."""
        return bool((self.inclusion == 1).all())


@dataclass(frozen=True)
class RowRandomness:
    """Random numbers for rows, the same for a row whether it stands among all rows or in a part of them.

    All rows are cut into blocks, and each block has a generator of its own.

    Parameters
    ----------
    n_rows, n_blocks : int
        Of all rows.
    first : int
        The number of the first row of this part.
    """

    n_rows: int
    n_blocks: int
    first: int = 0

    def uniforms(self, seed: int, rows: slice, n_per_row: int) -> Array:
        """Return `n_per_row` numbers in [0, 1) for each of some consecutive rows of this part."""
        start, stop = self.first + rows.start, self.first + rows.stop
        block = ((start + 1) * self.n_blocks - 1) // self.n_rows  # the last one that begins at or before `start`
        parts = []
        while start < stop:
            low, high = (place * self.n_rows // self.n_blocks for place in (block, block + 1))
            end = min(stop, high)
            numbers = np.random.default_rng((seed, block)).random((end - low) * n_per_row)
            parts.append(numbers[(start - low) * n_per_row :])
            start, block = end, block + 1
        return np.concatenate(parts)


class PrioritySample:
    """At most `n_items` of a stream of weighted items, each with the probability of being kept.

    Item i of weight w_i has the priority w_i / u_i, with u_i uniform in (0, 1]. The items of highest priority are kept.
    Let tau be the highest priority of the items that are not. Then item i was kept with probability min(1, w_i / tau),
    and a sum over the kept items is unbiased if each is weighted by the inverse of its probability. An item of a very
    large weight is certain to be kept, and so are all items if there are at most `n_items`.

    References
    ----------
    N. Duffield, C. Lund and M. Thorup, 'Priority sampling for estimation of arbitrary subset sums', J. ACM 54, 2007.
    """

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.numbers = np.empty(0, dtype=np.intp)
        self._weights = np.empty(0)
        self._priorities = np.empty(0)

    def choose(self, numbers: Array, weights: Array, uniforms: Array) -> tuple[Array, Array, Array]:
        """Return (numbers, weights, priorities) of the items of a block that may be kept.

        `uniforms` are random numbers in [0, 1), one for each item.
        """
        priorities = weights / (1 - uniforms)
        return self._highest(numbers, weights, priorities)

    def add(self, chosen: tuple[Array, Array, Array]) -> None:
        """Add the items that `choose` returned for the next block."""
        parts = zip((self.numbers, self._weights, self._priorities), chosen, strict=True)
        self.numbers, self._weights, self._priorities = self._highest(*(np.concatenate(part) for part in parts))

    def kept(self, first: int = 0) -> tuple[Array, Array, Array]:
        """Return (numbers, weights, priorities) of the items so far, to be added to another sample.

        `first` is added to the numbers.
        """
        return self.numbers + first, self._weights, self._priorities

    def result(self) -> tuple[Array, Array]:
        """Return the numbers of the kept items, in ascending order, and their probabilities of being kept."""
        order = np.argsort(-self._priorities, kind="stable")
        kept = np.sort(order[: self.n_items])
        threshold = self._priorities[order[self.n_items]] if len(order) > self.n_items else 0.0
        kept = kept[np.argsort(self.numbers[kept], kind="stable")]
        with np.errstate(divide="ignore"):
            inclusion = np.minimum(1.0, self._weights[kept] / threshold)
        return self.numbers[kept], inclusion

    def _highest(self, numbers: Array, weights: Array, priorities: Array) -> tuple[Array, Array, Array]:
        # One item more than `n_items`: its priority is the threshold. An item of weight 0 is not a term.
        places = np.flatnonzero(weights > 0)
        if len(places) > self.n_items + 1:
            places = places[np.argpartition(-priorities[places], self.n_items)[: self.n_items + 1]]
        return numbers[places], weights[places], priorities[places]
