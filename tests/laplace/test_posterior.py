"""Variances against the inverse of the full matrix, and the state that is saved."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.arrays import CentredRows
from skrelu._core.penalty import Penalty
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._laplace.curvature import Curvature
from skrelu._laplace.moderation import Moderation
from skrelu._laplace.posterior import NoPosterior, Posterior
from tests import literal
from tests.problems import KINDS, make_datafit, make_problem

N_GROUPS = {"shared": 1, "layer": 2, "feature": 4}


def make_posterior(problem, grouping="feature", container=np.asarray, dtype=np.float64, n_terms=10**6):
    """Return the posterior, and the inverse of A over all weights where all terms are taken."""
    alphas = np.random.RandomState(1).uniform(0.5, 3, N_GROUPS[grouping])
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team, container(problem.X.astype(dtype)))
        penalty = Penalty(datafit.network, grouping, alphas)
        terms = datafit.sample_terms(parameters, n_terms, 0)
        curvature = Curvature(datafit.network.layers(parameters), terms, penalty.per_layer)
    G = literal.curvature(problem.W, problem.intercepts, problem.X, problem.is_multinomial)
    alpha_of_each = alphas[literal.group_of_each_weight(problem.W, grouping)]
    moderation = Moderation(0.1, np.arange(1.0, 1 + datafit.network.layer_sizes[-1]))
    return Posterior.of(curvature, np.dtype(dtype), moderation, None), np.linalg.inv(G + np.diag(alpha_of_each))


def both_variances(posterior, problem, X, is_relative=False, n_jobs=1):
    return posterior.variances(problem.coefs, problem.intercepts, X, is_relative=is_relative, n_jobs=n_jobs)


def variances(*arguments, **options):
    return both_variances(*arguments, **options)[0]


class TestVariances:
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("is_relative", [False, True])
    @pytest.mark.parametrize("grouping", N_GROUPS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_they_are_those_of_the_full_matrix(self, kind, grouping, is_relative, container):
        problem = make_problem(kind, (4,))
        posterior, inverse = make_posterior(problem, grouping, container)
        new = np.random.RandomState(3).randn(6, 3)
        actual = variances(posterior, problem, container(new), is_relative)
        n_outputs = problem.coefs[-1].shape[1]
        assert actual.shape == (6, n_outputs)
        for x, row in zip(new, actual, strict=True):
            J = literal.jacobian(problem.W, problem.intercepts, x)
            J = J - J.mean(axis=0) if is_relative else J
            if is_relative and n_outputs == 1:  # a score less itself
                assert_allclose(row, 0, atol=1e-12)
            else:
                assert_allclose(row, np.diag(J @ inverse @ J.T), rtol=1e-8)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("is_relative", [False, True])
    @pytest.mark.parametrize("grouping", N_GROUPS)
    def test_those_of_the_prior_are_in_the_same_units(self, grouping, is_relative, container):
        """J diag(1 / alpha) J^T, of which the labels leave less."""
        problem = make_problem("multiclass", (4,))
        posterior, _ = make_posterior(problem, grouping, container)
        alphas = np.random.RandomState(1).uniform(0.5, 3, N_GROUPS[grouping])
        alpha_of_each = alphas[literal.group_of_each_weight(problem.W, grouping)]
        new = np.random.RandomState(3).randn(6, 3)
        given, prior = both_variances(posterior, problem, container(new), is_relative)
        for x, row in zip(new, prior, strict=True):
            J = literal.jacobian(problem.W, problem.intercepts, x)
            J = J - J.mean(axis=0) if is_relative else J
            assert_allclose(row, np.diag(J / alpha_of_each @ J.T), rtol=1e-10)
        assert (given <= prior + 1e-12).all()
        assert given.sum() < 0.9 * prior.sum()

    def test_the_order_in_memory_and_the_number_of_threads_change_no_bit(self, monkeypatch):
        problem = make_problem("multiclass", (4,))
        posterior, _ = make_posterior(problem)
        new = np.random.RandomState(3).randn(50, 3)
        expected = variances(posterior, problem, new)
        assert_array_equal(variances(posterior, problem, np.asfortranarray(new)), expected)
        monkeypatch.setattr("skrelu._laplace.posterior._MAX_VALUES", 7 * 39)  # blocks of 7 rows
        by_one = variances(posterior, problem, new)
        assert_allclose(by_one, expected, rtol=1e-12)
        assert_array_equal(variances(posterior, problem, new, n_jobs=3), by_one)

    def test_rows_of_float32_are_computed_in_float64(self):
        problem = make_problem("binary", (4,))
        problem.X = problem.X.astype(np.float32).astype(float)
        single, double = (make_posterior(problem, dtype=dtype)[0] for dtype in (np.float32, np.float64))
        assert single.rows.dtype == np.float32
        new = np.random.RandomState(3).randn(5, 3).astype(np.float32)
        actual = variances(single, problem, new)
        assert actual.dtype == np.float64
        assert_allclose(actual, variances(double, problem, new.astype(float)), rtol=1e-12)

    def test_the_terms_explain_their_own_rows(self):
        """More data leave less variance, and without a term it is that of the prior: ||J||^2 / alpha."""
        problem = make_problem("binary", ())
        posterior, _ = make_posterior(problem, "shared")
        far = 1e-3 * np.eye(3)
        prior = np.sum(far**2, axis=1) / posterior.alphas[0]
        assert np.all(variances(posterior, problem, far)[:, 0] < 0.8 * prior)
        doubled = make_problem("binary", ())
        doubled.X, doubled.y = np.vstack([doubled.X] * 2), np.concatenate([doubled.y] * 2)
        more, _ = make_posterior(doubled, "shared")
        assert np.all(variances(more, doubled, far) < variances(posterior, problem, far))


class TestStandardization:
    """Against the posterior of rows that are standardised explicitly."""

    units = Standardization(np.array([30.0, -2.0, 0.0]), np.array([0.5, 20.0, 1.0]))

    def both(self, kind, grouping="feature", container=np.asarray, n_terms=10**6):
        """Return a problem of standardised rows with its posterior, and the same in the units of X."""
        problem = make_problem(kind, (4,))
        expected, _ = make_posterior(problem, grouping, n_terms=n_terms)
        given = self.in_given_units(problem)
        alphas = np.random.RandomState(1).uniform(0.5, 3, N_GROUPS[grouping])
        with Team(1) as team:
            X = container(given.X)
            datafit, _ = make_datafit(given, team, X, standardization=self.units)
            parameters = datafit.network.join(problem.coefs, problem.intercepts)
            terms = datafit.sample_terms(parameters, n_terms, 0)
            penalty = Penalty(datafit.network, grouping, alphas)
            curvature = Curvature(datafit.network.layers(parameters), terms, penalty.per_layer)
        actual = Posterior.of(curvature, np.dtype(float), expected.moderation, self.units)
        return problem, expected, given, actual

    def in_given_units(self, problem):
        layer = np.vstack([problem.coefs[0], problem.intercepts[0]])
        given = self.units.to_given(layer)
        X = problem.X / self.units.factor + self.units.center
        coefs, intercepts = [given[:-1], *problem.coefs[1:]], [given[-1], *problem.intercepts[1:]]
        return replace(problem, X=X, coefs=coefs, intercepts=intercepts)

    @pytest.mark.parametrize("others", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("is_relative", [False, True])
    @pytest.mark.parametrize("grouping", N_GROUPS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_variances(self, kind, grouping, is_relative, container, others):
        """For new rows of any container, whatever that of the training rows was."""
        problem, expected, given, actual = self.both(kind, grouping, container)
        new = np.random.RandomState(3).randn(6, 3)
        expected = both_variances(expected, problem, new, is_relative)
        actual = both_variances(actual, given, others(new / self.units.factor + self.units.center), is_relative)
        for part, expected_part in zip(actual, expected, strict=True):
            assert_allclose(part, expected_part, rtol=1e-8, atol=1e-9)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_a_part_of_the_terms(self, container):
        problem, expected, given, actual = self.both("multiclass", container=container, n_terms=15)
        new = np.random.RandomState(3).randn(6, 3)
        expected = both_variances(expected, problem, new)
        actual = both_variances(actual, given, container(new / self.units.factor + self.units.center))
        for part, expected_part in zip(actual, expected, strict=True):
            assert_allclose(part, expected_part, rtol=1e-8)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    def test_the_state_comes_back(self, container):
        _, _, given, posterior = self.both("multiclass", container=container)
        assert isinstance(posterior.rows, CentredRows) is (container is not np.asarray)
        state = posterior.to_state()
        assert set(state["standardization"]) == {"center", "factor"}
        if isinstance(state["rows"], dict):
            assert set(state["rows"]) == {"data", "indices", "indptr", "shape", "center"}
            assert {type(part) for part in state["rows"].values()} == {np.ndarray, tuple}
        back = Posterior.from_state(state)
        assert type(back.rows) is type(posterior.rows)
        assert_array_equal(back.standardization.center, self.units.center)
        assert_array_equal(back.standardization.factor, self.units.factor)
        new = container(np.random.RandomState(3).randn(6, 3) + self.units.center)
        assert_array_equal(variances(back, given, new), variances(posterior, given, new))


class TestState:
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_the_same_bits_come_back(self, dtype, container):
        problem = make_problem("multiclass", (4,))
        posterior, _ = make_posterior(problem, container=container, dtype=dtype, n_terms=20)
        back = Posterior.from_state(posterior.to_state())
        assert back.rows.dtype == dtype
        new = container(np.random.RandomState(3).randn(6, 3))
        assert_array_equal(variances(back, problem, new), variances(posterior, problem, new))
        for name in ("slopes", "factor"):
            assert_array_equal(getattr(back, name), getattr(posterior, name))
        assert back.moderation.scale == 0.1
        assert_array_equal(back.moderation.reach, [1.0, 2.0, 3.0])

    def test_the_state_holds_arrays_and_types_of_python(self):
        problem = make_problem("multiclass", (4,))
        for container in (np.asarray, sparse.csr_array):
            state = make_posterior(problem, container=container)[0].to_state()
            assert set(state) == {"rows", "slopes", "alphas", "factor", "moderation", "standardization"}
            assert set(state["moderation"]) == {"scale", "reach"}
            assert state["standardization"] is None
            rows = dict(state["rows"]) if isinstance(state["rows"], dict) else {"rows": state["rows"]}
            assert rows.pop("center", None) is None
            parts = [*rows.values(), state["slopes"], *state["alphas"], state["factor"], *state["moderation"].values()]
            assert {type(part) for part in parts} <= {np.ndarray, np.float64, float, tuple}
            assert isinstance(state["rows"], dict) == (container is sparse.csr_array)

    def test_of_the_factor_the_triangle_is_kept(self):
        posterior, _ = make_posterior(make_problem("binary", (4,)), n_terms=9)
        assert len(posterior.factor) == 9
        assert_array_equal(posterior.factor, np.tril(posterior.factor))
        assert posterior.to_state()["factor"].shape == (45,)

    def test_the_posterior_is_as_it_was(self):
        posterior, _ = make_posterior(make_problem("binary", (4,)), container=sparse.csr_array)
        factor, rows = posterior.factor, posterior.rows
        posterior.to_state()
        assert posterior.factor is factor
        assert posterior.rows is rows


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PENDING", ["when the fit has ended"]),
        ("NOT_MEASURED", ["alpha='evidence'", "predictive='laplace'", "curvature"]),
        ("NOT_SAVED", ["pickles and copies", "set_params", "predictive='laplace'", "before pickling"]),
    ],
)
def test_why_there_is_no_posterior_is_a_sentence_for_the_user(name, words):
    """The names are part of the saved format; no other may appear without a new one."""
    sentence = NoPosterior[name].value
    assert all(word in sentence for word in words)
    assert sentence.startswith("Variances ")
    assert sentence.endswith(".")
    assert {reason.name for reason in NoPosterior} == {"PENDING", "NOT_MEASURED", "NOT_SAVED"}
