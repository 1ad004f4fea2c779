"""Runs of L-BFGS on Rosenbrock's function that share one budget."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.optimize import rosen, rosen_der

from skrelu._fit.descent import Descent, Limits
from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome

START = np.array([-1.2, 1.0, 0.5, -0.3])


class Rosenbrock:
    """Stands in for an objective and counts its evaluations."""

    precision = 1e-15

    def __init__(self, factor=1.0):
        self.factor = factor
        self.n_evaluations = 0

    def value_and_gradient(self, parameters):
        self.n_evaluations += 1
        return self.factor * rosen(parameters), self.factor * rosen_der(parameters)


class Tasks:
    """Stands in for the tasks of the iterates, and asks to stop after some of them."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.ended = []
        self.n_begun = 0

    def begin(self):
        self.n_begun += 1

    def end(self, parameters):
        self.ended.append(parameters)
        return len(self.ended) == self.stop_after


def make_descent(tasks=None, n_iter_no_change=np.inf, validate=None, tol=1e-8, **limits):
    limits = Limits(**{"max_iter": 500, "max_fun": 15_000} | limits, tol=tol, n_iter_no_change=n_iter_no_change)
    monitor = Monitor(validate, n_iter_no_change, tol, verbose=False, name="iterate")
    return Descent(limits, monitor, tasks or Tasks())


def test_a_run_to_the_minimum():
    descent, objective = make_descent(), Rosenbrock()
    solution = descent.run(objective, START)
    assert solution.outcome.is_converged
    assert np.abs(rosen_der(solution.iterate.parameters)).max() < 1e-6
    assert descent.n_iter == solution.iterate.number == len(descent.monitor.loss_curve)
    assert descent.n_evaluations == solution.n_evaluations == objective.n_evaluations
    assert descent.spent is None


def test_counts_add_up_over_runs_and_numbering_continues():
    tasks = Tasks()
    descent, objective = make_descent(tasks), Rosenbrock()
    first = descent.run(objective, START, 4)
    assert (first.iterate.number, first.outcome, descent.n_iter) == (4, Outcome.MAX_ITER, 4)
    assert descent.spent is None  # this run had its iterations, the descent has more
    n_first = objective.n_evaluations
    second = descent.run(objective, first.iterate.parameters, 3)
    assert (second.iterate.number, descent.n_iter) == (7, 7)
    assert first.n_evaluations + second.n_evaluations == objective.n_evaluations == descent.n_evaluations
    assert second.n_evaluations == objective.n_evaluations - n_first
    assert len(descent.monitor.loss_curve) == 7
    assert len(tasks.ended) == 7  # a start is no iterate
    assert tasks.n_begun == objective.n_evaluations
    assert_array_equal(tasks.ended[-1], second.iterate.parameters)
    assert [rosen(parameters) for parameters in tasks.ended] == descent.monitor.loss_curve


def test_runs_share_max_iter():
    descent, objective = make_descent(max_iter=6), Rosenbrock()
    solution = descent.run(objective, START, 4)
    solution = descent.run(objective, solution.iterate.parameters, 4)
    assert descent.n_iter == solution.iterate.number == 6
    assert solution.outcome is Outcome.MAX_ITER
    assert descent.spent is Outcome.MAX_ITER


def test_runs_share_max_fun():
    descent, objective = make_descent(max_fun=9), Rosenbrock()
    solution = descent.run(objective, START, 4)
    assert descent.n_evaluations < 9
    assert descent.spent is None
    solution = descent.run(objective, solution.iterate.parameters)
    assert solution.outcome is Outcome.MAX_FUN
    assert descent.spent is Outcome.MAX_FUN
    assert 9 <= objective.n_evaluations == descent.n_evaluations < 9 + 5  # the iterate under way is completed
    alone, objective = make_descent(), Rosenbrock()
    alone.run(objective, START)
    assert objective.n_evaluations > 2 * 9


@pytest.mark.parametrize(("n_done", "expected"), [(4, None), (5, Outcome.MAX_ITER)])
def test_the_budget_of_iterations_ends_where_it_says(n_done, expected):
    descent = make_descent(max_iter=5)
    descent.run(Rosenbrock(), START, n_done)
    assert descent.spent is expected


