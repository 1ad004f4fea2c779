"""Private names of scikit-learn, except those of callbacks. If scikit-learn changes them, only this file breaks."""

from inspect import signature
from typing import Any

from sklearn.utils.validation import _check_method_params, _check_sample_weight

__all__ = ["_check_method_params", "_check_sample_weight", "scorer_takes_weights"]


def scorer_takes_weights(scorer: Any) -> bool:
    """Return whether a scorer takes `sample_weight`; scikit-learn's scorers take any keyword, so they are asked."""
    if hasattr(scorer, "_accept_sample_weight"):
        return bool(scorer._accept_sample_weight())
    return "sample_weight" in signature(scorer).parameters
