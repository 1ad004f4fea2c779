"""The record of a descent, by hand."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._fit.course import Course, Round, Run
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate, Solution
from skrelu._laplace.measurement import Measurement

NETWORK = Network((2, 1))


def penalty(alpha):
    return Penalty.of(NETWORK, "shared", alpha)


def iterate(number, value=1.0):
    return Iterate(number, np.full(3, float(number)), value, np.zeros(3), is_start=number == 0)


def make_course():
    """Rounds that begin at iterates 0, 10 and 17, of alphas 1, 2 and 3."""
    course = Course()
    for first_iter, last_iter, alpha in ((0, 10, 1.0), (10, 17, 2.0), (17, 40, 3.0)):
        course.begin(Round(first_iter, penalty(alpha)), Solution(iterate(last_iter), Outcome.VALUE, 5))
    return course


@pytest.mark.parametrize(
    ("number", "alpha"),
    [(0, 1.0), (1, 1.0), (9, 1.0), (10, 1.0), (11, 2.0), (17, 2.0), (18, 3.0), (40, 3.0)],
)
def test_the_iterate_at_which_a_round_begins_was_found_under_the_penalty_before(number, alpha):
    assert make_course().penalty_at(iterate(number)).alphas.tolist() == [alpha]


def test_the_penalty_of_the_solution_is_the_latest():
    assert make_course().penalty.alphas.tolist() == [3.0]


def test_a_round_brings_the_solution_that_it_led_to():
    course = make_course()
    assert course.solution.iterate.number == 40
    assert len(course.rounds) == 3
    assert course.measurement is None


def test_another_outcome_leaves_the_iterate():
    course = make_course()
    before = course.solution
    course.end(Outcome.INTERRUPTED)
    assert course.solution.outcome is Outcome.INTERRUPTED
    assert course.solution.iterate is before.iterate
    assert course.solution.n_evaluations == before.n_evaluations
    assert before.outcome is Outcome.VALUE


def test_the_outcome_is_that_of_the_latest_solution():
    course = make_course()
    course.begin(Round(40, penalty(4.0)), Solution(iterate(41), Outcome.MAX_FUN, 5))
    assert course.outcome is Outcome.MAX_FUN
    course.end(Outcome.ALPHA)
    assert course.outcome is Outcome.ALPHA


def test_a_course_begins_empty_and_shares_nothing():
    one, other = Course(), Course()
    one.begin(Round(0, penalty(1.0)), Solution(iterate(1), Outcome.VALUE, 1))
    assert other.rounds == []
    assert other.solution is None


def test_a_round_that_was_measured():
    before = Round(10, penalty(2.0))
    assert before.last_iter is None
    assert np.isnan([before.gamma, before.log_evidence]).all()
    after = before.measured(20, Measurement(before.penalty, np.array([1.5, 2.25]), -7.0, None, n_terms=350))
    assert (after.first_iter, after.last_iter, after.gamma, after.log_evidence) == (10, 20, 3.75, -7.0)
    assert after.penalty is before.penalty
    assert before.last_iter is None


@pytest.mark.parametrize("loss_curve", [[], [3.0], [3.0, 2.0, 1.0]])
def test_a_run_has_as_many_iterations_as_losses(loss_curve):
    """The start is none, and the kept iterate may come before the last one."""
    run = Run(iterate(0), None, loss_curve, None, 9, Outcome.VALUE, penalty(1.0), None, None)
    assert run.n_iter == len(loss_curve)
    assert_array_equal(run.kept.parameters, np.zeros(3))
