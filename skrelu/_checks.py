"""Hyper-parameters and data that cannot be right, named before work begins."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from skrelu._labels import Labels, check_indicator
from skrelu._typing import Array, Rows

FLOAT_DTYPES = (np.float64, np.float32)


def check_hidden_layer_sizes(value: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple of int; an int stands for one layer, an empty sequence for none."""
    if _is_integer(value):
        sizes = [value]
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
        sizes = list(value)
    else:
        raise TypeError(f"hidden_layer_sizes must be an int or a sequence of int, got {value!r}.")
    if not all(_is_integer(size) for size in sizes):
        raise TypeError(f"hidden_layer_sizes must hold integers >= 1, got {value!r}.")
    if not all(size >= 1 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must hold integers >= 1, got {value!r}.")
    return tuple(int(size) for size in sizes)


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_parameters(estimator: Any) -> None:
    """Raise a TypeError or a ValueError that names the first hyper-parameter, of any but the layers, not allowed."""
    _check_number(estimator, "tol", Real, "in [0, inf)", lambda value: 0 <= value < np.inf)
    _check_number(estimator, "validation_fraction", Real, "in (0, 1)", lambda value: 0 < value < 1)
    if not isinstance(estimator.n_curvature_terms, str) or estimator.n_curvature_terms != "auto":
        _check_number(estimator, "n_curvature_terms", Integral, ">= 1 (or 'auto')", lambda value: value >= 1)
    _check_choice(estimator, "alpha_grouping", ("shared", "layer", "feature"))
    _check_choice(estimator, "predictive", ("map", "laplace"))
    for name in ("max_iter", "max_fun", "n_init"):
        _check_number(estimator, name, Integral, ">= 1", lambda value: value >= 1)
    if estimator.n_iter_no_change != np.inf:
        _check_number(estimator, "n_iter_no_change", Integral, ">= 1 (or numpy.inf)", lambda value: value >= 1)
    if estimator.n_jobs is not None:
        _check_number(estimator, "n_jobs", Integral, "None, or not 0", lambda value: value != 0)
    if not isinstance(estimator.verbose, bool | np.bool_):
        _check_number(estimator, "verbose", Integral, ">= 0", lambda value: value >= 0)
    if not isinstance(estimator.warm_start, bool | np.bool_):
        raise TypeError(f"warm_start must be True or False, got {estimator.warm_start!r}.")
    if not isinstance(estimator.early_stopping, bool | np.bool_):
        if not isinstance(estimator.early_stopping, str):
            raise TypeError(f"early_stopping must be True, False or 'auto', got {estimator.early_stopping!r}.")
        if estimator.early_stopping != "auto":
            raise ValueError(f"early_stopping must be True, False or 'auto', got {estimator.early_stopping!r}.")
    try:
        check_random_state(estimator.random_state)
    except ValueError as error:
        raise ValueError(
            f"random_state must be None, an int in [0, 2**32 - 1] or a numpy.random.RandomState, "
            f"got {estimator.random_state!r}."
        ) from error
    _check_class_weight_values(estimator.class_weight)


def check_alpha(estimator: Any, n_layers: int) -> None:
    """Raise a TypeError or a ValueError unless alpha is 'evidence', a number, or one for each layer."""
    alpha = estimator.alpha
    allowed = f"a number in [0, inf), 'evidence', or a sequence of {n_layers} number(s), one for each layer"
    if isinstance(alpha, str):
        if alpha != "evidence":
            raise ValueError(f"alpha must be {allowed}, got {alpha!r}.")
        return
    values = np.asarray(alpha, dtype=object)
    if not all(isinstance(value, Real) and not isinstance(value, bool) for value in values.ravel()):
        raise TypeError(f"alpha must be {allowed}, got {alpha!r}.")
    if values.ndim and values.shape != (n_layers,):
        raise ValueError(f"alpha must be {allowed}, got shape {values.shape}.")
    if not all(0 <= value < np.inf for value in values.ravel()):
        raise ValueError(f"alpha must be {allowed}, got {alpha!r}.")
    if estimator.predictive == "laplace" and not values.all():
        raise ValueError(f"alpha must be positive if predictive='laplace', got {alpha!r}: without it nothing is sure.")


def _check_choice(estimator: Any, name: str, allowed: tuple[str, ...]) -> None:
    value = getattr(estimator, name)
    if not isinstance(value, str) or value not in allowed:
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{name} must be one of {list(allowed)}, got {value!r}.")


def _check_number(estimator: Any, name: str, kind: type, allowed: str, is_allowed: Any) -> None:
    value = getattr(estimator, name)
    noun = "an integer" if kind is Integral else "a number"
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} must be {noun} {allowed}, got {value!r}.")
    if not is_allowed(value):
        raise ValueError(f"{name} must be {noun} {allowed}, got {value!r}.")


def _check_class_weight_values(class_weight: Any) -> None:
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, dict):
        kind = ValueError if isinstance(class_weight, str) else TypeError
        raise kind(f"class_weight must be None, 'balanced' or a dict from class to weight, got {class_weight!r}.")
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 < float(weight) < np.inf:
            raise ValueError(f"class_weight must hold finite weights > 0, got {weight!r} for class {label!r}.")


