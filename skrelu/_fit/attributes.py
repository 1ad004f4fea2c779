"""The fitted attributes: the network, the record of the descent, and the results of the evidence."""

from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from skrelu._core.arrays import Array, Parameters
from skrelu._fit.course import Run
from skrelu._fit.problem import Problem
from skrelu._laplace.moderation import Moderation
from skrelu._laplace.posterior import NoPosterior, Posterior


def describe_network(problem: Problem, parameters: Parameters) -> dict[str, Any]:
    """Return the attributes that `predict` needs, in the units of the data."""
    standardization = problem.standardization
    with np.errstate(all="ignore"):
        coefs, intercepts = problem.network.split(problem.as_kept(parameters))
    return {
        "classes_": problem.labels.classes,
        "n_layers_": len(problem.network.layer_sizes),
        "n_outputs_": problem.labels.n_outputs,
        "out_activation_": problem.labels.loss.out_activation,
        "coefs_": coefs,
        "intercepts_": intercepts,
        "feature_mean_": None if standardization is None else standardization.center,
        "feature_scale_": None if standardization is None else standardization.scale,
        "_posterior": NoPosterior.PENDING,
    }


def describe_fit(problem: Problem, run: Run) -> dict[str, Any]:
    """Return all fitted attributes."""
    network = describe_network(problem, run.kept.parameters)
    return network | _describe_run(run) | _describe_evidence(problem, run)


def _describe_run(run: Run) -> dict[str, Any]:
    return {
        "loss_": run.kept.value,
        # With validation the best iterate is that of the validation score, as in MLPClassifier.
        "best_loss_": min(run.loss_curve, default=run.kept.value) if run.validation_scores is None else None,
        "loss_curve_": run.loss_curve,
        "validation_scores_": run.validation_scores,
        "best_validation_score_": run.score,
        "n_iter_": run.n_iter,
        "optimize_result_": OptimizeResult(
            fun=run.kept.value,
            nit=run.n_iter,
            nfev=run.n_evaluations,
            status=run.outcome.status,
            success=run.outcome.is_success,
            message=run.outcome.message,
        ),
    }


def _describe_evidence(problem: Problem, run: Run) -> dict[str, Any]:
    """Return the attributes of the penalty, of the evidence and of the posterior."""
    measurement, alphas = run.measurement, run.penalty.alphas
    curve = run.evidence_curve
    if curve is not None:
        curve = curve | {"alpha": _unwrap(curve["alpha"])}
    posterior: Posterior | NoPosterior = NoPosterior.NOT_MEASURED
    moderation = None
    if measurement is not None:
        moderation = run.moderation or Moderation.unscaled(problem.labels.n_outputs)
        posterior = Posterior.of(measurement.curvature, problem.dtype, moderation, problem.standardization)
    return {
        "alpha_": _unwrap(alphas)[()],
        "log_evidence_": None if measurement is None else measurement.log_evidence,
        "n_effective_parameters_": None if measurement is None else measurement.gamma,
        "evidence_curve_": curve,
        "feature_relevance_": _relevances(run) if run.penalty.is_by_feature else None,
        "laplace_scale_": None if moderation is None else moderation.scale,
        "_posterior": posterior,
    }


def _relevances(run: Run) -> Array:
    """Return gamma_j / alpha_j of each feature j over their sum; where nothing was measured, ||w_j||^2 in its place.

    Both are the same at a fixed point of the evidence. A column of zeros has gamma_j = 0, although its alpha is finite.
    """
    if run.measurement is None:
        sizes = run.penalty.squared_norms(run.kept.parameters)[:-1]
    else:
        sizes = run.measurement.gammas[:-1] / run.measurement.penalty.alphas[:-1]
    total = sizes.sum()
    return sizes / total if total > 0 else sizes


def _unwrap(alphas: Array) -> Array:
    """Drop the axis of the groups if there is only one group."""
    return alphas[..., 0] if alphas.shape[-1] == 1 else alphas
