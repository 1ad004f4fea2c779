"""Reproducible summation: the sum of vectors is the same, bit for bit, in whatever order they are added.

Every vector is cut into digits of 40 bits at fixed places, whole multiples of 2**(40 k), which are added as integers.
Only the three highest digits of the largest vector are kept: a vector loses less than 2**-80 of the largest entry of
all. Cutting does not depend on the other vectors, and sums of integers are exact, so their order does not matter.

J. Demmel and H. D. Nguyen, 'Parallel reproducible summation', IEEE Transactions on Computers 64, 2015.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self

import numpy as np

from skrelu._core.arrays import Array

_DIGIT_BITS = 40  # 2**23 vectors can be added before an integer of 64 bits may overflow
_N_DIGITS = 3
_LOWEST = -(2**15)  # the highest digit of a vector of zeros


@dataclass(frozen=True)
class ReproducibleSum:
    """A sum of vectors, or one vector.

    Attributes
    ----------
    highest : int
        The place of the first digit, in units of 40 bits.
    digits : ndarray of int64 of shape (3, n)
    is_finite : bool
        Whether all entries of all vectors were; otherwise the sum is NaN.
    """

    highest: int
    digits: Array
    is_finite: bool = True

    @classmethod
    def of(cls, vector: Array) -> Self:
        """Cut a vector of float64 into digits."""
        digits = np.zeros((_N_DIGITS, len(vector)), dtype=np.int64)
        largest = float(np.abs(vector).max(initial=0))
        if not np.isfinite(largest):
            return cls(_LOWEST, digits, is_finite=False)
        if largest == 0:
            return cls(_LOWEST, digits)
        highest = (int(np.frexp(largest)[1]) - 1) // _DIGIT_BITS
        rest = vector
        for place, digit in zip(range(highest, highest - _N_DIGITS, -1), digits, strict=True):
            part = np.trunc(_times_power(rest, -_DIGIT_BITS * place))
            digit[...] = part
            rest = rest - _times_power(part, _DIGIT_BITS * place)
        return cls(highest, digits)

    def __add__(self, other: Self) -> Self:
        high, low = (self, other) if self.highest >= other.highest else (other, self)
        n_dropped = min(high.highest - low.highest, _N_DIGITS)
        digits = high.digits.copy()
        digits[n_dropped:] += low.digits[: _N_DIGITS - n_dropped]
        return type(self)(high.highest, digits, high.is_finite and low.is_finite)

    def result(self) -> Array:
        """Return the sum in float64."""
        if not self.is_finite:
            return np.full(self.digits.shape[1], np.nan)
        # Carried, so that the digits are in +-2**39. Then no digit cancels the leading bits of a higher one.
        digits = self.digits.copy()
        for place in range(_N_DIGITS - 1, 0, -1):
            carried = (digits[place] + 2 ** (_DIGIT_BITS - 1)) >> _DIGIT_BITS
            digits[place] -= carried << _DIGIT_BITS
            digits[place - 1] += carried
        places = range(self.highest, self.highest - _N_DIGITS, -1)
        parts = zip(digits.astype(np.float64), places, strict=True)
        return reduce(add, (_times_power(digit, _DIGIT_BITS * place) for digit, place in parts))


def _times_power(numbers: Array, exponent: int) -> Array:
    """Return the numbers times a power of two; a product takes a tenth of the time of `ldexp`."""
    return numbers * 2.0**exponent if abs(exponent) < 960 else np.ldexp(numbers, exponent)
