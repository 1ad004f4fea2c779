"""The evidence against the full matrix over all weights, and the updates of alpha by hand."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._laplace.curvature import Curvature
from skrelu._laplace.evidence import Evidence
from tests import literal
from tests.problems import KINDS, make_datafit, make_problem

ALL = 10**6


def make_objective(problem, team, grouping="shared", alphas=1.0, **options):
    datafit, parameters = make_datafit(problem, team, **options)
    return Objective(datafit, Penalty.of(datafit.network, grouping, alphas)), parameters


def by_hand(problem, grouping, alphas, s=None):
    """Return gamma of each group and the log evidence, F being a sum."""
    groups = literal.group_of_each_weight(problem.W, grouping)
    G = literal.curvature(problem.W, problem.intercepts, problem.X, problem.is_multinomial, s)
    A = G + np.diag(alphas[groups])
    F, *_ = literal.loss_and_gradient(problem.W, problem.intercepts, problem.X, problem.targets, s)
    F += sum(alphas[groups] * np.concatenate([coef.ravel() for coef in problem.coefs]) ** 2) / 2
    shares = 1 - alphas[groups] * np.diag(np.linalg.inv(A))
    gammas = [shares[groups == g].sum() for g in range(len(alphas))]
    # log|I + K| = log|A| - log|diag(alpha)|
    return gammas, -F - 0.5 * (np.linalg.slogdet(A)[1] - np.log(alphas[groups]).sum())


class TestMeasure:
    @pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
    @pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_it_is_that_of_the_full_matrix(self, weighted, kind, grouping, hidden):
        problem = make_problem(kind, hidden)
        n_groups = {"shared": 1, "layer": len(hidden) + 1, "feature": 4}[grouping]
        alphas = np.random.RandomState(1).uniform(0.5, 3, n_groups)
        s = np.random.RandomState(2).uniform(0.5, 5, 13) if weighted else None
        gammas, log_evidence = by_hand(problem, grouping, alphas, s)
        with Team(1) as team:
            objective, parameters = make_objective(problem, team, grouping, alphas, sample_weight=s)
            measurement = Evidence(None, 0).measure(objective, parameters, ALL)
        assert_allclose(measurement.gammas, gammas, rtol=1e-7, atol=1e-9)
        assert_allclose(measurement.log_evidence, log_evidence, rtol=1e-10)
        assert measurement.penalty is objective.penalty

    def test_the_value_that_is_known_is_a_mean_and_is_not_computed_again(self):
        problem = make_problem("binary", (4,))
        s = np.random.RandomState(2).uniform(0.5, 5, 13)
        with Team(1) as team:
            objective, parameters = make_objective(problem, team, sample_weight=s)
            evidence, value = Evidence(None, 0), objective.value(parameters)
            plain = evidence.measure(objective, parameters, ALL).log_evidence
            assert evidence.measure(objective, parameters, ALL, value=value).log_evidence == plain
            shifted = evidence.measure(objective, parameters, ALL, value=value + 1).log_evidence
        assert_allclose(shifted, plain - s.sum(), rtol=1e-12)

    def test_repeated_rows_are_weights(self):
        problem, repeated = make_problem("multiclass", (4,)), make_problem("multiclass", (4,))
        times = np.random.RandomState(0).randint(1, 4, size=13)
        repeated.X, repeated.y = np.repeat(problem.X, times, axis=0), np.repeat(problem.y, times)
        measured = []
        with Team(1) as team:
            for part, s in ((problem, times.astype(float)), (repeated, None)):
                objective, parameters = make_objective(part, team, "feature", 2.0, sample_weight=s)
                measured.append(Evidence(None, 0).measure(objective, parameters, ALL))
        assert_allclose(measured[0].log_evidence, measured[1].log_evidence, rtol=1e-11)
        assert_allclose(measured[0].gammas, measured[1].gammas, rtol=1e-8, atol=1e-10)

    def test_the_unit_of_the_weights_changes_no_bit(self):
        problem = make_problem("multiclass", (4,))
        s = np.random.RandomState(2).uniform(0.5, 5, 13)
        measured = []
        with Team(1) as team:
            for unit in (1.0, 2.0**30, 2.0**-30):
                objective, parameters = make_objective(problem, team, sample_weight=s / unit, weight_unit=unit)
                measured.append(Evidence(None, 0).measure(objective, parameters, ALL).log_evidence)
        assert measured[0] == measured[1] == measured[2]

    def test_a_sample_of_terms_tells_about_the_same(self):
        problem = make_problem("binary", (5,), n_samples=300, scale=0.5)
        gammas, log_evidence = by_hand(problem, "shared", np.array([2.0]))
        with Team(1) as team:
            objective, parameters = make_objective(problem, team, alphas=2.0)
            measured = [Evidence(150, seed).measure(objective, parameters, 150, n_corrections=10) for seed in range(20)]
        assert len({measurement.log_evidence for measurement in measured}) == 20
        assert_allclose(np.mean([measurement.gamma for measurement in measured]), gammas, rtol=0.02)
        errors = np.array([measurement.log_evidence for measurement in measured]) - log_evidence
        assert abs(errors.mean()) < 0.2

    def test_gammas_that_round_below_zero_are_zero(self, monkeypatch):
        monkeypatch.setattr(Curvature, "effective_parameters", lambda *_, **options: [np.array(-1e-17), np.array(2.0)])
        with Team(1) as team:
            objective, parameters = make_objective(make_problem("binary", (4,)), team, "layer")
            assert Evidence(None, 0).measure(objective, parameters, ALL).gammas.tolist() == [0.0, 2.0]

    def test_rows_without_curvature(self):
        """Scores of +-1e6 leave p (1 - p) = 0 to the last digit."""
        problem = make_problem("binary", ())
        with Team(1) as team:
            objective, parameters = make_objective(problem, team)
            parameters[:] = [0, 0, 0, 1e6]
            with pytest.raises(FloatingPointError, match="no row carries curvature"):
                Evidence(None, 0).measure(objective, parameters, ALL)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_an_objective_that_is_not_finite(self, value):
        with Team(1) as team:
            objective, parameters = make_objective(make_problem("binary", ()), team)
            with pytest.raises(FloatingPointError, match="curvature is not finite"):
                Evidence(None, 0).measure(objective, parameters, ALL, value=value)

    def test_a_gram_matrix_that_overflows(self):
        problem = make_problem("binary", ())
        problem.X = problem.X * 1e160
        with Team(1) as team:
            objective, parameters = make_objective(problem, team)
            parameters[:] = 0
            with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=r"definite|finite"):
                Evidence(None, 0).measure(objective, parameters, ALL)


def measured(n_terms, mean_leverage, *, is_complete=False, **more):
    """Return what `Evidence` looks at of a measurement."""
    curvature = SimpleNamespace(mean_leverage=mean_leverage, terms=SimpleNamespace(is_complete=is_complete))
    return SimpleNamespace(n_terms=n_terms, curvature=curvature, **more)


class TestNumberOfTerms:
    """All of 700 or fewer; of more 350, or 700 if their mean leverage is above 0.35 until it is below 0.12."""

    @pytest.mark.parametrize(
        ("kind", "n_rows", "expected"),
        [
            ("binary", 10, 700),
            ("binary", 700, 700),
            ("binary", 701, 350),
            ("multiclass", 233, 700),
            ("multiclass", 234, 350),
            ("multilabel", 233, 700),
            ("multilabel", 234, 350),
        ],
    )
    def test_the_first(self, kind, n_rows, expected):
        """A term is a pair of a row and an output; there are 1 or 3 outputs."""
        with Team(1) as team:
            objective, _ = make_objective(make_problem(kind, (), n_samples=n_rows), team)
            assert Evidence(None, 0).first_n_terms(objective) == expected
            assert Evidence(77, 0).first_n_terms(objective) == 77

    @pytest.mark.parametrize(
        ("n_terms", "mean_leverage", "expected"),
        [
            (350, 0.0, 350),
            (350, 0.35, 350),
            (350, 0.351, 700),
            (500, 0.9, 700),
            (700, 0.9, 700),
            (700, 0.12, 700),
            (700, 0.119, 350),
            (500, 0.1, 350),
        ],
    )
    def test_the_next(self, n_terms, mean_leverage, expected):
        measurement = measured(n_terms, mean_leverage)
        assert Evidence(None, 0).next_n_terms(measurement) == expected
        assert Evidence(n_terms, 0).next_n_terms(measurement) == n_terms  # as the caller wants it

    def test_of_all_terms_the_next_are_all_again(self):
        assert Evidence(None, 0).next_n_terms(measured(700, 0.0, is_complete=True)) == 700

    def record(self, monkeypatch, leverages):
        """Let measurements have these mean leverages; return the list of what they are asked for."""
        asked, answers = [], iter(leverages)

        def measure(self, objective, parameters, n_terms, *, value, mean_leverage=0.0, n_corrections):
            asked.append((n_terms, mean_leverage, n_corrections))
            return measured(n_terms, next(answers), value=value)

        monkeypatch.setattr(Evidence, "measure", measure)
        return asked

    def test_a_measurement_takes_over_from_the_previous_one(self, monkeypatch):
        """Its number of terms and its mean leverage, and so it needs no correction of its own."""
        asked = self.record(monkeypatch, [0.5, 0.2, 0.1, 0.1])
        with Team(1) as team:
            objective, parameters = make_objective(make_problem("binary", (), n_samples=701), team)
            previous = None
            for _ in range(4):
                previous = Evidence(None, 0).measure_next(objective, parameters, 3.0, previous)
                assert previous.value == 3.0
        assert asked == [(350, 0.0, 1), (700, 0.5, 1), (700, 0.2, 1), (350, 0.1, 1)]

    @pytest.mark.parametrize(
        ("leverages", "expected"),
        [([0.1], [350]), ([0.5, 0.3], [350, 700]), ([0.9, 0.8], [350, 700]), ([0.5, 0.05], [350, 700])],
    )
    def test_terms_are_added_until_there_are_enough(self, leverages, expected, monkeypatch):
        asked = self.record(monkeypatch, leverages)
        with Team(1) as team:
            objective, parameters = make_objective(make_problem("binary", (), n_samples=701), team)
            measurement = Evidence(None, 0).measure_well(objective, parameters, 3.0)
        assert asked == list(zip(expected, [0.0, *leverages[:-1]], [4, 1], strict=False))
        assert measurement.value == 3.0
        assert measurement.curvature.mean_leverage == leverages[-1]

    def test_after_a_previous_measurement_too(self, monkeypatch):
        asked = self.record(monkeypatch, [0.5, 0.3])
        with Team(1) as team:
            objective, parameters = make_objective(make_problem("binary", (), n_samples=701), team)
            Evidence(None, 0).measure_well(objective, parameters, 3.0, measured(350, 0.2))
        assert asked == [(350, 0.2, 1), (700, 0.5, 1)]

    def test_a_table_that_is_determined_gets_more_terms(self):
        problem = make_problem("binary", (30,), n_samples=702, n_features=20, scale=0.2)
        with Team(1) as team:
            objective, parameters = make_objective(problem, team, alphas=1e-3)
            few = Evidence(350, 0).measure_well(objective, parameters)
            enough = Evidence(None, 0).measure_well(objective, parameters)
        assert few.curvature.mean_leverage > 0.35
        assert few.n_terms == len(few.curvature.terms.numbers) == 350
        assert enough.n_terms == len(enough.curvature.terms.numbers) == 700


class TestUpdate:
    """Weights of squared norms 4 + 0 (feature 0), 0 + 9 (feature 1) and 1 + 16 (layer 2)."""

    network = Network((2, 2, 1))
    parameters = Network.join([np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[1.0], [4.0]])], [np.ones(2), np.ones(1)])

    def update(self, grouping, gammas, parameters=None, mean_leverage=0.0):
        penalty = Penalty.of(self.network, grouping, 7.0)
        measurement = measured(700, mean_leverage, penalty=penalty, gammas=np.array(gammas))
        updated = Evidence.update(measurement, self.parameters if parameters is None else parameters)
        assert updated.grouping == grouping
        assert penalty.alphas.tolist() == [7.0] * len(gammas)
        return updated.alphas

    def test_one_alpha(self):
        """gamma / ||W||^2, MacKay's update; biases are not counted."""
        assert_allclose(self.update("shared", [4.5]), [4.5 / 30], rtol=1e-14)

    def test_one_for_each_layer(self):
        """With the prior of one weight at the alpha of all, 3 / 30."""
        assert_allclose(self.update("layer", [1.0, 2.0]), [(1 + 1) / (13 + 10), (2 + 1) / (17 + 10)], rtol=1e-14)

    def test_one_for_each_feature(self):
        """Later layers get the alpha of all, 3 / 30, whatever their own gamma."""
        expected = [(0.5 + 1) / (4 + 10), (1.5 + 1) / (9 + 10), 0.1]
        assert_allclose(self.update("feature", [0.5, 1.5, 1.0]), expected, rtol=1e-14)

    def test_a_feature_that_says_nothing_gets_a_larger_alpha_than_all(self):
        """Its weights are 0: alpha tends to that of its prior, 2 for 1 weight, not to infinity."""
        parameters = self.parameters.copy()
        self.network.split(parameters)[0][0][1] = 0
        alphas = self.update("feature", [1.0, 0.0, 1.1], parameters)  # 2.1 / 21
        assert_allclose(alphas, [2 / 14, 1 / 10, 0.1], rtol=1e-14)

    @pytest.mark.parametrize(
        ("mean_leverage", "factor"), [(0.1, 1), (0.35, 1), (0.5, 0.65 / 0.5), (0.8, 0.65 / 0.2), (0.99, 4), (1.0, 4)]
    )
    @pytest.mark.parametrize(("grouping", "gammas"), [("shared", [4.0]), ("layer", [1, 2]), ("feature", [1, 0, 2])])
    def test_alphas_are_raised_where_the_sample_is_used_up(self, grouping, gammas, mean_leverage, factor):
        """So that the sample shows less than the gamma of all terms; by 4 at most."""
        plain = self.update(grouping, gammas)
        assert_allclose(self.update(grouping, gammas, mean_leverage=mean_leverage), factor * plain, rtol=1e-14)

    @pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
    def test_alphas_stay_finite_and_positive(self, grouping):
        n_groups = {"shared": 1, "layer": 2, "feature": 3}[grouping]
        for scale, gamma in itertools.product((0.0, 1e-200, 1e200), (0.0, 1.0)):
            with np.errstate(all="ignore"):
                alphas = self.update(grouping, [gamma] * n_groups, scale * self.parameters)
            assert np.isfinite(alphas).all()
            assert (alphas >= 1e-30).all()
            assert (alphas <= 1e30).all()

    def test_the_fixed_point_is_stationary(self):
        """Where alpha is what the update says, the derivative of the log evidence by log alpha is 0, G held fixed."""
        problem = make_problem("binary", ())
        G = literal.curvature(problem.W, problem.intercepts, problem.X, False)
        eigenvalues, squared_norm = np.linalg.eigvalsh(G), (problem.coefs[0] ** 2).sum()
        alpha = 1.0
        with Team(1) as team:
            for _ in range(200):
                objective, parameters = make_objective(problem, team, alphas=alpha)
                measurement = Evidence(None, 0).measure(objective, parameters, ALL)
                (alpha,) = Evidence.update(measurement, parameters).alphas

        def log_evidence(log_alpha):
            return -np.exp(log_alpha) * squared_norm / 2 - np.log1p(eigenvalues / np.exp(log_alpha)).sum() / 2

        slope = (log_evidence(np.log(alpha) + 1e-5) - log_evidence(np.log(alpha) - 1e-5)) / 2e-5
        assert abs(slope) < 1e-6
        assert_array_equal(measurement.penalty.alphas.shape, (1,))
