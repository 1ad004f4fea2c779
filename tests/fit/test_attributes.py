"""The fitted attributes: their names, types and shapes, and where their values come from."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeResult

from skrelu._core.penalty import Penalty
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._fit.attributes import describe_fit, describe_network
from skrelu._fit.course import Run
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.measurement import Measurement
from skrelu._laplace.moderation import Moderation
from skrelu._laplace.posterior import NoPosterior, Posterior
from tests.problems import KINDS, make_fit_problem, make_problem

NETWORK_NAMES = {"classes_", "n_layers_", "n_outputs_", "out_activation_", "coefs_", "intercepts_", "_posterior"}
NETWORK_NAMES |= {"feature_mean_", "feature_scale_"}
RECORD_NAMES = {"loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "n_iter_"}
RECORD_NAMES |= {"optimize_result_"}
EVIDENCE_NAMES = {"alpha_", "log_evidence_", "n_effective_parameters_", "evidence_curve_", "feature_relevance_"}
EVIDENCE_NAMES |= {"laplace_scale_"}


def make(kind="binary", dtype=np.float64, grouping="shared", alphas=2.0, hidden=(4,), **changes):
    """Return a problem and a run that ended at its weights."""
    given = make_problem(kind, hidden)
    problem = make_fit_problem(given, dtype=dtype)
    parameters = problem.network.join(given.coefs, given.intercepts)
    run = Run(
        kept=Iterate(3, parameters, 0.5, parameters),
        score=None,
        loss_curve=[0.9, 0.4, 0.5],
        validation_scores=None,
        n_evaluations=7,
        outcome=Outcome.VALUE,
        penalty=Penalty.of(problem.network, grouping, alphas),
        measurement=None,
        evidence_curve=None,
    )
    return problem, replace(run, **changes)


class TestNetwork:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(
        ("kind", "n_outputs", "activation"), [("binary", 1, "logistic"), ("multiclass", 3, "softmax")]
    )
    def test_all_that_predictions_need(self, kind, n_outputs, activation, dtype):
        problem, run = make(kind, dtype)
        attributes = describe_network(problem, run.kept.parameters)
        assert set(attributes) == NETWORK_NAMES
        given = make_problem(kind, (4,))
        for actual, expected in zip(attributes["coefs_"], given.coefs, strict=True):
            assert actual.dtype == dtype
            assert_array_equal(actual, expected.astype(dtype))
        for actual, expected in zip(attributes["intercepts_"], given.intercepts, strict=True):
            assert_array_equal(actual, expected.astype(dtype))
        assert attributes["n_layers_"] == 3  # as MLPClassifier counts: the input is one
        assert (attributes["n_outputs_"], attributes["out_activation_"]) == (n_outputs, activation)
        assert attributes["classes_"].tolist() == list(range(max(n_outputs, 2)))
        assert attributes["_posterior"] is NoPosterior.PENDING

    def test_without_standardisation_there_are_no_means(self):
        problem, run = make()
        attributes = describe_network(problem, run.kept.parameters)
        assert attributes["feature_mean_"] is attributes["feature_scale_"] is None

    def test_weights_of_standardised_columns_are_told_in_the_units_of_the_data(self):
        problem, run = make("multiclass")
        units = Standardization(np.array([2.0, -4.0, 7.0]), np.array([0.5, 4.0, 0.0]))
        attributes = describe_network(replace(problem, standardization=units), run.kept.parameters)
        given = make_problem("multiclass", (4,))
        assert attributes["feature_mean_"].tolist() == [2.0, -4.0, 7.0]
        assert attributes["feature_scale_"].tolist() == [2.0, 0.25, 1.0]
        coef = given.coefs[0] * [[0.5], [4.0], [0.0]]
        assert_allclose(attributes["coefs_"][0], coef, rtol=1e-14)
        assert_allclose(attributes["intercepts_"][0], given.intercepts[0] - [2.0, -4.0, 7.0] @ coef, rtol=1e-12)
        assert_array_equal(attributes["coefs_"][1], given.coefs[1])
        assert_array_equal(attributes["intercepts_"][1], given.intercepts[1])

    def test_the_weights_are_copies(self):
        problem, run = make()
        attributes = describe_network(problem, run.kept.parameters)
        run.kept.parameters[:] = 0
        assert all(coef.all() for coef in attributes["coefs_"])

    def test_weights_that_overflow_are_no_warning(self):
        problem, run = make(dtype=np.float32)
        with np.errstate(all="raise"):
            assert np.isinf(describe_network(problem, 1e300 * run.kept.parameters)["coefs_"][0]).all()


class TestRecord:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_name_is_there(self, kind):
        assert set(describe_fit(*make(kind))) == NETWORK_NAMES | RECORD_NAMES | EVIDENCE_NAMES

    def test_without_validation(self):
        attributes = describe_fit(*make())
        assert attributes["loss_"] == 0.5
        assert attributes["best_loss_"] == 0.4  # of another iterate
        assert attributes["loss_curve_"] == [0.9, 0.4, 0.5]
        assert attributes["n_iter_"] == 3
        assert attributes["validation_scores_"] is attributes["best_validation_score_"] is None

    def test_with_validation(self):
        attributes = describe_fit(*make(score=-0.3, validation_scores=[-0.5, -0.3, -0.4]))
        assert attributes["validation_scores_"] == [-0.5, -0.3, -0.4]
        assert attributes["best_validation_score_"] == -0.3
        assert attributes["best_loss_"] is None  # as in MLPClassifier

    def test_a_fit_that_began_at_its_minimum(self):
        attributes = describe_fit(*make(loss_curve=[]))
        assert attributes["best_loss_"] == attributes["loss_"] == 0.5
        assert attributes["n_iter_"] == 0

    @pytest.mark.parametrize("outcome", [Outcome.VALUE, Outcome.MAX_ITER, Outcome.EARLY_STOPPING, Outcome.OVERFLOW])
    def test_the_result_is_told_as_scipy_tells_it(self, outcome):
        result = describe_fit(*make(outcome=outcome))["optimize_result_"]
        assert isinstance(result, OptimizeResult)
        assert set(result) == {"fun", "nit", "nfev", "status", "success", "message"}
        assert (result.fun, result.nit, result.nfev) == (0.5, 3, 7)
        assert (result.status, result.message) == (outcome.status, outcome.message)
        assert result.success is (outcome in (Outcome.VALUE, Outcome.EARLY_STOPPING))


class TestEvidence:
    def test_one_alpha_is_a_number(self):
        alpha = describe_fit(*make(alphas=2.5))["alpha_"]
        assert isinstance(alpha, float)
        assert alpha == 2.5

    @pytest.mark.parametrize(("grouping", "alphas"), [("layer", [1.0, 2.0]), ("feature", [1.0, 2.0, 4.0, 9.0])])
    def test_several_alphas_are_an_array(self, grouping, alphas):
        alpha = describe_fit(*make(grouping=grouping, alphas=np.array(alphas)))["alpha_"]
        assert isinstance(alpha, np.ndarray)
        assert alpha.tolist() == alphas

    @pytest.mark.parametrize("grouping", ["layer", "shared"])
    def test_one_group_without_a_hidden_layer_is_a_number_too(self, grouping):
        assert isinstance(describe_fit(*make(grouping=grouping, hidden=()))["alpha_"], float)

    @staticmethod
    def relevances(gammas, alphas):
        problem, run = make(grouping="feature", alphas=np.array(alphas))
        curvature = SimpleNamespace()
        with patch.object(Posterior, "of"):
            measurement = Measurement(run.penalty, np.array(gammas), -20.0, curvature, 700)
            return describe_fit(problem, replace(run, measurement=measurement))["feature_relevance_"]

    def test_relevance_is_gamma_over_alpha(self):
        """3/1, 0/2 and 4/4 of 4; the later layers have no part in it. A column of zeros has gamma 0."""
        assert_allclose(self.relevances([3.0, 0.0, 4.0, 9.0], [1.0, 2.0, 4.0, 1e-9]), [3 / 4, 0, 1 / 4], rtol=1e-14)

    def test_where_nothing_is_determined_nothing_is_relevant(self):
        assert self.relevances([0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 4.0, 1.0]).tolist() == [0, 0, 0]

    def test_without_a_measurement_relevance_is_that_of_the_weights(self):
        problem, run = make(grouping="feature", alphas=np.array([1.0, 2.0, 4.0, 1e-9]))
        squares = (problem.network.split(run.kept.parameters)[0][0] ** 2).sum(axis=1)
        assert_allclose(describe_fit(problem, run)["feature_relevance_"], squares / squares.sum(), rtol=1e-12)
        for grouping in ("shared", "layer"):
            assert describe_fit(*make(grouping=grouping))["feature_relevance_"] is None

    def test_what_was_not_measured_is_none(self):
        attributes = describe_fit(*make())
        assert attributes["log_evidence_"] is attributes["n_effective_parameters_"] is None
        assert attributes["evidence_curve_"] is attributes["laplace_scale_"] is None
        assert attributes["_posterior"] is NoPosterior.NOT_MEASURED

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_what_was_measured(self, dtype):
        problem, run = make(dtype=dtype)
        with Team(1) as team:
            datafit, _ = problem.datafits(team)
            objective = SimpleNamespace(datafit=datafit, penalty=run.penalty, value=lambda parameters: 0.5)
            curvature = Evidence(10**6, 0).measure(objective, run.kept.parameters, 10**6).curvature
        measurement = Measurement(run.penalty, np.array([3.5]), -20.0, curvature, 700)
        attributes = describe_fit(problem, replace(run, measurement=measurement))
        assert attributes["log_evidence_"] == -20.0
        assert attributes["n_effective_parameters_"] == 3.5
        assert isinstance(attributes["_posterior"], Posterior)
        assert attributes["_posterior"].rows.dtype == dtype
        assert attributes["_posterior"].factor is curvature.factor
        assert attributes["laplace_scale_"] == 1.0  # of a run without moderation, as after Ctrl-C
        assert attributes["_posterior"].moderation.reach.tolist() == [np.inf]
        moderation = Moderation(0.25, np.ones(1))
        attributes = describe_fit(problem, replace(run, measurement=measurement, moderation=moderation))
        assert attributes["laplace_scale_"] == 0.25
        assert attributes["_posterior"].moderation is moderation

    def test_the_posterior_knows_the_units_of_its_rows(self):
        problem, run = make(kind="multiclass")
        problem = replace(problem, standardization=Standardization(np.array([2.0, -4.0, 7.0]), np.ones(3)))
        with Team(1) as team:
            datafit, _ = problem.datafits(team)
            objective = SimpleNamespace(datafit=datafit, penalty=run.penalty, value=lambda parameters: 0.5)
            curvature = Evidence(10**6, 0).measure(objective, run.kept.parameters, 10**6).curvature
        measurement = Measurement(run.penalty, np.array([3.5]), -20.0, curvature, 700)
        posterior = describe_fit(problem, replace(run, measurement=measurement))["_posterior"]
        assert posterior.standardization is problem.standardization
        samples = curvature.terms.numbers // 3
        assert_allclose(posterior.rows, problem.training.X[samples] - [2.0, -4.0, 7.0], rtol=1e-12)

    @pytest.mark.parametrize(("n_groups", "shape"), [(1, (5,)), (2, (5, 2)), (4, (5, 4))])
    def test_a_curve_of_one_alpha_has_one_axis(self, n_groups, shape):
        values = np.arange(5.0 * n_groups).reshape(5, n_groups)
        curve = {"n_iter": np.arange(5), "alpha": values, "log_evidence": np.arange(5.0)}
        actual = describe_fit(*make(evidence_curve=curve))["evidence_curve_"]
        assert actual["alpha"].shape == shape
        assert_array_equal(actual["alpha"].ravel(), values.ravel())
        assert actual["log_evidence"] is curve["log_evidence"]
        assert curve["alpha"] is values  # the run is as it was
