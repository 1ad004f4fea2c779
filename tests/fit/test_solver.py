import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import rosen, rosen_der

from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import NotFiniteError, minimize

LIMITS = {"max_iter": 500, "max_fun": 15_000, "tol": 1e-8, "value_tol": 1e-14}


def rosenbrock(x):
    return rosen(x), rosen_der(x)


def watch(iterates, stop_after=None, outcome=Outcome.CALLBACK):
    def on_iterate(iterate):
        iterates.append(iterate)
        return outcome if iterate.number == stop_after else None

    return on_iterate


def test_it_finds_a_minimum_and_tells_every_iterate():
    iterates = []
    solution = minimize(rosenbrock, np.zeros(5), **LIMITS, on_iterate=watch(iterates))
    assert solution.outcome in (Outcome.GRADIENT, Outcome.VALUE)
    assert solution.outcome.is_success
    assert_allclose(solution.iterate.parameters, np.ones(5), atol=1e-6)
    assert [iterate.number for iterate in iterates] == list(range(len(iterates)))
    for iterate in iterates:
        assert iterate.value == rosen(iterate.parameters)
        assert_array_equal(iterate.gradient, rosen_der(iterate.parameters))
    assert all(later.value <= earlier.value for earlier, later in itertools.pairwise(iterates))
    assert solution.iterate is iterates[-1]


def test_the_start_is_evaluated_once():
    points = []

    def objective(x):
        points.append(x.copy())
        return rosenbrock(x)

    solution = minimize(objective, np.zeros(3), **LIMITS, on_iterate=watch([]))
    assert solution.n_evaluations == len(points)
    assert sum(np.array_equal(point, np.zeros(3)) for point in points) == 1


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"max_iter": 3}, Outcome.MAX_ITER),
        ({"max_fun": 4}, Outcome.MAX_FUN),
        ({"tol": 1.0}, Outcome.GRADIENT),
        ({"tol": 0.0, "value_tol": 1e-3}, Outcome.VALUE),
    ],
)
def test_the_outcome_says_why_it_ended(changes, outcome):
    solution = minimize(rosenbrock, np.zeros(4), **(LIMITS | changes), on_iterate=watch([]))
    assert solution.outcome is outcome
    assert outcome.is_success == (outcome in (Outcome.GRADIENT, Outcome.VALUE))


@pytest.mark.parametrize("stop_after", [0, 1, 5])
def test_whoever_watches_may_stop_it(stop_after):
    iterates = []
    on_iterate = watch(iterates, stop_after, Outcome.EARLY_STOPPING)
    solution = minimize(rosenbrock, np.zeros(4), **LIMITS, on_iterate=on_iterate)
    assert solution.outcome is Outcome.EARLY_STOPPING
    assert solution.iterate.number == stop_after == len(iterates) - 1


def test_a_minimum_at_the_start_is_no_iteration():
    solution = minimize(rosenbrock, np.ones(4), **LIMITS, on_iterate=watch([]))
    assert (solution.iterate.number, solution.outcome) == (0, Outcome.GRADIENT)


@pytest.mark.parametrize("beyond", [np.inf, -np.inf, np.nan])
def test_steps_into_overflow_are_shortened(beyond):
    """Finite within 1.2 only, the minimum at 1: the first steps of L-BFGS leave that region."""

    def objective(x):
        if np.abs(x).max() > 1.2:
            return beyond, np.full_like(x, np.nan)
        return 1e3 * rosen(x), 1e3 * rosen_der(x)

    solution = minimize(objective, np.full(4, -1.1), **LIMITS, on_iterate=watch([]))
    assert_allclose(solution.iterate.parameters, np.ones(4), atol=1e-4)


def test_a_step_into_overflow_is_shortened_tenfold():
    points = []

    def objective(x):
        points.append(x.copy())
        if x[0] > 0.2:
            return np.inf, np.full_like(x, np.nan)
        return float(x @ x), 2 * x

    solution = minimize(objective, np.array([-0.7]), **LIMITS, on_iterate=watch([]))
    assert_allclose(points[1], [0.3], rtol=1e-12)  # the first step has length 1
    assert_allclose(points[2], [-0.6], rtol=1e-12)
    assert solution.outcome is Outcome.GRADIENT


def test_a_wall_of_overflow_ends_at_the_last_finite_iterate():
    def objective(x):
        with np.errstate(all="ignore"):
            return (-x.sum(), -np.ones_like(x)) if x.max() <= 3.0 else (np.inf, np.full_like(x, np.inf))

    solution = minimize(objective, np.zeros(2), **LIMITS, on_iterate=watch([]))
    assert solution.outcome is Outcome.OVERFLOW
    assert not solution.outcome.is_success
    assert 2.0 < solution.iterate.parameters.max() <= 3.0
    assert np.isfinite(solution.iterate.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("slope", [1.0, 1e200, np.nan])
def test_a_start_that_is_not_finite_is_an_error(value, slope):
    with pytest.raises(NotFiniteError, match="starting point"):
        minimize(lambda x: (value, np.full_like(x, slope)), np.zeros(2), **LIMITS, on_iterate=watch([]))


def test_a_gradient_whose_square_overflows_is_an_error():
    with pytest.raises(NotFiniteError, match="starting point"):
        minimize(lambda x: (0.0, np.full_like(x, 1e200)), np.zeros(2), **LIMITS, on_iterate=watch([]))


def test_a_line_search_that_finds_nothing_says_so():
    def objective(x):  # the slope at the start leads up
        return float(np.abs(x).sum()), np.sign(x - 1)

    solution = minimize(objective, np.zeros(2), **LIMITS, on_iterate=watch([]))
    assert solution.outcome is Outcome.LINE_SEARCH


def test_a_line_search_that_fails_for_want_of_digits_has_converged():
    def objective(x):  # a bowl whose values are rounded, but not its slopes
        return float(np.round(x @ x, 6)), 2 * x

    solution = minimize(objective, np.array([1.0, 0.3]), **(LIMITS | {"value_tol": 1e-9}), on_iterate=watch([]))
    assert solution.outcome.is_success
    assert np.abs(solution.iterate.parameters).max() < 1e-2


@pytest.mark.parametrize("seed", [1, 4])
def test_digits_are_counted_relative_to_the_value(seed):
    """The line search fails after a last fall of about 4, which is small for a value of 1e9 with noise of 10."""
    rng = np.random.RandomState(seed)
    bend, start = rng.uniform(0.5, 8, 3), rng.randn(3)

    def objective(x):
        return float(1e9 * (1 + bend @ x**2 + 1e-8 * np.sin(1e9 * x.sum()))), 2e9 * bend * x

    solution = minimize(objective, start, **(LIMITS | {"value_tol": 1e-10}), on_iterate=watch([]))
    assert solution.outcome is Outcome.VALUE


def test_an_interrupt_keeps_the_last_iterate():
    iterates = []

    def objective(x):
        if len(iterates) == 4:
            raise KeyboardInterrupt
        return rosenbrock(x)

    solution = minimize(objective, np.zeros(4), **LIMITS, on_iterate=watch(iterates))
    assert solution.outcome is Outcome.INTERRUPTED
    assert solution.iterate is iterates[3]


def test_an_interrupt_before_the_first_point_is_passed_on():
    def objective(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(objective, np.zeros(4), **LIMITS, on_iterate=watch([]))
