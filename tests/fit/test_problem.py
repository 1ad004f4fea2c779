"""The problem of a fit: data terms, starting points, and how large its numbers are."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.penalty import Penalty
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from tests import literal
from tests.problems import KINDS, make_fit_problem, make_problem


def penalty_of(problem, alpha=1.0):
    return Penalty.of(problem.network, "shared", alpha)


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_terms_are_the_means_over_training_and_held_out_rows(kind):
    given = make_problem(kind, n_samples=20)
    s = np.random.RandomState(0).uniform(0.5, 2, 20)
    problem = make_fit_problem(given, s, n_held_out=6)
    parameters = problem.network.join(given.coefs, given.intercepts)
    with Team(1) as team:
        datafits = problem.datafits(team)
        for datafit, part in zip(datafits, (slice(0, 14), slice(14, 20)), strict=True):
            total, *_ = literal.loss_and_gradient(
                given.W, given.intercepts, given.X[part], given.targets[part], s[part]
            )
            assert_allclose(datafit.value(parameters), total / s[part].sum(), rtol=1e-12)
            assert_allclose(datafit.total_weight, s[part].sum(), rtol=1e-14)


def test_without_held_out_rows_there_is_one_data_term():
    with Team(1) as team:
        training, validation = make_fit_problem(make_problem("binary")).datafits(team)
    assert validation is None
    assert training.n_rows == 13


def test_each_start_is_drawn_anew():
    problem = make_fit_problem(make_problem("binary"))
    starts = list(problem.starts(3, None, np.random.RandomState(5)))
    state = np.random.RandomState(5)
    assert len(starts) == 3
    for start in starts:
        assert_array_equal(start, problem.network.initial_parameters(state))
    assert not np.array_equal(starts[0], starts[1])


def test_the_first_start_continues_a_previous_fit():
    problem = make_fit_problem(make_problem("binary"))
    previous = np.arange(problem.network.n_parameters, dtype=float)
    starts = list(problem.starts(2, previous, np.random.RandomState(5)))
    assert starts[0] is previous
    assert_array_equal(starts[1], problem.network.initial_parameters(np.random.RandomState(5)))


def test_starts_are_drawn_when_they_are_asked_for():
    """A search that ends after the first start draws no second one."""
    problem, state = make_fit_problem(make_problem("binary")), np.random.RandomState(5)
    next(problem.starts(10, None, state))
    expected = np.random.RandomState(5)
    problem.network.initial_parameters(expected)
    assert state.rand() == expected.rand()


class TestStandardization:
    units = Standardization(np.array([30.0, -2.0, 5.0]), np.array([0.5, 20.0, 0.0]))

    def make(self, n_held_out=0, dtype=np.float64, units=None, **options):
        """Return a problem whose fit has standardised columns, and its rows and parameters."""
        given = make_problem("multiclass", n_samples=20, **options)
        given.X[:, 2] = 5.0
        problem = make_fit_problem(given, n_held_out=n_held_out, dtype=dtype)
        problem = replace(problem, standardization=units or self.units)
        return problem, given, problem.network.join(given.coefs, given.intercepts)

    def test_the_data_terms_of_training_and_held_out_rows_have_the_same_units(self):
        problem, given, parameters = self.make(n_held_out=6)
        coefs, intercepts = problem.network.split(problem.as_kept(parameters))
        W = [coef.T for coef in coefs]
        with Team(1) as team:
            for datafit, part in zip(problem.datafits(team), (slice(0, 14), slice(14, 20)), strict=True):
                total, *_ = literal.loss_and_gradient(W, intercepts, given.X[part], given.targets[part])
                assert_allclose(datafit.value(parameters), total / (part.stop - part.start), rtol=1e-9)

    @pytest.mark.parametrize("hidden", [(), (5, 4)])
    def test_as_kept_has_the_scores_of_the_network_on_the_rows_as_given(self, hidden):
        problem, given, parameters = self.make(hidden=hidden)
        before = parameters.copy()
        coefs, intercepts = problem.network.split(problem.as_kept(parameters))
        assert_array_equal(parameters, before)
        for x, z in zip(given.X, self.units.rows(given.X), strict=True):
            actual = literal.score([coef.T for coef in coefs], intercepts, x)
            assert_allclose(actual, literal.score(given.W, given.intercepts, z), rtol=1e-9, atol=1e-9)
        assert not coefs[0][2].any()
        for layer, expected in zip(coefs[1:], given.coefs[1:], strict=True):
            assert_array_equal(layer, expected)

    def test_in_units_of_fit_is_the_inverse(self):
        problem, _, parameters = self.make()
        problem.network.layers(parameters)[0][2] = 0  # of the constant column
        kept = problem.as_kept(parameters)
        before = kept.copy()
        assert_allclose(problem.in_units_of_fit(kept), parameters, rtol=1e-10, atol=1e-12)
        assert_array_equal(kept, before)
        without = replace(problem, standardization=None)
        assert_array_equal(without.as_kept(parameters), parameters)
        assert without.in_units_of_fit(parameters) is parameters

    @pytest.mark.parametrize(("distance", "dtype"), [(200.0, np.float32), (300.0, np.float64)])
    def test_where_a_mean_is_far_float32_cannot_hold_the_intercepts(self, distance, dtype):
        units = Standardization(np.array([distance, 0.0, 0.0]), np.ones(3))
        problem, _, parameters = self.make(dtype=np.float32, units=units)
        assert problem.as_kept(parameters).dtype == dtype
        double, _, parameters = self.make(units=units)
        assert double.as_kept(parameters).dtype == np.float64

    def test_a_start_is_drawn_for_standardised_columns(self):
        problem, _, _ = self.make()
        start = problem.start(np.random.RandomState(5))
        expected = problem.network.initial_parameters(np.random.RandomState(5))
        layer = problem.network.layers(start)[0]
        assert not layer[2].any()  # of the constant column
        problem.network.layers(expected)[0][2] = 0
        assert_array_equal(start, expected)
        assert_array_equal(next(problem.starts(1, None, np.random.RandomState(5))), start)

    def test_a_previous_fit_is_continued_in_the_units_of_this_one(self):
        problem, given, _ = self.make()
        previous = problem.network.join(given.coefs, given.intercepts)
        first, second = problem.starts(2, previous, np.random.RandomState(5))
        coefs, intercepts = problem.network.split(first)
        for x, z in zip(given.X, self.units.rows(given.X), strict=True):
            actual = literal.score([coef.T for coef in coefs], intercepts, z)
            assert_allclose(actual, literal.score(given.W, given.intercepts, x), rtol=1e-9, atol=1e-9)
        assert_array_equal(second, problem.start(np.random.RandomState(5)))


class TestScale:
    def describe(self, X=(), X_val=None, weight=None, alpha=1.0, container=np.asarray):
        given = make_problem("binary")
        weights = None if weight is None else np.full(13, weight)
        problem = make_fit_problem(given, weights)
        rows = given.X / np.abs(given.X).max()
        problem = replace(problem, training=replace(problem.training, X=container(rows * X)))
        if X_val is not None:
            problem = replace(problem, validation=replace(problem.training, X=container(rows * X_val)))
        return problem.describe_scale(penalty_of(problem, alpha))

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("sign", [-1, 1])
    def test_large_data(self, sign, container):
        text = self.describe(X=sign * 2e8, container=container)
        assert text == "X holds values up to 2e+08, alpha over the total weight is 0.0769. Standardise X."

    def test_large_validation_data(self):
        text = self.describe(X=3.0, X_val=2e8)
        assert "X holds values up to 3, the validation data hold values up to 2e+08, alpha" in text
        assert text.endswith("Standardise X.")

    @pytest.mark.parametrize(("weight", "alpha", "expected"), [(1e-300, 1.0, "7.69e+298"), (2.0, 52.0, "2")])
    def test_small_data(self, weight, alpha, expected):
        text = self.describe(X=1e6, weight=weight, alpha=alpha)
        assert text.endswith(f"alpha over the total weight is {expected}. Rescale sample_weight and alpha.")

    def test_the_strongest_alpha_is_told_also_where_the_quotient_overflows(self):
        problem = make_fit_problem(make_problem("binary"), np.full(13, 1e-320))
        penalty = Penalty.of(problem.network, "layer", np.array([1.0, 3.0, 2.0]))
        with np.errstate(all="raise"):
            assert "alpha over the total weight is inf" in problem.describe_scale(penalty)
        problem = make_fit_problem(make_problem("binary"))
        assert "alpha over the total weight is 0.231." in problem.describe_scale(penalty)
