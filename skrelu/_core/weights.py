"""The weights of rows over the largest one, so that neither their sum nor a weighted slope overflows."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from skrelu._core.arrays import Array


@dataclass(frozen=True)
class RelativeWeights:
    """The weights s_i of some rows, and the sums over all rows of a fit, of which these may be a part.

    Attributes
    ----------
    relative : ndarray of shape (n_rows,) or None
        The weights of these rows over the largest weight of all rows; None if all weights are equal to it.
    sum : float
        The sum of the relative weights of all rows.
    largest : float
        The largest weight, over `unit`.
    unit : float
        The weights s_i are `relative` times `largest` times `unit`.
    """

    relative: Array | None
    sum: float
    largest: float = 1.0
    unit: float = 1.0

    @classmethod
    def of(cls, weights: Array | None, n_rows: int, unit: float) -> Self:
        """Divide the weights of all rows by the largest one; None means the weight 1 for each row."""
        if weights is None:
            return cls(None, float(n_rows), 1.0, unit)
        largest = weights.max()
        relative = weights / largest
        return cls(relative, float(relative.sum()), float(largest), unit)

    @property
    def total(self) -> float:
        """The sum of the weights of all rows, over `unit`."""
        return self.largest * self.sum

    def of_part(self, relative: Array | None) -> Self:
        """Return these weights for a part of the rows."""
        return replace(self, relative=relative)

    def take(self, numbers: Array) -> Array:
        """Return the weights s_i of a few rows."""
        relative = np.ones(len(numbers)) if self.relative is None else self.relative[numbers]
        return relative * (self.total / self.sum) * self.unit
