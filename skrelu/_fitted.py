"""The network and the labels that the attributes of an estimator describe, written by a fit or set by hand.

The weights decide. `n_outputs_`, `n_layers_` and `n_features_in_` need not be there. Where the weights say otherwise,
they are of an earlier fit and do not count.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from skrelu._core.arrays import Array
from skrelu._data.labels import Labels

_NEEDED = ("coefs_", "intercepts_", "classes_")


class FittedNetwork(NamedTuple):
    """The weights as arrays of float64 or float32, and the labels of their scores."""

    coefs: list[Array]
    intercepts: list[Array]
    labels: Labels

    @property
    def n_features(self) -> int:
        return int(self.coefs[0].shape[0])

    @property
    def is_relative(self) -> bool:
        """Whether only the differences of scores have a meaning."""
        return self.labels.loss.out_activation == "softmax"

    def check_finite(self) -> None:
        """Raise a ValueError that names the first array with a number that is not finite."""
        for name, arrays in (("coefs_", self.coefs), ("intercepts_", self.intercepts)):
            for l, array in enumerate(arrays):
                if not np.isfinite(array).all():
                    raise ValueError(f"{name}[{l}] holds numbers that are not finite.")


def read_network(estimator: Any) -> FittedNetwork:
    """Return the network of `coefs_` and `intercepts_`, with the labels `classes_`.

    One output belongs to two classes. Several outputs are those of as many classes, or of as many labels if
    `out_activation_` is 'logistic' and `n_outputs_` is missing or their number. Every prediction calls this, so it only
    looks at types and shapes.

    Raises
    ------
    NotFittedError
        If one of the three attributes is missing.
    ValueError
        If they are not numbers, or do not fit together.
    """
    try:
        coefs, intercepts, classes = estimator.coefs_, estimator.intercepts_, estimator.classes_
    except AttributeError:
        raise NotFittedError(_say_missing(estimator)) from None
    if not _are_of_a_fit(coefs, intercepts):
        coefs, intercepts = _read_layers(coefs, intercepts)
    n_outputs = coefs[-1].shape[1]
    if type(classes) is not np.ndarray:
        classes = np.asarray(classes)
    n_classes = 2 if n_outputs == 1 else n_outputs
    if classes.shape != (n_classes,):
        raise ValueError(
            f"classes_ must hold {n_classes} labels for the {n_outputs} column(s) of coefs_[-1], got shape "
            f"{classes.shape}. Two classes have one column, more classes or labels have one column each."
        )
    activation = "logistic"
    if n_outputs > 1:
        is_of_these = getattr(estimator, "n_outputs_", n_outputs) == n_outputs
        activation = getattr(estimator, "out_activation_", "softmax") if is_of_these else "softmax"
        if activation not in ("softmax", "logistic"):
            raise ValueError(
                "out_activation_ must be 'softmax' for classes or 'logistic' for multilabel targets, got "
                f"{activation!r}."
            )
    return FittedNetwork(coefs, intercepts, Labels.fitted(classes, n_outputs, activation))


def _say_missing(estimator: Any) -> str:
    *others, last = [name for name in _NEEDED if not hasattr(estimator, name)]
    missing = f"{', '.join(others)} and {last}" if others else last
    return (
        f"This {type(estimator).__name__} has no {missing}: call fit, or set coefs_, intercepts_ and classes_ (for "
        "multilabel targets also out_activation_='logistic')."
    )


def _are_of_a_fit(coefs: Any, intercepts: Any) -> bool:
    """Return whether the layers are as a fit writes them: a quick look, so that a prediction of one row stays fast."""
    if type(coefs) is not list or type(intercepts) is not list or not 0 < len(coefs) == len(intercepts):
        return False
    n_in = None
    for coef, intercept in zip(coefs, intercepts, strict=True):
        if type(coef) is not np.ndarray or type(intercept) is not np.ndarray or coef.ndim != 2:
            return False
        n_rows, n_out = coef.shape
        if intercept.shape != (n_out,) or not n_out or n_rows != (n_in or n_rows):
            return False
        if coef.dtype.char not in "df" or intercept.dtype.char not in "df":
            return False
        n_in = n_out
    return True


def _read_layers(coefs: Any, intercepts: Any) -> tuple[list[Array], list[Array]]:
    """Return the weights and the biases as arrays, after a check of their shapes."""
    coefs, intercepts = _read_arrays(coefs, "coefs_", 2), _read_arrays(intercepts, "intercepts_", 1)
    if not coefs or len(coefs) != len(intercepts):
        raise ValueError(
            f"coefs_ and intercepts_ must hold one array for each layer, got {len(coefs)} and {len(intercepts)} arrays."
        )
    n_in = coefs[0].shape[0]
    for l, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        n_rows, n_out = coef.shape
        if n_rows != n_in:
            raise ValueError(
                f"coefs_[{l}] must have {n_in} rows, as coefs_[{l - 1}] has columns, got shape {coef.shape}."
            )
        if not n_out:
            raise ValueError(f"coefs_[{l}] must have at least one column, got shape {coef.shape}.")
        if intercept.shape[0] != n_out:
            raise ValueError(f"intercepts_[{l}] must have shape ({n_out},), got {intercept.shape}.")
        n_in = n_out
    return coefs, intercepts


def _read_arrays(values: Any, name: str, n_dims: int) -> list[Array]:
    if not isinstance(values, list | tuple | np.ndarray) or (isinstance(values, np.ndarray) and not values.ndim):
        raise ValueError(f"{name} must be a list of arrays, one for each layer, got {type(values).__name__}.")
    return [_read_array(value, f"{name}[{l}]", n_dims) for l, value in enumerate(values)]


def _read_array(value: Any, name: str, n_dims: int) -> Array:
    """Return an array in its own dtype if that is float64 or float32, otherwise in float64."""
    must = f"{name} must be a {n_dims}-d array of numbers"
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:  # lists of several lengths
        raise ValueError(f"{must}: {error}") from error
    if array.ndim != n_dims or array.dtype.kind not in "biuf":
        raise ValueError(f"{must}, got shape {array.shape} and dtype {array.dtype}.")
    return array if array.dtype.char in "df" else array.astype(np.float64)
