"""A fixed alpha: the minimum of the literal objective, and what is measured there."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._fit.callbacks import FitTask, IterateTasks
from skrelu._fit.course import Course
from skrelu._fit.descent import Descent, Limits
from skrelu._fit.monitor import Monitor
from skrelu._fit.solver import Iterate
from skrelu._fit.strategy import FixedAlpha
from skrelu._laplace.evidence import Evidence
from tests import literal
from tests.problems import make_datafit, make_problem

ALPHAS = np.array([0.7, 2.0, 3.0, 5.0])


def make_descent(start):
    limits = Limits(max_iter=500, max_fun=10_000, tol=1e-9, n_iter_no_change=np.inf)
    return Descent(limits, Monitor(None, np.inf, 1e-9, False, ""), IterateTasks(FitTask.unwatched(), start))


def test_the_end_is_a_minimum_of_the_literal_objective():
    problem = make_problem("multiclass", (), n_samples=40)
    with Team(1) as team:
        datafit, _ = make_datafit(problem, team)
        strategy = FixedAlpha(Penalty(datafit.network, "feature", ALPHAS), None)
        start = np.zeros(datafit.network.n_parameters)
        descent = make_descent(start)
        course = strategy.descend(descent, datafit, start)
    assert course.solution.outcome.is_converged
    (coef,), (intercept,) = datafit.network.split(course.solution.iterate.parameters)
    loss, (W_grad,), (b_grad,) = literal.loss_and_gradient([coef.T], [intercept], problem.X, problem.targets)
    assert_allclose(W_grad + coef.T * ALPHAS[:3], 0, atol=1e-5)
    assert_allclose(b_grad, 0, atol=1e-5)
    penalty = sum(alpha * (row**2).sum() / 2 for alpha, row in zip(ALPHAS[:3], coef, strict=True))
    assert_allclose(course.solution.iterate.value, (loss + penalty) / 40, rtol=1e-12)
    assert [round_.first_iter for round_ in course.rounds] == [0]
    assert course.penalty is strategy.penalty
    assert course.measurement is None
    assert strategy.evidence_curve(course.rounds) is None


@pytest.mark.parametrize(("value", "other", "expected"), [(1.0, 2.0, True), (2.0, 1.0, False), (1.0, 1.0, False)])
def test_the_lower_objective_is_preferred(value, other, expected):
    run, other = (SimpleNamespace(kept=SimpleNamespace(value=v)) for v in (value, other))
    assert FixedAlpha(None, None).prefers(run, other) is expected


class TestMeasure:
    def at(self, team, evidence, dtype=np.float64, measurement=None):
        problem = make_problem("binary", (4,), scale=0.5)
        datafit, parameters = make_datafit(problem, team, X=problem.X.astype(dtype))
        penalty = Penalty.of(datafit.network, "shared", 2.0)
        course = Course(measurement=measurement)
        measured = FixedAlpha(penalty, evidence).measure(
            datafit, Iterate(5, parameters, np.nan, parameters), penalty, course
        )
        return problem, measured

    def test_nothing_is_measured_unless_it_is_wanted(self):
        with Team(1) as team:
            assert self.at(team, None)[1] is None
            assert self.at(team, None, measurement="measured")[1] is None

    def test_what_was_measured_is_not_measured_again(self):
        with Team(1) as team:
            assert self.at(team, Evidence(None, 0), measurement="measured")[1] == "measured"

    def test_the_value_that_is_known_is_taken(self):
        """The iterate above says that the objective is NaN there."""
        with Team(1) as team, pytest.raises(FloatingPointError, match="not finite"):
            self.at(team, Evidence(None, 0))

    def test_a_model_kept_in_float32_is_measured_as_it_is_kept(self):
        """Neither the measurement nor the value at the iterate, which is not kept to the bit, is taken."""
        with Team(1) as team:
            problem, measured = self.at(team, Evidence(10**6, 0), np.float32, measurement="measured")
        rounded = [
            [part.astype(np.float32).astype(float) for part in parts] for parts in (problem.W, problem.intercepts)
        ]
        X = problem.X.astype(np.float32).astype(float)
        G = literal.curvature(*rounded, X, False)
        loss, *_ = literal.loss_and_gradient(*rounded, X, problem.targets, alpha=2.0)
        log_determinant = np.linalg.slogdet(np.eye(len(G)) + G / 2.0)[1]
        assert_allclose(measured.log_evidence, -loss - 0.5 * log_determinant, rtol=1e-6)
        gamma = np.trace(np.linalg.solve(G + 2.0 * np.eye(len(G)), G))
        assert_allclose(measured.gamma, gamma, rtol=1e-10)  # of the weights before rounding 1e-8 is another one
        assert_array_equal(measured.penalty.alphas, [2.0])
