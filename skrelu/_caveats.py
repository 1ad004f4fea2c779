"""Warnings about a fit whose result cannot be trusted: each says why, and what to do."""

from typing import Any

from sklearn.exceptions import ConvergenceWarning

from skrelu._data.labels import Labels
from skrelu._fit.course import Run
from skrelu._fit.outcome import Outcome
from skrelu._fit.problem import Problem
from skrelu._laplace.measurement import Measurement
from skrelu._warnings import warn_caller

_MIN_EFFECTIVE_ROWS_PER_CLASS = 2  # fewer say next to nothing about alpha
_MIN_GAMMA = 1.0  # the number of weights that the rows determine
_MAX_MEAN_LEVERAGE = 0.75  # of the drawn terms: docs/decisions/0007 has the measurements behind it


def warn_of_weights(total_weight: float, n_rows: int, labels: Labels) -> None:
    """Warn if the weights make the rows count as too few, unless they are too few without weights."""
    n_needed = _MIN_EFFECTIVE_ROWS_PER_CLASS * (2 if labels.is_multilabel else len(labels.classes))
    if total_weight < n_needed < n_rows:
        warn_caller(
            f"The weights differ so much that the {n_rows} training rows count as {total_weight:.3g} "
            "(Kish's effective number of rows), too few for the evidence to choose alpha. Use weights that differ "
            "less, in sample_weight or class_weight, or set alpha to a number.",
            UserWarning,
        )


def warn_of_run(run: Run, estimator: Any, problem: Problem) -> None:
    """Warn of a fit that was interrupted, that ended before it found a minimum, or whose alpha is not to be trusted."""
    outcome = run.outcome
    if outcome is Outcome.INTERRUPTED:
        warn_caller("Training interrupted by user. The best iterate so far is kept.", UserWarning)
    elif outcome.advice:
        is_raw = problem.standardization is None
        first = "If the columns of X have different units, set standardize=True. " if is_raw else ""
        warn_caller(
            f"L-BFGS ended before it found a minimum: {outcome.message} (n_iter_={run.n_iter}, max_iter="
            f"{estimator.max_iter}, max_fun={estimator.max_fun}). {first}{outcome.advice}",
            ConvergenceWarning,
        )
    elif run.measurement is not None and isinstance(getattr(estimator, "alpha", None), str):
        _warn_of_measurement(run.measurement)


def _warn_of_measurement(measurement: Measurement) -> None:
    curvature = measurement.curvature
    if measurement.gamma < _MIN_GAMMA:
        warn_caller(
            "The training rows do not determine the network: the number of weights that they determine, "
            f"n_effective_parameters_, is {measurement.gamma:.2g}. So alpha has grown until the model predicts little "
            "more than the frequencies of the classes. The features may say nothing about y, or the rows are too few; "
            "set alpha to a number to fit a network in spite of that.",
            UserWarning,
        )
    elif curvature.mean_leverage > _MAX_MEAN_LEVERAGE:
        warn_caller(
            f"The {len(curvature.terms.numbers)} terms drawn for the curvature are used up: the rows determine more "
            "weights than so few terms can show, so n_effective_parameters_ is too small, and alpha less certain. Set "
            "n_curvature_terms to a larger number, such as four times as many.",
            UserWarning,
        )
