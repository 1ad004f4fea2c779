"""Checks of hyper-parameters before work begins. An error names the parameter, its value and the allowed values."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skrelu._core.arrays import Array


def check_hidden_layer_sizes(value: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple of int; an int means one layer, an empty sequence no hidden layer."""
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
    """Check all hyper-parameters except `hidden_layer_sizes` and `alpha`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not valid; the message names the first such parameter.
    """
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
    for name in ("early_stopping", "standardize"):
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_) and not (isinstance(value, str) and value == "auto"):
            kind = ValueError if isinstance(value, str) else TypeError
            raise kind(f"{name} must be True, False or 'auto', got {value!r}.")
    make_random_state(estimator.random_state)
    _check_class_weight_values(estimator.class_weight)


def make_random_state(value: Any) -> np.random.RandomState:
    """Return the RandomState that a `random_state` stands for; raise a ValueError if scikit-learn does not take it.

    A scikit-learn that takes a Generator is followed: the RandomState then draws from the bits of the Generator.
    """
    try:
        state = check_random_state(value)
    except ValueError as error:
        advice = ""
        if isinstance(value, np.random.Generator):
            advice = (
                " The installed scikit-learn takes no numpy.random.Generator: draw a seed from it, "
                "random_state=int(rng.integers(2**31))."
            )
        raise ValueError(
            f"random_state must be None, an int in [0, 2**32 - 1] or a numpy.random.RandomState, got {value!r}.{advice}"
        ) from error
    return np.random.RandomState(state.bit_generator) if isinstance(state, np.random.Generator) else state


def check_alpha(estimator: Any, n_layers: int) -> None:
    """Raise a TypeError or a ValueError unless alpha is 'evidence', a number, or a number for each layer."""
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
    columns = class_weight if isinstance(class_weight, list | tuple) else [class_weight]
    if not columns or not all(isinstance(column, dict) for column in columns):
        kind = ValueError if isinstance(class_weight, str) else TypeError
        raise kind(
            "class_weight must be None, 'balanced', a dict from class to weight or, for multilabel targets, a list of "
            f"such dicts, got {class_weight!r}."
        )
    for label, weight in (item for column in columns for item in column.items()):
        if not isinstance(weight, Real) or not 0 < float(weight) < np.inf:
            raise ValueError(f"class_weight must hold finite weights > 0, got {weight!r} for class {label!r}.")


def check_alphas(value: Any) -> Array:
    """Return `alphas` as a float64 array in ascending order; an integer n stands for n values from 0.01 to 100."""
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
