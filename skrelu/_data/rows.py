"""The rows of a fit, with their targets and weights.

Weights may be of any magnitude, so the products of sample weights and class weights, and their sums, could overflow.
Here the weights are divided by a power of two, `weight_unit`, which changes no digit. `Datafit` multiplies its results
by it, so they are in the unit of the caller's weights. A positive weight stays positive: below 2**-500 of the largest
one it is raised to that, where it matters to no sum. The evidence counts rows. For it `count_effective_rows` replaces
this unit by another, in which the weights add up to a number of rows.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from skrelu._core.arrays import Array, Rows
from skrelu._data.labels import Labels

# The least weights that are positive, over the largest one: of a row, and of a row times the factors of its classes.
MIN_WEIGHT = 2.0**-500
MIN_WEIGHT_WITH_FACTORS = 2.0**-1000


@dataclass(frozen=True)
class WeightedRows:
    """Rows of X with their targets and weights.

    Attributes
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        In the encoding of the loss.
    sample_weight : ndarray of shape (n_samples,) or None
        The weights divided by a power of two, class weights included.
    weight_unit : float
        That power of two, or the factor by which `sample_weight` counts rows.
    selection : ndarray of int or None
        The numbers of the selected rows; None means all.
    factors : ndarray or None
        The factors of the classes that are in the weights, as `class_factors` returns them.
    """

    X: Rows
    targets: Array
    sample_weight: Array | None = None
    weight_unit: float = 1.0
    selection: Array | None = None
    factors: Array | None = None

    @property
    def n_rows(self) -> int:
        """The number of selected rows."""
        return self.X.shape[0] if self.selection is None else len(self.selection)

    @property
    def total_weight(self) -> float:
        weights = self.sample_weight
        return self.weight_unit * float(self.n_rows if weights is None else weights[self.numbers()].sum())

    def numbers(self) -> Array:
        """Return the numbers of the selected rows."""
        return np.arange(self.X.shape[0]) if self.selection is None else self.selection


def scale_weights(sample_weight: Array, least: float = MIN_WEIGHT, exponent: int | None = None) -> tuple[Array, float]:
    """Return the weights divided by a power of two, so that they are about 1 at most, and that power.

    Positive weights below `least` become `least`. `exponent` is that of the power, if it is known.
    """
    if exponent is None:
        exponent = min(int(np.frexp(sample_weight.max())[1]), np.finfo(np.float64).maxexp - 1)
    with np.errstate(under="ignore"):
        relative = np.ldexp(sample_weight, -exponent)
    return _raised(relative, sample_weight > 0, least), float(np.ldexp(1.0, exponent))


def _raised(weights: Array, is_positive: Array | bool, least: float) -> Array:
    """Return the weights, at least `least` where they are to be positive."""
    return np.where(is_positive & (weights < least), least, weights)


def are_counts(sample_weight: Array | None) -> bool:
    """Return whether the weights are whole numbers, so that each may be a number of equal rows.

    From 2**53 on every float is a whole number, so such weights are not taken for counts.
    """
    if sample_weight is None:
        return True
    return bool(sample_weight.max() < 2**53 and (sample_weight == np.rint(sample_weight)).all())


def is_counted(sample_weight: Array | None) -> Array | None:
    """Return the mask of the rows of positive weight, None if there are no weights. Only these rows count."""
    return None if sample_weight is None else sample_weight > 0


def count_rows(numbers: Array, n_samples: int, sample_weight: Array | None) -> Array:
    """Return weights that select the rows of these numbers, each as often as it occurs, without a copy of X."""
    weights = np.bincount(numbers, minlength=n_samples).astype(np.float64)
    return weights if sample_weight is None else weights * sample_weight


def class_factors(labels: Labels, class_weight: Any, targets: Array, sample_weight: Array | None) -> Array | None:
    """Return the factor of each class by which `class_weight` multiplies the weights of its rows.

    Parameters
    ----------
    labels : Labels
    class_weight : dict, list of dict, 'balanced' or None
        'balanced' makes the total weight of each class the same. For multilabel targets a list with a dict for each
        column; 'balanced' then balances each column by itself.
    targets : ndarray
        The targets of all rows, in the encoding of `labels`.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows of weight zero do not count.

    Returns
    -------
    factors : ndarray of shape (n_classes,) or (n_outputs, 2) or None
        For multilabel targets the factors of 0 and of 1 in each column. None if `class_weight` is None.
    """
    if not isinstance(class_weight, str):
        return given_factors(labels, class_weight)
    weights = None
    if sample_weight is not None:
        weights, _ = scale_weights(sample_weight)
        # In ascending order, so that the order of the rows does not change a bit.
        order = np.argsort(weights, kind="stable")[np.count_nonzero(weights == 0) :]
        targets, weights = targets[order], weights[order]
    if labels.is_multilabel:
        return np.array([balancing_factors(np.bincount(column > 0, weights, minlength=2)) for column in targets.T])
    indices = labels.class_indices(targets)
    return compute_class_weight("balanced", classes=np.arange(len(labels.classes)), y=indices, sample_weight=weights)


def given_factors(labels: Labels, class_weight: Any) -> Array | None:
    """Return the factors of class weights that the caller gives, None without any."""
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        return np.array([class_weight.get(label, 1.0) for label in labels.classes.tolist()], dtype=np.float64)
    return np.array([[column.get(value, 1.0) for value in (0, 1)] for column in class_weight], dtype=np.float64)


def balancing_factors(totals: Array) -> Array:
    """Return the factors that balance classes of these total weights; all are 1 if a class has no weight."""
    return totals.sum() / (len(totals) * totals) if totals.all() else np.ones(len(totals))


def row_factors(labels: Labels, factors: Array, targets: Array) -> tuple[Array, float]:
    """Return the factor of each row divided by a power of two, and that power.

    With multilabel targets it is the product of the factors of the row's columns, as in scikit-learn's
    `compute_sample_weight`.
    """
    if not labels.is_multilabel:
        factors, unit = scale_weights(factors, MIN_WEIGHT_WITH_FACTORS)
        return factors[labels.class_indices(targets)], unit
    # The exponents are added apart, as the product of many columns may overflow.
    product, exponents = np.ones(len(targets)), np.zeros(len(targets), dtype=np.int64)
    for column, (mantissas, powers) in zip(targets.T, zip(*np.frexp(factors), strict=True), strict=True):
        indices = (column > 0).astype(np.intp)
        product, carried = np.frexp(product * mantissas[indices])
        exponents += powers[indices] + carried
    largest = int(exponents.max())
    with np.errstate(all="ignore"):  # a unit that overflows is infinite
        product = np.ldexp(product, np.maximum(exponents - largest, -2000).astype(np.int32))
        unit = float(np.ldexp(1.0, max(-2000, min(largest, 2000))))
    return _raised(product, True, MIN_WEIGHT_WITH_FACTORS), unit


def weigh_rows(
    X: Rows, labels: Labels, targets: Array, factors: Array | None, sample_weight: Array | None
) -> WeightedRows:
    """Return the rows, their weights multiplied by the factors of their classes, without rows of weight zero."""
    by_class, unit_of_factors = (None, 1.0) if factors is None else row_factors(labels, factors, targets)
    if sample_weight is None:
        return WeightedRows(X, targets, by_class, unit_of_factors, factors=factors)
    weights, unit = scale_weights(sample_weight)
    selection = None if weights.all() else np.flatnonzero(weights)
    if by_class is not None:
        with np.errstate(under="ignore"):
            weights = _raised(by_class * weights, weights > 0, MIN_WEIGHT_WITH_FACTORS)
    return WeightedRows(X, targets, weights, unit * unit_of_factors, selection, factors)


def count_effective_rows(
    rows: WeightedRows, labels: Labels, factors: Array | None, sample_weight: Array | None
) -> WeightedRows:
    """Return the rows with the unit of weights in which the evidence counts rows.

    Whole sample weights without class weights are counts, and the unit stays as it is. Other weights s only say how
    rows compare, and their sum becomes Kish's effective number of rows, (sum s)^2 / sum s^2. With class weights f, a
    row whose sample weight is a whole number c is c rows of weight f: the sums are those of c f and of c f^2.

    Parameters
    ----------
    rows : WeightedRows
        Some of the rows that `weigh_rows` returned, before equal rows are merged.
    labels, factors, sample_weight
        The arguments of `weigh_rows`.

    References
    ----------
    L. Kish, 'Survey Sampling', Wiley, 1965.
    """
    numbers = rows.numbers()
    if not are_counts(sample_weight):
        assert rows.sample_weight is not None, "there are weights"
        # Rounded once, so that the order of the rows does not change a bit.
        weights, unit = scale_weights(rows.sample_weight[numbers])
        return replace(rows, weight_unit=math.fsum(weights) / math.fsum(weights**2) / unit)
    if factors is None:
        return rows
    # The counts of the rows of each factor are exact, so neither the order of the rows nor their repetition changes a
    # bit.
    counts, unit = (None, 1.0) if sample_weight is None else scale_weights(sample_weight)
    by_row, _ = row_factors(labels, factors, rows.targets)
    values, places = np.unique(by_row[numbers], return_inverse=True)
    per_value = np.bincount(places, None if counts is None else counts[numbers])
    return replace(rows, weight_unit=unit * float(per_value @ values) / float(per_value @ values**2))
