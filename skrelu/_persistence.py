"""The state of an estimator: the contents of a saved model, and the formats that can be read.

Pickle, joblib, cloudpickle and skops, and also `copy`, call `__getstate__` and `__setstate__`. The state is the
parameters and fitted attributes, marked with the number of the format. It holds types of Python and NumPy only. A file
names the estimators as `skrelu.DeepLogisticClassifier` and `skrelu.DeepLogisticClassifierCV`. It names no other path of
this package, so the private files can move.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator

from skrelu._fit.callbacks import drop_callbacks
from skrelu._laplace.moderation import Moderation
from skrelu._laplace.posterior import NoPosterior, Posterior
from skrelu._version import __version__

# Raised by one when the state changes so that __setstate__ of the release before could not read it. From then on
# __setstate__ here turns the older formats into the new one; tests/saved/ holds models of each format.
FORMAT = 4
_FORMAT_KEY = "_saved_by"


def _save_posterior(posterior: Posterior | NoPosterior) -> Any:
    return posterior.name if isinstance(posterior, NoPosterior) else posterior.to_state()


def _load_posterior(saved: Any) -> Posterior | NoPosterior:
    return NoPosterior[saved] if isinstance(saved, str) else Posterior.from_state(saved)


# Attributes that are saved as another type, which skops trusts and which takes less room than a list of numbers: the
# function that saves each, and the one that loads it.
_CONVERSIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "optimize_result_": (dict, OptimizeResult),
    "loss_curve_": (np.array, np.ndarray.tolist),
    "validation_scores_": (np.array, np.ndarray.tolist),
    "_posterior": (_save_posterior, _load_posterior),
}


class Persistent(BaseEstimator):
    """An estimator with a small state, which is marked with its format and checked when it is loaded."""

    predictive: str

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if self.predictive != "laplace" and isinstance(state.get("_posterior"), Posterior):
            state["_posterior"] = NoPosterior.NOT_SAVED
        drop_callbacks(state, is_fitted="classes_" in state)
        for name, (save, _) in _CONVERSIONS.items():
            if state.get(name) is not None:
                state[name] = save(state[name])
        return {**state, _FORMAT_KEY: {"skrelu": __version__, "format": FORMAT}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        mark = state.pop(_FORMAT_KEY, {})
        version, written_in = mark.get("skrelu", "an unknown version"), mark.get("format")
        if not isinstance(written_in, int) or not 1 <= written_in <= FORMAT:
            raise ValueError(
                f"This {type(self).__name__} was saved by skrelu {version} in format {written_in}, but skrelu "
                f"{__version__} reads formats 1 to {FORMAT}. Load it with the version that saved it, or fit it again."
            )
        if written_in == 1:
            _update_from_1(state)
        if written_in <= 2:
            _update_from_2(state)
        if written_in <= 3:
            _update_from_3(state)
        for name, (_, load) in _CONVERSIONS.items():
            if state.get(name) is not None:
                state[name] = load(state[name])
        super().__setstate__(state)


def _update_from_1(state: dict[str, Any]) -> None:
    """Turn a state of format 1 into one of format 2: the posterior was an object, None, or left out."""
    if state.get("_posterior") is not None:
        state["_posterior"] = vars(state["_posterior"])
    elif "coefs_" in state:
        is_measured = state.get("log_evidence_") is not None
        state["_posterior"] = (NoPosterior.NOT_SAVED if is_measured else NoPosterior.NOT_MEASURED).name


def _update_from_2(state: dict[str, Any]) -> None:
    """Turn a state of format 2 into one of format 3: moderation used Laplace's own variances."""
    if "coefs_" in state:
        state["laplace_scale_"] = None if state.get("log_evidence_") is None else 1.0
    if isinstance(state.get("_posterior"), dict):
        moderation = vars(Moderation.unscaled(state["n_outputs_"]))
        state["_posterior"] = {**state["_posterior"], "moderation": moderation}


def _update_from_3(state: dict[str, Any]) -> None:
    """Turn a state of format 3 into one of format 4: columns had the units of X."""
    state["standardize"] = False
    if "coefs_" in state:
        state["feature_mean_"] = state["feature_scale_"] = None
    if isinstance(state.get("_posterior"), dict):
        rows = state["_posterior"]["rows"]
        rows = {**rows, "center": None} if isinstance(rows, dict) else rows
        state["_posterior"] = {**state["_posterior"], "rows": rows, "standardization": None}
