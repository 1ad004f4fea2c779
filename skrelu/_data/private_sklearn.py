"""The private names of scikit-learn that skrelu uses, but for those of callbacks: one place breaks if they change."""

from inspect import signature
from typing import Any

from sklearn.utils.validation import _check_method_params, _check_sample_weight

__all__ = ["_check_method_params", "_check_sample_weight", "scorer_takes_weights"]


def scorer_takes_weights(scorer: Any) -> bool:
    """Return whether a scorer takes `sample_weight`; scikit-learn's own take any keyword and say so elsewhere."""
    if hasattr(scorer, "_accept_sample_weight"):
        return bool(scorer._accept_sample_weight())
    return "sample_weight" in signature(scorer).parameters