def check_alphas(value: Any) -> Array:
    """Return the penalties to choose from as an ascending float64 array; an integer asks for that many."""
    if _is_integer(value):
        if value < 2:
            raise ValueError(f"alphas must be an integer >= 2, or numbers > 0 to choose from, got {value!r}.")
        return np.logspace(-2, 2, int(value))
    try:
        alphas = np.asarray(value)
    except ValueError as error:  # lists of several lengths
        raise TypeError(f"alphas must be an integer >= 2, or a 1-d array of numbers > 0, got {value!r}.") from error
    if alphas.ndim != 1 or alphas.dtype.kind not in "iuf":
        raise TypeError(f"alphas must be an integer >= 2, or a 1-d array of numbers > 0, got {value!r}.")
    alphas = np.sort(alphas.astype(np.float64))
    if not len(alphas) or not (alphas > 0).all() or not np.isfinite(alphas).all():
        raise ValueError(f"alphas must hold at least one number, all of them in (0, inf), got {value!r}.")
    return alphas


def validate_rows(estimator: Any, X: Any, *args: Any, **options: Any) -> Any:
    """Call scikit-learn's `validate_data`, which converts X to CSR or to a dtype that is computed in, without noise."""
    try:
        with np.errstate(all="ignore"):  # the sum that looks for NaN may overflow
            return validate_data(estimator, X, *args, accept_sparse="csr", dtype=FLOAT_DTYPES, **options)
    except (ValueError, TypeError) as error:
        is_promotion = isinstance(error, np.exceptions.DTypePromotionError)  # dates beside numbers
        if not is_promotion and "could not convert" not in str(error) and "float() argument" not in str(error):
            raise
        raise type(error)(f"X must hold numbers: {error}. Encode other columns, e.g. by OneHotEncoder.") from error


def check_each_label(y: Any, name: str) -> None:
    """Refuse labels that are missing, or partly strings: NumPy would turn them all into strings, or fail to sort them.

    Of a column in a data frame, whatever it holds, this looks at the labels that NumPy makes of it.
    """
    try:
        labels = np.array(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    except ValueError:  # rows of several lengths, which scikit-learn refuses
        return
    flat, kinds = labels.ravel(), set[type]()
    if labels.dtype.kind in "mM":
        are_missing = np.isnat(flat)
    elif labels.dtype == object and labels.ndim:
        kinds = set(map(type, flat))
        unsure = tuple(kind for kind in kinds if _may_be_missing(kind))
        are_missing = np.array([isinstance(label, unsure) and _is_missing(label) for label in flat] if unsure else [])
    else:  # missing numbers are NaN by now, and found with X's
        return
    if are_missing.any():
        place = int(are_missing.argmax())
        row = place // (len(flat) // len(labels))
        raise ValueError(f"{name} must hold a label in every row, but row {row} has none: {flat[place]!r}.")
    if len({issubclass(kind, str) for kind in kinds}) > 1:
        raise TypeError(f"{name} must hold labels of one kind, got a mix of strings and other objects.")


# pandas need not be there to tell its NA by, and NA is not equal to anything, not even to itself.
def _may_be_missing(kind: type) -> bool:
    missing = kind.__name__ in ("NoneType", "NAType", "NaTType")
    return missing or issubclass(kind, float | np.floating | np.datetime64 | np.timedelta64)


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ == "NAType" or bool(label != label)


def check_sample_weight(sample_weight: Any, X: Rows, name: str = "sample_weight") -> Array | None:
    """Return the weights as float64 of shape (n_samples,), or None if there are none.

    Raises
    ------
    ValueError
        If they are not finite, negative, all zero, or not one per row.
    """
    if sample_weight is None:
        return None
    try:
        weights: Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise type(error)(str(error) if name in str(error) else f"{name} is not valid: {error}") from error
    if weights.min() < 0:
        raise ValueError(f"{name} must not be negative, got {weights.min()}.")
    if not weights.any():
        raise ValueError(f"{name} must hold at least one positive weight, all {len(weights)} are zero.")
    return weights


def check_class_weight(class_weight: Any, labels: Labels) -> None:
    """Refuse weights for classes that are not there, and weights where rows have several labels."""
    if class_weight is None:
        return
    if labels.is_multilabel:
        raise ValueError("class_weight must be None for multilabel targets, where a row has no single class.")
    if isinstance(class_weight, dict):
        known = set(labels.classes.tolist())
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise ValueError(
                f"class_weight names classes that y does not hold: {unknown}; y holds {labels.classes.tolist()}."
            )


def check_known_labels(y_val: Array, labels: Labels) -> None:
    """Refuse validation labels that the training labels do not include, or of another shape."""
    n_columns = 1 if y_val.ndim == 1 else y_val.shape[1]
    if n_columns != (labels.n_outputs if labels.is_multilabel else 1):
        raise ValueError(f"y_val must be like y, got shape {y_val.shape} for {labels.n_outputs} output(s).")
    if labels.is_multilabel:
        check_indicator(y_val, "y_val")
        return
    unknown = np.setdiff1d(y_val, labels.classes)
    if len(unknown):
        raise ValueError(f"y_val holds labels that y does not: {unknown.tolist()}; y holds {labels.classes.tolist()}.")
