"""Means and deviations of the columns, in one pass over blocks of rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis

from skrelu._core.arrays import Array, Rows
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._data.rows import WeightedRows
from skrelu._data.validation import describe_values

_MAX_VALUES = 2**17  # of a dense block
_MAX_SPARSE_VALUES = 2**20  # of a sparse block; it has at least as many rows as columns
_MIN_RELATIVE_WEIGHT = 2.0**-20  # so that no column is measured on the heaviest rows alone
_MIN_VARIANCE = 1e-280  # below, squares may have underflowed
_ROUNDING = 4 * np.finfo(np.float64).eps  # of values; a column that varies less is constant


@dataclass(frozen=True)
class Moments:
    """The moments of some rows, for each column.

    Attributes
    ----------
    weight : float
        The sum of the weights.
    mean, rest : ndarray of shape (n_features,)
        Their sum is the mean; `rest` is the rounding error of `mean`. Where a column has a large mean and a small
        deviation, the means of two blocks differ by little more than such an error.
    squares : ndarray of shape (n_features,)
        The weighted sum of the squared distances from the mean.
    lowest, highest : ndarray of shape (n_features,)
    """

    weight: float
    mean: Array
    rest: Array
    squares: Array
    lowest: Array
    highest: Array

    @classmethod
    def of(cls, X: Rows, weights: Array) -> Self:
        """Measure a block of rows in float64."""
        weight = weights.sum()
        if sparse.issparse(X):
            mean, variance = mean_variance_axis(X, axis=0, weights=weights)
            return cls(weight, mean, np.zeros_like(mean), variance * weight, *min_max_axis(X, axis=0))
        mean = weights @ X / weight
        distances = X - mean
        correction = weights @ distances / weight
        squares = weights @ np.square(distances) - weight * np.square(correction)
        return cls(weight, *_two_sum(mean, correction), squares, X.min(axis=0), X.max(axis=0))

    def merged(self, other: Self) -> Self:
        """Return the moments of both sets of rows.

        T. F. Chan, G. H. Golub and R. J. LeVeque, 'Algorithms for computing the sample variance', The American
        Statistician 37, 1983.
        """
        weight = self.weight + other.weight
        difference = (other.mean - self.mean) + (other.rest - self.rest)
        mean, rest = _two_sum(self.mean, self.rest + difference * (other.weight / weight))
        return replace(
            self,
            weight=weight,
            mean=mean,
            rest=rest,
            squares=self.squares + other.squares + np.square(difference) * (self.weight * other.weight / weight),
            lowest=np.minimum(self.lowest, other.lowest),
            highest=np.maximum(self.highest, other.highest),
        )


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum and its rounding error, which is exact.

    D. E. Knuth, 'The Art of Computer Programming', volume 2, section 4.2.2, theorem B.
    """
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def measure_columns(rows: WeightedRows, class_weights: Array | None, n_threads: int) -> Standardization:
    """Return the means and deviations of the columns over the selected rows, by their sample weights.

    A column that is constant, to the last digits, gets the factor 0. One that has mean 0 and deviation 1 already, but
    for rounding, stays exactly as it is.

    Parameters
    ----------
    rows : WeightedRows
    class_weights : ndarray of shape (n_rows,) or None
        The factor of each selected row's weight that comes from class weights, which do not count here; in any unit.
    n_threads : int

    Raises
    ------
    ValueError
        If a column holds NaN or infinity.
    """
    weights = relative_weights(rows, class_weights)
    return standardize_by(lambda exponents: measure_rows(rows, weights, exponents, n_threads), rows.X.dtype)


def standardize_by(measure: Callable[[Array], Moments], dtype: np.dtype) -> Standardization:
    """Return the means and deviations of the columns, as `measure_columns` does, of rows that lie anywhere.

    Parameters
    ----------
    measure : callable
        Takes exponents of shape (n_features,) and returns the moments of the columns divided by these powers of two.
    dtype : dtype
        Of X.
    """
    moments = measure(np.zeros(0, dtype=np.intp))
    exponents = np.zeros(len(moments.mean), dtype=np.intp)
    largest = np.maximum(np.abs(moments.lowest), np.abs(moments.highest))
    if not np.isfinite(largest).all():
        values = describe_values(largest)
        raise ValueError(f"A fit cannot begin, as X holds {values}. Every value must be a finite number.")
    is_constant = moments.highest - moments.lowest <= _ROUNDING * largest
    variances = moments.squares / moments.weight
    is_wrong = ~(np.isfinite(variances) & np.isfinite(moments.mean)) | (variances < _MIN_VARIANCE)
    if (is_wrong & ~is_constant).any():
        # Values so large or so small that their squares are not numbers: once more, in units of their magnitude.
        exponents = np.where(is_wrong, np.frexp(largest)[1], 0)
        moments = measure(exponents)
        variances = moments.squares / moments.weight
    center = np.where(is_constant, moments.lowest, np.ldexp(moments.mean, exponents))
    scale = np.where(is_constant, 1.0, np.ldexp(np.sqrt(variances), exponents))
    tolerance = np.sqrt(np.finfo(dtype).eps)
    center[~is_constant & (np.abs(center) <= tolerance * scale)] = 0.0
    scale[np.abs(scale - 1) <= tolerance] = 1.0
    # The factor times a weight is to be a number in the dtype of X.
    factor = np.minimum(1 / scale, np.finfo(dtype).max * 2.0**-10)
    return Standardization(center, np.where(is_constant, 0.0, factor))


def relative_weights(rows: WeightedRows, class_weights: Array | None, largest: float | None = None) -> Array:
    """Return relative sample weights; the lightest rows count as if they were a millionth of the heaviest.

    `largest` is the weight of the heaviest row, if that may be among other rows.
    """
    if rows.sample_weight is None:
        return np.ones(rows.n_rows)
    weights = rows.sample_weight[rows.numbers()]
    if class_weights is not None:
        weights = weights / class_weights
    return np.maximum(weights / (weights.max() if largest is None else largest), _MIN_RELATIVE_WEIGHT)


def measure_rows(rows: WeightedRows, weights: Array, exponents: Array, n_threads: int) -> Moments:
    """Return the moments of the columns divided by powers of two; `exponents` may be empty for 0."""
    X, selection = rows.X, rows.selection
    if sparse.issparse(X):
        n_block_rows = max(_MAX_SPARSE_VALUES * X.shape[0] // max(X.nnz, 1), X.shape[1])
    else:
        n_block_rows = max(_MAX_VALUES // X.shape[1], 1)
    starts = range(0, rows.n_rows, n_block_rows)
    parts: dict[int, Moments] = {}
    total: list[Moments] = []

    def compute(member: int, block: int) -> None:
        where = slice(starts[block], starts[block] + n_block_rows)
        part = _divide(X[where if selection is None else selection[where]], exponents)
        parts[block] = Moments.of(part, weights[where])

    def merge(block: int) -> None:
        part = parts.pop(block)
        total[:] = [total[0].merged(part) if total else part]

    with Team(n_threads) as team:
        team.each_block(len(starts), compute, merge, n_ahead=2 * n_threads)
    return total[0]


def _divide(part: Any, exponents: Array) -> Rows:
    """Return a copy of some rows in float64, with the columns divided by powers of two."""
    if not sparse.issparse(part):
        # In C order, since the last bits of a product depend on the order in memory.
        rows = np.array(part, np.float64, order="C")
        return np.ldexp(rows, -exponents) if exponents.any() else rows
    part = part.astype(np.float64)
    if exponents.any():
        part.data = np.ldexp(part.data, -exponents[part.indices])
    part.sum_duplicates()
    return part
