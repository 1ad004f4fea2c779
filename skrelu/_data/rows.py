"""The rows of a fit, with their targets and weights.

Weights may be of any magnitude, so the products of sample weights and class weights, and their sums, could overflow.
Here the weights are divided by a power of two, `weight_unit`, which changes no digit. `Datafit` multiplies its results
by it, so they are in the unit of the caller's weights. The evidence counts rows. For it `count_effective_rows` replaces
this unit by another, in which the weights add up to a number of rows.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from skrelu._core.arrays import Array, Rows
from skrelu._data.labels import Labels


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
    """

    X: Rows
    targets: Array
    sample_weight: Array | None = None
    weight_unit: float = 1.0
    selection: Array | None = None

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


def scale_weights(sample_weight: Array) -> tuple[Array, float]:
    """Return the weights divided by a power of two, so that they are about 1 at most, and that power."""
    exponent = min(int(np.frexp(sample_weight.max())[1]), np.finfo(np.float64).maxexp - 1)
    return np.ldexp(sample_weight, -exponent), float(np.ldexp(1.0, exponent))


def are_counts(sample_weight: Array | None) -> bool:
    """Return whether the weights are whole numbers, so that each may be a number of equal rows.

    From 2**53 on every float is a whole number, so such weights are not taken for counts.
    """
    if sample_weight is None:
        return True
    return bool(sample_weight.max() < 2**53 and (sample_weight == np.rint(sample_weight)).all())


def is_counted(sample_weight: Array | None) -> Array | None:
    """Return the mask of the rows of positive weight, None if there are no weights. Only these rows count."""
    return None if sample_weight is None else scale_weights(sample_weight)[0] > 0


def count_rows(numbers: Array, n_samples: int, sample_weight: Array | None) -> Array:
    """Return weights that select the rows of these numbers, each as often as it occurs, without a copy of X."""
    weights = np.bincount(numbers, minlength=n_samples).astype(np.float64)
    return weights if sample_weight is None else weights * sample_weight


def class_factors(labels: Labels, class_weight: Any, targets: Array, sample_weight: Array | None) -> Array | None:
    """Return the factor of each class by which `class_weight` multiplies the weights of its rows.

    Parameters
    ----------
    labels : Labels
    class_weight : dict, 'balanced' or None
        'balanced' makes the total weight of each class the same.
    targets : ndarray
        The targets of all rows, in the encoding of `labels`.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows of weight zero do not count.

    Returns
    -------
    factors : ndarray of shape (n_classes,) or None
        None if `class_weight` is None.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        return np.array([class_weight.get(label, 1.0) for label in labels.classes.tolist()], dtype=np.float64)
    indices, weights = labels.class_indices(targets), None
    if sample_weight is not None:
        weights, _ = scale_weights(sample_weight)
        counted = weights > 0
        indices, weights = indices[counted], weights[counted]
    return compute_class_weight("balanced", classes=np.arange(len(labels.classes)), y=indices, sample_weight=weights)


def weigh_rows(
    X: Rows, labels: Labels, targets: Array, factors: Array | None, sample_weight: Array | None
) -> WeightedRows:
    """Return the rows, their weights multiplied by the factors of their classes, without rows of weight zero."""
    by_class, unit_of_factors = None, 1.0
    if factors is not None:
        factors, unit_of_factors = scale_weights(factors)
        by_class = factors[labels.class_indices(targets)]
    if sample_weight is None:
        return WeightedRows(X, targets, by_class, unit_of_factors)
    weights, unit = scale_weights(sample_weight)
    selection = None if weights.all() else np.flatnonzero(weights)
    weights = weights if by_class is None else by_class * weights
    return WeightedRows(X, targets, weights, unit * unit_of_factors, selection)


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
    # The count of each class is exact, so neither the order of the rows nor their repetition changes a bit.
    counts, unit = (None, 1.0) if sample_weight is None else scale_weights(sample_weight)
    per_class = np.bincount(labels.class_indices(rows.targets[numbers]), None if counts is None else counts[numbers])
    factors, _ = scale_weights(factors)
    return replace(rows, weight_unit=unit * float(per_class @ factors) / float(per_class @ factors**2))
