"""Warnings that name the line of the caller, outside this package."""

import sys
import warnings

_SKIPPED_MODULES = ("skrelu", "sklearn.callback", "contextlib")  # the decorators of `fit` and of context managers


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the caller's line: the innermost one that is neither in this package nor in the decorator of `fit`."""
    stacklevel, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_skipped(frame.f_globals.get("__name__", "")):
        stacklevel, frame = stacklevel + 1, frame.f_back
    warnings.warn(message, category, stacklevel=stacklevel)


def _is_skipped(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _SKIPPED_MODULES)
