"""The fitted attributes that tell how a fit went and what the evidence said."""

from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from skrelu._posterior import Posterior
from skrelu._problem import Problem
from skrelu._restarts import Run
from skrelu._typing import Array


def describe_run(run: Run) -> dict[str, Any]:
    """Return the record of the search."""
    outcome = run.outcome
    return {
        "loss_": run.kept.value,
        "best_loss_": min(run.loss_curve, default=run.kept.value),
        "loss_curve_": run.loss_curve,
        "validation_scores_": run.validation_scores,
        "best_validation_score_": run.score,
        "n_iter_": run.n_iter,
        "optimize_result_": OptimizeResult(
            fun=run.kept.value,
            nit=run.n_iter,
            nfev=run.n_evaluations,
            status=outcome.status,
            success=outcome.is_success,
            message=outcome.message,
        ),
    }


def describe_evidence(problem: Problem, run: Run) -> dict[str, Any]:
    """Return the penalty, and what the curvature tells of it where that was measured."""
    measure, course = run.measure, run.course
    is_by_feature = problem.penalty.divides_features
    alphas = run.alphas / problem.weight_scale
    curve = None
    if course is not None:
        rounds = [alphas for alphas, _, _ in course.measures]
        curve = {
            "n_iter": np.array(course.measured_at, dtype=np.intp),
            "alpha": _unwrap(np.reshape(rounds, (-1, problem.penalty.n_groups)) / problem.weight_scale),
            "n_effective_parameters": np.array([gamma for _, gamma, _ in course.measures]),
            "log_evidence": np.array([log_evidence for _, _, log_evidence in course.measures]),
        }
    return {
        "alpha_": _unwrap(alphas)[()],
        "log_evidence_": None if measure is None else measure.log_evidence,
        "n_effective_parameters_": None if measure is None else float(measure.gammas.sum()),
        "evidence_curve_": curve,
        "feature_relevance_": (1 / alphas[:-1]) / (1 / alphas[:-1]).sum() if is_by_feature else None,
        "_posterior": None if measure is None else Posterior.of(measure.curvature, problem.training.X.dtype),
    }


def _unwrap(alphas: Array) -> Array:
    """Drop the axis of the groups if there is but one."""
    return alphas[..., 0] if alphas.shape[-1] == 1 else alphas
