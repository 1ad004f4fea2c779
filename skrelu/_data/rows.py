"""The rows of a fit, with their targets and weights.

Weights may be of any magnitude, so the products of sample weights and class weights, and their sums, could overflow.
Here the weights are divided by a power of two, `weight_unit`, which changes no digit. `Datafit` multiplies its results
by it, so they are in the unit of the caller's weights.
"""

from dataclasses import dataclass
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
        The weights divided by `weight_unit`, class weights included.
    weight_unit : float
        A power of two.
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
    by_class = None if factors is None else factors[labels.class_indices(targets)]
    if sample_weight is None:
        return WeightedRows(X, targets, by_class)
    weights, unit = scale_weights(sample_weight)
    selection = None if weights.all() else np.flatnonzero(weights)
    return WeightedRows(X, targets, weights if by_class is None else by_class * weights, unit, selection)
