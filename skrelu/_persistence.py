"""What a saved model holds, and which saved models can be read.

Pickle, joblib, cloudpickle and skops, and `copy` too, ask an estimator for its state and give it back. The state is
parameters and fitted attributes, with a mark of the format in which they are written. It holds types of Python and
NumPy only, but for the posterior, whose type is skrelu's own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

from skrelu._version import __version__

# Raised by one when a saved model changes in a way that __setstate__ of the release before would not understand. Then
# __setstate__ here turns the older formats into the new one; tests/saved/ holds models of each release.
FORMAT = 1
_MARK = "_saved_by"

# What is saved as another type: one that skops trusts, and that takes less room than a list of numbers.
_SAVED_AS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "optimize_result_": (dict, OptimizeResult),
    "loss_curve_": (np.array, np.ndarray.tolist),
    "validation_scores_": (np.array, np.ndarray.tolist),
}

# What scikit-learn's callbacks leave on an estimator while it is fitted; a copy of it that a hook is given is no part
# of that fit.
_WHILE_FITTED = ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown")


class Persistent(BaseEstimator):
    """An estimator whose state is small, marked with its format, and checked when it comes back."""

    predictive: str

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if self.predictive != "laplace":
            state.pop("_posterior", None)
        for name in _WHILE_FITTED:
            state.pop(name, None)
        if "classes_" in state:  # callbacks have watched this fit; those of an unfitted estimator go along to workers
            state.pop("_skl_callbacks", None)
        for name, (save, _) in _SAVED_AS.items():
            if state.get(name) is not None:
                state[name] = save(state[name])
        return {**state, _MARK: {"skrelu": __version__, "format": FORMAT}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        mark = state.pop(_MARK, {})
        version, written_in = mark.get("skrelu", "an unknown version"), mark.get("format")
        if not isinstance(written_in, int) or not 1 <= written_in <= FORMAT:
            raise ValueError(
                f"This {type(self).__name__} was saved by skrelu {version} in format {written_in}, but skrelu "
                f"{__version__} reads formats 1 to {FORMAT}. Load it with the version that saved it, or fit it again."
            )
        for name, (_, load) in _SAVED_AS.items():
            if state.get(name) is not None:
                state[name] = load(state[name])
        super().__setstate__(state)