@pytest.mark.parametrize(("left", "expected"), [(1, None), (0, Outcome.MAX_FUN)])
def test_the_budget_of_evaluations_ends_where_it_says(left, expected):
    counted = make_descent()
    counted.run(Rosenbrock(), START, 3)
    descent = make_descent(max_fun=counted.n_evaluations + left)
    descent.run(Rosenbrock(), START, 3)
    assert descent.n_evaluations == counted.n_evaluations
    assert descent.spent is expected


def test_a_task_may_end_the_run():
    tasks = Tasks(stop_after=3)
    descent = make_descent(tasks)
    solution = descent.run(Rosenbrock(), START)
    assert (solution.outcome, solution.iterate.number, descent.n_iter) == (Outcome.CALLBACK, 3, 3)
    assert_array_equal(solution.iterate.parameters, tasks.ended[-1])


def test_a_callback_is_named_where_patience_ends_the_run_too():
    losses = iter([1.0, 2.0, 3.0, 4.0])
    descent = make_descent(Tasks(stop_after=2), n_iter_no_change=1, validate=lambda parameters: next(losses))
    assert descent.run(Rosenbrock(), START).outcome is Outcome.CALLBACK


def test_the_monitor_may_end_the_run():
    losses = iter([1.0, 0.5, 2.0, 3.0, 4.0])
    descent = make_descent(n_iter_no_change=1, validate=lambda parameters: next(losses))
    solution = descent.run(Rosenbrock(), START)
    assert (solution.outcome, solution.iterate.number) == (Outcome.EARLY_STOPPING, 3)
    assert descent.monitor.best.number == 1


def test_another_objective_may_be_higher_at_the_same_point():
    descent = make_descent()
    first = descent.run(Rosenbrock(), START, 3)
    second = descent.run(Rosenbrock(factor=1e3), first.iterate.parameters)
    assert second.outcome.is_converged
    assert descent.monitor.loss_curve[3] > descent.monitor.loss_curve[2]
    assert descent.monitor.best.number == descent.n_iter


@pytest.mark.parametrize("factor", [1.0, 1e-3])
def test_a_run_goes_to_tol_times_a_factor(factor):
    descent = make_descent(tol=1e-2)
    solution = descent.run(Rosenbrock(), START, tol_factor=factor)
    assert solution.outcome is Outcome.GRADIENT
    steepest = [np.abs(rosen_der(parameters)).max() for parameters in descent._tasks.ended]
    assert steepest[-1] <= 1e-2 * factor < min(steepest[:-1])


def test_the_factor_is_of_one_run_only():
    descent = make_descent(tol=1e-2)
    first = descent.run(Rosenbrock(), START, tol_factor=1e-6)
    second = descent.run(Rosenbrock(factor=1e5), first.iterate.parameters)
    assert second.n_evaluations == 1  # within tol already, although not within 1e-8
    assert np.abs(1e5 * rosen_der(second.iterate.parameters)).max() > 1e-8


@pytest.mark.parametrize(("factor", "is_progress"), [(1.0, True), (0.0, False)])
def test_progress_is_measured_by_the_same_tolerance(factor, is_progress):
    """The last iterates lower the objective by less than 1000, where the gradient is still larger."""
    descent = make_descent(tol=1e3, n_iter_no_change=2)
    solution = descent.run(Rosenbrock(factor=1e5), START, tol_factor=factor)
    assert (solution.outcome is Outcome.PROGRESS) is is_progress


@pytest.mark.parametrize("factor", [1.0, 1e-6])
def test_the_tolerance_of_the_validation_score_stays(factor):
    losses = iter(1 - 0.001 * np.arange(1000))  # the score rises by less than tol
    descent = make_descent(tol=0.01, n_iter_no_change=3, validate=lambda parameters: next(losses))
    solution = descent.run(Rosenbrock(), START, tol_factor=factor)
    assert (solution.outcome, solution.iterate.number) == (Outcome.EARLY_STOPPING, 4)
