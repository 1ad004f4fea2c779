"""Private names of scikit-learn, except those of callbacks. If scikit-learn changes them, only this file breaks."""

from copy import copy
from inspect import signature
from typing import Any

from sklearn import get_config
from sklearn.utils._array_api import _is_numpy_namespace, get_namespace
from sklearn.utils._metadata_requests import _raise_for_params
from sklearn.utils.validation import _check_method_params, _check_sample_weight

from skrelu._core.arrays import Array

__all__ = [
    "_check_method_params",
    "_check_sample_weight",
    "_raise_for_params",
    "is_foreign_array",
    "scorer_takes_weights",
    "scorer_with_labels",
]


def is_foreign_array(array: Any) -> bool:
    """Return whether scikit-learn would leave the array to another library than NumPy, such as torch or CuPy.

    It does so only under `config_context(array_api_dispatch=True)`; otherwise it converts what it can.
    """
    if not get_config()["array_api_dispatch"]:
        return False
    if hasattr(array, "__array_namespace__"):
        return str(array.__array_namespace__().__name__).partition(".")[0] != "numpy"
    try:  # torch and dask have no such method
        namespace, is_array = get_namespace(array)
    except TypeError:  # no array, for example None or a table
        return False
    return bool(is_array) and not _is_numpy_namespace(namespace)


def scorer_takes_weights(scorer: Any) -> bool:
    """Return whether a scorer takes `sample_weight`; scikit-learn's scorers take any keyword, so they are asked."""
    if hasattr(scorer, "_accept_sample_weight"):
        return bool(scorer._accept_sample_weight())
    return "sample_weight" in signature(scorer).parameters


def scorer_with_labels(scorer: Any, classes: Array) -> Any:
    """Return a scorer that tells its metric all the labels if the metric takes `labels`, otherwise the same one.

    As in LogisticRegressionCV the metric also gets `pos_label` if it takes that and there are two labels: the second
    one. What the scorer has set already stays.
    """
    parameters = signature(scorer._score_func).parameters if hasattr(scorer, "_score_func") else {}
    if "labels" not in parameters:
        return scorer
    options: dict[str, Any] = {"labels": classes}
    if len(classes) == 2 and "pos_label" in parameters:
        # An average over the labels has no positive one, and would warn.
        is_average = scorer._kwargs.get("average", "binary") != "binary"
        options["pos_label"] = None if is_average else classes[-1]
    scorer = copy(scorer)
    scorer._kwargs = options | scorer._kwargs
    return scorer
