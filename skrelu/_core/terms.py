"""The terms of the Gauss-Newton curvature, or a sample of them.

G = sum_i s_i J_i^T Lambda_i J_i is a sum over rows i and, with a root Lambda_i = sum_k l_ik l_ik^T of the loss's own
curvature, over pairs (i, k): each pair is one term g g^T with g = sqrt(s_i) J_i^T l_ik. A few thousand terms carry most
of it, if they are drawn by their length: where most rows are already certain, few rows carry nearly everything.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Rows


@dataclass(frozen=True)
class Terms:
    """m terms of the curvature, each divided by the probability of having been drawn.

    Attributes
    ----------
    rows : {ndarray, CSR matrix} of shape (m, n_features)
        In float64.
    slopes : ndarray of shape (m, n_outputs)
        sqrt(s_i / pi_ik) l_ik, what the backward pass makes the term of.
    inclusion : ndarray of shape (m,)
        The probabilities pi_ik.
    numbers : ndarray of shape (m,)
        i n_outputs + k, ascending.
    """

    rows: Rows
    slopes: Array
    inclusion: Array
    numbers: Array

    @property
    def is_complete(self) -> bool:
        """Whether no term was left out."""
        return bool((self.inclusion == 1).all())


class PrioritySample:
    """At most `n_items` of a stream of weighted items, with the probability of each to be among them.

    Item i of weight w_i gets the priority w_i / u_i, u_i uniform in (0, 1], and those of highest priority stay. With
    tau the highest priority of the others, i was kept with probability min(1, w_i / tau), and weighting by its inverse
    makes every sum over the sample unbiased. Items that outweigh the rest are kept for certain, as all are if they are
    few.

    References
    ----------
    N. Duffield, C. Lund and M. Thorup, 'Priority sampling for estimation of arbitrary subset sums', J. ACM 54, 2007.
    """

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.numbers = np.empty(0, dtype=np.intp)
        self._weights = np.empty(0)
        self._priorities = np.empty(0)

    def choose(self, numbers: Array, weights: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return (numbers, weights, priorities) of those items of a block that may stay."""
        priorities = weights / (1 - rng.random(len(weights)))
        return self._highest(numbers, weights, priorities)

    def add(self, chosen: tuple[Array, Array, Array]) -> None:
        """Take what `choose` returned for the next block."""
        parts = zip((self.numbers, self._weights, self._priorities), chosen, strict=True)
        self.numbers, self._weights, self._priorities = self._highest(*(np.concatenate(part) for part in parts))

    def result(self) -> tuple[Array, Array]:
        """Return the numbers of the items kept, in ascending order, and their probabilities."""
        order = np.argsort(-self._priorities, kind="stable")
        kept = np.sort(order[: self.n_items])
        threshold = self._priorities[order[self.n_items]] if len(order) > self.n_items else 0.0
        kept = kept[np.argsort(self.numbers[kept], kind="stable")]
        with np.errstate(divide="ignore"):
            inclusion = np.minimum(1.0, self._weights[kept] / threshold)
        return self.numbers[kept], inclusion

    def _highest(self, numbers: Array, weights: Array, priorities: Array) -> tuple[Array, Array, Array]:
        # One more than asked for, whose priority is the threshold; a weight of 0 is no term.
        places = np.flatnonzero(weights > 0)
        if len(places) > self.n_items + 1:
            places = places[np.argpartition(-priorities[places], self.n_items)[: self.n_items + 1]]
        return numbers[places], weights[places], priorities[places]
