"""Partitions of the rows, as they lie on the workers, and what the client learns about them.

A partition of the caller's collection is (1) checked, once. When the labels of all partitions are known, it is (2)
encoded: labels become targets, weights are brought to one unit, rows of weight zero are left out, and rows are held out
for early stopping. The functions of this file run on the workers.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets

from skrelu._core.arrays import Array, Rows
from skrelu._data.labels import Labels, check_indicator
from skrelu._data.rows import MIN_WEIGHT_WITH_FACTORS, are_counts, is_counted, row_factors, scale_weights
from skrelu._data.validation import (
    check_known_labels,
    check_sample_weight,
    largest_value,
    validate_rows_and_labels,
)

_OBJECT_BYTES = 64  # of a label that is an object, such as a string


class PartitionError(RuntimeError):
    """A partition that could not be read or computed; the message has its number."""


def bytes_of(*arrays: Any) -> int:
    """Return the size of arrays and CSR matrices."""
    total = 0
    for array in arrays:
        if sparse.issparse(array):
            total += array.data.nbytes + array.indices.nbytes + array.indptr.nbytes
        elif array is not None:
            total += array.nbytes if array.dtype != object else _OBJECT_BYTES * array.size
    return int(total)


@dataclass(frozen=True)
class Sort:
    """What every partition of a collection must be like.

    Attributes
    ----------
    names : tuple of str
        The names of rows, labels and weights in messages: ('X', 'y', 'sample_weight').
    model : estimator
        An unfitted estimator with the number of features and their names.
    """

    names: tuple[str, str, str]
    model: Any

    def describe(self, number: int) -> str:
        return f"Partition {number} of {self.names[0]}"


@dataclass(frozen=True)
class CheckedRows:
    """A checked partition: X in float64 or float32, labels, weights; X is None if it has no rows."""

    number: int
    X: Rows | None
    y: Any
    sample_weight: Array | None

    def __sizeof__(self) -> int:  # so that Dask knows what it holds in memory, and what to spill
        return object.__sizeof__(self) + bytes_of(self.X, self.y, self.sample_weight)


def check_rows(X: Any, y: Any, sample_weight: Any, number: int, sort: Sort) -> CheckedRows:
    """Check a partition: its columns, values, labels and weights.

    Raises
    ------
    ValueError, TypeError
        If they are not valid; the message has the number of the partition.
    """
    try:
        return _check_rows(X, y, sample_weight, number, sort)
    except (ValueError, TypeError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError  # others may need more arguments
        raise kind(f"{sort.describe(number)}: {error}") from error
    except Exception as error:
        raise PartitionError(f"{sort.describe(number)} could not be checked: {error!r}") from error


def _check_rows(X: Any, y: Any, sample_weight: Any, number: int, sort: Sort) -> CheckedRows:
    x_name, y_name, weight_name = sort.names
    n_rows = _n_rows(X)
    for name, part in ((y_name, y), (weight_name, sample_weight)):
        if part is None or np.isscalar(part):
            continue
        if _n_rows(part) != n_rows:
            raise ValueError(f"{x_name} has {n_rows} rows, {name} has {_n_rows(part)}. They must have the same rows.")
        _check_index(X, part, x_name, name)
    if n_rows == 0:
        return CheckedRows(number, None, None, None)
    if getattr(y, "shape", ())[1:] == (1,):
        y = y.toarray().ravel() if sparse.issparse(y) else np.asarray(y).ravel()
    X, y = validate_rows_and_labels(sort.model, X, y, y_name, reset=False)
    if sparse.issparse(y):
        y = y.toarray()
    if y.ndim == 2:
        check_indicator(y, y_name)
    else:
        check_classification_targets(_worst_label(y))
    if sample_weight is not None and not np.any(np.asarray(sample_weight)):
        # All rows of one partition may have the weight zero.
        return CheckedRows(number, X, y, np.zeros(n_rows))
    return CheckedRows(number, X, y, check_sample_weight(sample_weight, X, weight_name))


def _worst_label(y: Array) -> Array:
    """Return one label, which is not a whole number if there is such a one.

    scikit-learn would warn of each partition that has almost as many classes as rows.
    """
    fractions = np.flatnonzero(y != np.rint(y)) if y.dtype.kind == "f" else ()
    return y[fractions[:1]] if len(fractions) else y[:1]


def _n_rows(part: Any) -> int:
    return int(part.shape[0]) if hasattr(part, "shape") else len(part)


def _check_index(X: Any, other: Any, x_name: str, name: str) -> None:
    """Raise an error if two data frames hold the same rows in another order."""
    if not (hasattr(X, "index") and hasattr(other, "index") and hasattr(X.index, "equals")):
        return
    if X.index.equals(other.index):
        return
    if X.index.isin(other.index).all() and other.index.isin(X.index).all():
        raise ValueError(f"{x_name} and {name} hold the same rows in another order, by their index. Sort one of them.")


@dataclass(frozen=True)
class Facts:
    """What the client learns about a checked partition.

    Attributes
    ----------
    number, n_rows : int
    dtype : str
        Of X; '' without rows.
    is_sparse : bool
    largest : float
        The largest magnitude in X.
    classes : ndarray of shape (n_classes,)
        The labels in rows of positive weight; for an indicator the numbers of its columns.
    n_label_columns : int
        1, or the number of columns of an indicator.
    n_counted : int
        The number of rows of positive weight.
    counts : ndarray of int of shape (n_classes,)
        The number of such rows of each class; for an indicator, of those where the column is 1.
    weights : ndarray of shape (n_classes,)
        The sums of their weights, over `2**exponent`.
    total_weight : float
        The sum of all weights, over `2**exponent`.
    exponent : int or None
        So that the largest weight is about 1; None without sample weights.
    are_counts : bool
        Whether the weights are whole numbers.
    """

    number: int
    n_rows: int
    dtype: str = ""
    is_sparse: bool = False
    largest: float = 0.0
    classes: Any = None
    n_label_columns: int = 1
    n_counted: int = 0
    counts: Any = None
    weights: Any = None
    total_weight: float = 0.0
    exponent: int | None = None
    are_counts: bool = True


def learn_facts(rows: CheckedRows) -> Facts:
    """Return the facts about a checked partition."""
    X, y, sample_weight = rows.X, rows.y, rows.sample_weight
    if X is None:
        return Facts(rows.number, 0)
    exponent, weights = None, np.ones(X.shape[0])
    if sample_weight is not None:
        exponent = -(2**20)
        if sample_weight.any():
            weights, unit = scale_weights(sample_weight)
            exponent = int(np.frexp(unit)[1]) - 1
        else:
            weights = sample_weight
    is_weighed = weights > 0
    y, weights = y[is_weighed], weights[is_weighed]
    if y.ndim == 2:
        classes, is_present = np.arange(y.shape[1]), y > 0
        counts, by_class = is_present.sum(axis=0), weights @ is_present
    else:
        classes, places = np.unique(y, return_inverse=True)
        counts = np.bincount(places, minlength=len(classes))
        by_class = np.bincount(places, weights, minlength=len(classes))
    return Facts(
        rows.number,
        X.shape[0],
        X.dtype.name,
        bool(sparse.issparse(X)),
        largest_value(X),
        classes,
        1 if y.ndim == 1 else y.shape[1],
        int(is_weighed.sum()),
        counts,
        by_class,
        math.fsum(weights),
        exponent,
        are_counts(sample_weight),
    )


def check_facts(facts: list[Facts], name: str) -> None:
    """Raise a ValueError if no partition has rows, or only some of those with rows are sparse."""
    facts_of_rows = [fact for fact in facts if fact.n_rows]
    if not facts_of_rows:
        raise ValueError(f"{name} has no rows: all {len(facts)} partition(s) are empty.")
    numbers = {fact.is_sparse: fact.number for fact in reversed(facts_of_rows)}
    if len(numbers) > 1:
        raise ValueError(
            f"{name} must be sparse or dense in all partitions, but partition {numbers[True]} is sparse and partition "
            f"{numbers[False]} is dense."
        )


@dataclass(frozen=True)
class Encoding:
    """How the rows of all partitions are encoded.

    Attributes
    ----------
    labels : Labels
    dtype : dtype
        Of X.
    factors : ndarray or None
        Of the classes, see `class_factors`.
    exponent : int or None
        Sample weights are divided by this power of two; None without sample weights.
    factor_unit : float
        The unit of the rows' factors, see `row_factors`.
    seed : int
        Determines the rows that are held out.
    """

    labels: Labels
    dtype: np.dtype
    factors: Array | None
    exponent: int | None
    factor_unit: float
    seed: int = 0


@dataclass(frozen=True)
class Part:
    """An encoded partition.

    Attributes
    ----------
    number : int
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
    targets : ndarray
        In the encoding of the loss.
    sample_weight : ndarray of shape (n_rows,) or None
        Without class weights, over a power of two.
    factors : ndarray of shape (n_rows,) or None
        The factors of the classes of the rows, over their unit.
    weights : ndarray of shape (n_rows,) or None
        The product of both.
    """

    number: int
    X: Rows
    targets: Array
    sample_weight: Array | None
    factors: Array | None
    weights: Array | None

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    def __sizeof__(self) -> int:
        arrays = (self.X, self.targets, self.sample_weight, self.factors)
        weights = None if self.weights is self.sample_weight or self.weights is self.factors else self.weights
        return object.__sizeof__(self) + bytes_of(*arrays, weights)


def targets_of_largest(labels: Labels, factors: Array) -> Array:
    """Return the targets of rows, at least one of which has the largest factors that a row can have."""
    if labels.is_multilabel:
        return (2 * factors.argmax(axis=1) - 1).astype(np.int8)[np.newaxis]
    return labels.encode(labels.classes)


def encode_rows(rows: CheckedRows, quotas: Array | None, encoding: Encoding, is_validation: bool) -> Part:
    """Encode a partition: the rows of positive weight, without those held out, or only these.

    Parameters
    ----------
    rows : CheckedRows
    encoding : Encoding
    quotas : ndarray of int or None
        How many rows of each class are held out, or of all classes for multilabel targets; None holds out no row.
    is_validation : bool
        Whether the rows that are held out are wanted.
    """
    labels, X = encoding.labels, rows.X
    assert X is not None, "partitions without rows are left out"
    targets, sample_weight, factors = labels.encode(rows.y), None, None
    chosen = is_counted(rows.sample_weight)
    if quotas is not None:
        is_held_out = _hold_out(targets, chosen, encoding, quotas, rows.number)
        chosen = is_held_out if is_validation else ~is_held_out & (True if chosen is None else chosen)
    if rows.sample_weight is not None:
        sample_weight = scale_weights(rows.sample_weight, exponent=encoding.exponent)[0]
    if chosen is not None and not chosen.all():
        X, targets = X[chosen], targets[chosen]
        sample_weight = None if sample_weight is None else sample_weight[chosen]
    if encoding.factors is not None and len(targets):
        # With a row that has the largest factors, so that the unit is that of all partitions.
        of_largest = targets_of_largest(labels, encoding.factors)
        factors = row_factors(labels, encoding.factors, np.concatenate((targets, of_largest)))[0][: len(targets)]
    weights = factors if sample_weight is None else sample_weight
    if sample_weight is not None and factors is not None:
        with np.errstate(under="ignore"):
            weights = np.maximum(sample_weight * factors, MIN_WEIGHT_WITH_FACTORS)
    return Part(rows.number, X.astype(encoding.dtype, copy=False), targets, sample_weight, factors, weights)


def _hold_out(targets: Array, chosen: Array | None, encoding: Encoding, quotas: Array, number: int) -> Array:
    """Return the mask of the rows that are held out: `quotas[k]` of class k, drawn by the seed and the partition."""
    rng = np.random.default_rng((encoding.seed, number))
    is_held_out = np.zeros(len(targets), dtype=bool)
    labels = encoding.labels
    indices = np.zeros(len(targets), dtype=np.intp) if labels.is_multilabel else labels.class_indices(targets)
    for label in np.flatnonzero(quotas):
        members = np.flatnonzero(indices == label if chosen is None else (indices == label) & chosen)
        is_held_out[rng.permutation(members)[: quotas[label]]] = True
    return is_held_out


@dataclass(frozen=True)
class PartFacts:
    """What the client learns about an encoded partition.

    Attributes
    ----------
    number, n_rows : int
    n_entries : int or None
        Of sparse rows; None for dense ones.
    weight, squared_weight : float
        The sum of the weights, and the sums for Kish's effective number of rows: of the squared weights or, if the
        sample weights are counts c, of c f^2 with the factors f.
    largest_sample_weight : float
    """

    number: int
    n_rows: int
    n_entries: int | None
    weight: float
    squared_weight: float
    largest_sample_weight: float


def learn_part_facts(part: Part, are_counts: bool) -> PartFacts:
    """Return the facts about an encoded partition."""
    if part.weights is None:
        weight = squared = float(part.n_rows)
    else:
        weight = math.fsum(part.weights)
        others = part.factors if are_counts and part.factors is not None else part.weights
        squared = math.fsum(part.weights * others)
    largest = 1.0 if part.sample_weight is None else float(part.sample_weight.max(initial=0))
    n_entries = int(part.X.nnz) if sparse.issparse(part.X) else None
    return PartFacts(part.number, part.n_rows, n_entries, weight, squared, largest)


def check_labels(rows: CheckedRows, labels: Labels, sort: Sort) -> None:
    """Raise a ValueError if a checked partition of validation rows holds labels that the training rows do not."""
    if rows.X is not None:
        try:
            check_known_labels(rows.y, labels)
        except ValueError as error:
            raise ValueError(f"{sort.describe(rows.number)}: {error}") from error
