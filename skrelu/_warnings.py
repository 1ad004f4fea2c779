"""Warnings, given at the line outside this package that led to them."""

import sys
import warnings

_PASSED_OVER = ("skrelu", "sklearn.callback")  # the decorator of `fit` is scikit-learn's


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn of the caller's line: the innermost one that is neither in this package nor in the decorator of `fit`."""
    stacklevel, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_passed_over(frame.f_globals.get("__name__", "")):
        stacklevel, frame = stacklevel + 1, frame.f_back
    warnings.warn(message, category, stacklevel=stacklevel)


def _is_passed_over(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _PASSED_OVER)
