"""Labels: from y to the targets of a loss, and from scores to labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skrelu._core.arrays import Array
from skrelu._core.losses import BinaryLoss, Loss, MultinomialLoss


@dataclass(frozen=True)
class Labels:
    """The labels of a model, and their encoding as targets of its loss.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The sorted labels; for multilabel targets the column numbers.
    n_outputs : int
        1 for two classes, else the number of classes or of columns.
    loss : Loss
        Multinomial for more than two classes.
    """

    classes: Array
    n_outputs: int
    loss: Loss

    @classmethod
    def of(cls, y: Array, weighed: Array | None) -> "Labels":
        """Learn the labels from y, of shape (n_samples,) or an indicator of shape (n_samples, n_outputs).

        `weighed` is the mask of the rows of positive weight, or None. The other rows do not count.

        Raises
        ------
        ValueError
            If y does not hold classes, or only one.
        """
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"Unknown label type: {kind}. y of shape {y.shape} must hold one label per row, or an indicator "
                "matrix of 0 and 1 with one column per label."
            )
        if kind == "multilabel-indicator":
            check_indicator(y, "y")
            return cls.of_indicator(y.shape[1])
        where = "" if weighed is None or weighed.all() else " in rows of positive weight"
        return cls.of_classes(np.unique(y if weighed is None else y[weighed]), where)

    @classmethod
    def of_classes(cls, classes: Array, where: str = "") -> "Labels":
        """Return the labels of sorted classes; `where` are the words for an error on where there is only one."""
        if len(classes) < 2:
            raise ValueError(
                f"y must hold at least two classes, but there is only one class{where}: {classes.tolist()}."
            )
        if len(classes) == 2:
            return cls(classes, 1, BinaryLoss())
        return cls(classes, len(classes), MultinomialLoss())

    @classmethod
    def of_indicator(cls, n_outputs: int) -> "Labels":
        """Return the labels of multilabel targets."""
        return cls(np.arange(n_outputs), n_outputs, BinaryLoss())

    @classmethod
    def fitted(cls, classes: Array, n_outputs: int, out_activation: str) -> "Labels":
        """Return the labels that an estimator's fitted attributes describe."""
        loss: Loss = MultinomialLoss() if out_activation == MultinomialLoss.out_activation else BinaryLoss()
        return cls(classes, n_outputs, loss)

    @property
    def is_multilabel(self) -> bool:
        return self.n_outputs > 1 and isinstance(self.loss, BinaryLoss)

    def encode(self, y: Any) -> Array:
        """Return y in the encoding of the loss: signs as int8 for binary losses, class indices for the multinomial one.

        A label that is not among `classes` is encoded as one of them, not necessarily the nearest.
        """
        if self.is_multilabel:
            signs = np.full(y.shape, -1, dtype=np.int8)
            signs[y.nonzero()] = 1
            return signs
        indices = np.minimum(np.searchsorted(self.classes, y), len(self.classes) - 1)
        if self.n_outputs == 1:
            return (2 * indices - 1).astype(np.int8)[:, np.newaxis]
        return indices.astype(np.int32)

    def class_indices(self, targets: Array) -> Array:
        """Return the position in `classes` of each target's label; not for multilabel targets."""
        return (targets[:, 0] > 0).astype(np.int8) if self.n_outputs == 1 else targets

    def decode(self, scores: Array) -> Array:
        """Return the most probable label of each row, or for multilabel targets the indicator of p > 1/2."""
        if self.is_multilabel:
            return (scores > 0).astype(np.int64)
        if self.n_outputs == 1:
            return self.classes[(scores[:, 0] > 0).astype(np.intp)]
        return self.classes[scores.argmax(axis=1)]

    def per_class(self, scores: Array) -> Array:
        """Return scores with one column per class; for two classes, minus the score and the score."""
        return np.concatenate((-scores, scores), axis=1) if self.n_outputs == 1 else scores


def check_indicator(y: Any, name: str) -> None:
    """Raise a ValueError if a 2-d y holds other values than 0 and 1."""
    found = np.unique(y.data if sparse.issparse(y) else y)
    if not np.isin(found, [0, 1]).all():
        raise ValueError(f"{name} must be an indicator of 0 and 1 if it has several columns, got {found[:5].tolist()}.")
