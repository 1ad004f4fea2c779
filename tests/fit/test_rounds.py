"""The rounds of the evidence: what each does, what ends them, and which run is preferred."""

from dataclasses import replace
from itertools import cycle, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skrelu import DeepLogisticClassifier
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._fit import descent as descent_module
from skrelu._fit.callbacks import FitTask, IterateTasks
from skrelu._fit.candidates import Candidates
from skrelu._fit.course import Round
from skrelu._fit.descent import Descent, Limits
from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome
from skrelu._fit.rounds import EvidenceRounds
from skrelu._fit.search import Search
from skrelu._fit.solver import NotFiniteError
from skrelu._laplace.evidence import Evidence
from tests import literal
from tests.problems import load_table, make_datafit, make_fit_problem, make_problem

ALL = 10**6


def descend(team, problem, alpha=1.0, grouping="shared", validate=None, evidence=None, **limits):
    """Return the course from a start of small weights, and the descent."""
    datafit, parameters = make_datafit(problem, team)
    strategy = EvidenceRounds(Penalty.of(datafit.network, grouping, alpha), evidence or Evidence(ALL, 0))
    limits = Limits(**{"max_iter": 500, "max_fun": 10_000, "tol": 1e-7, "n_iter_no_change": 20} | limits)
    monitor = Monitor(validate, limits.n_iter_no_change, limits.tol, False, "")
    start = 0.3 * parameters
    descent = Descent(limits, monitor, IterateTasks(FitTask.unwatched(), start))
    return strategy.descend(descent, datafit, start), descent


def learnable(hidden=(4,), n_samples=80, noise=0.5, seed=0):
    problem = make_problem("binary", hidden, n_samples=n_samples, seed=seed)
    problem.y[:] = problem.X[:, 0] + noise * np.random.RandomState(seed).randn(n_samples) > 0
    return problem


def measure_literally(problem, parameters, alpha):
    """Return gamma, log evidence and ||W||^2 from the full matrix."""
    coefs, intercepts = Network.of(problem.coefs).split(parameters)
    W = [coef.T for coef in coefs]
    G = literal.curvature(W, intercepts, problem.X, problem.is_multinomial)
    loss, *_ = literal.loss_and_gradient(W, intercepts, problem.X, problem.targets, alpha=alpha)
    gamma = np.trace(np.linalg.solve(G + alpha * np.eye(len(G)), G))
    log_evidence = -loss - 0.5 * np.linalg.slogdet(np.eye(len(G)) + G / alpha)[1]
    return gamma, log_evidence, sum((coef**2).sum() for coef in coefs)


def never_settle(monkeypatch):
    """Let alpha go to and fro by a factor of 2."""

    def update(measurement, parameters):
        (alpha,) = measurement.penalty.alphas
        return measurement.penalty.with_alphas(np.array([2.0 if alpha == 1 else 1.0]))

    monkeypatch.setattr(Evidence, "update", staticmethod(update))


def record_minimisations(monkeypatch):
    """Return a list that takes the options and the solution of each minimisation."""
    original, record = descent_module.minimize, []

    def minimize(*args, **options):
        solution = original(*args, **options)
        record.append((options, solution))
        return solution

    monkeypatch.setattr(descent_module, "minimize", minimize)
    return record


class TestRounds:
    def test_a_round_is_some_iterations_a_measurement_and_an_update(self):
        """Replayed by hand: gamma from the full matrix at the iterate, alpha = gamma / ||W||^2."""
        problem, parameters_at = learnable(noise=0.0), {}

        def remember(parameters):
            parameters_at[len(parameters_at)] = parameters
            return -float(len(parameters_at))  # always better than before

        with Team(1) as team:
            course, _ = descend(team, problem, alpha=4.0, validate=remember, max_iter=2000)
        measured, last = course.rounds[:-1], course.rounds[-1]
        ends = [0, 10, 10 + 14, 10 + 14 + 19, 10 + 14 + 19 + 27]
        assert [(round_.first_iter, round_.last_iter) for round_ in measured[:4]] == list(pairwise(ends))
        for k, (this, following) in enumerate(pairwise(course.rounds)):
            assert this.last_iter == following.first_iter
            assert this.last_iter - this.first_iter <= int(10 * 1.4**k)
            gamma, log_evidence, squares = measure_literally(
                problem, parameters_at[this.last_iter], this.penalty.alphas[0]
            )
            assert_allclose([this.gamma, this.log_evidence], [gamma, log_evidence], rtol=1e-7)
            assert_allclose(following.penalty.alphas, gamma / squares, rtol=1e-7)
        changes = [
            abs(np.log(following.penalty.alphas / this.penalty.alphas)[0]) * min(this.gamma, 1)
            for this, following in pairwise(course.rounds)
        ]
        assert changes[-1] < 0.1 <= min(changes[:-1])  # the rounds end when alpha moves by less than a tenth
        assert last.last_iter is None
        assert course.outcome.is_converged

    @pytest.mark.parametrize(
        ("max_iter", "n_rounds"), [(20, 2), (25, 3), (48, 3), (49, 4), (86, 4), (87, 5), (140, 5), (141, 6)]
    )
    def test_half_of_the_iterations_at_most_go_by_before_alpha_stays(self, max_iter, n_rounds, monkeypatch):
        """The rounds end at iterates 10, 24, 43, 70 and 108."""
        never_settle(monkeypatch)
        with Team(1) as team:
            course, descent = descend(team, learnable(), max_iter=max_iter, tol=0.0, n_iter_no_change=np.inf)
        ends = [0, 10, 24, 43, 70, 108][:n_rounds]
        assert [round_.first_iter for round_ in course.rounds] == ends
        assert [round_.last_iter for round_ in course.rounds] == [*ends[1:], None]
        assert course.outcome is Outcome.MAX_ITER
        assert descent.n_iter == max_iter

    def test_an_alpha_that_has_not_settled_by_then_is_named(self, monkeypatch):
        """After 40 rounds a last one goes to the minimum."""
        never_settle(monkeypatch)
        monkeypatch.setattr(Candidates, "compare", lambda self: pytest.fail("called"))
        with Team(1) as team:
            course, descent = descend(team, learnable(), max_iter=8000)
        assert len(course.rounds) == 41
        assert [round_.penalty.alphas[0] for round_ in course.rounds] == [1.0, 2.0] * 20 + [1.0]
        assert descent.n_iter < 4000
        assert course.outcome is Outcome.ALPHA

    def test_an_alpha_that_has_not_settled_in_half_of_the_iterations_is_named(self, monkeypatch):
        never_settle(monkeypatch)
        with Team(1) as team:
            course, descent = descend(team, learnable(hidden=()), max_iter=30)
        assert [round_.last_iter for round_ in course.rounds][-1] is None
        assert descent.n_iter < 30
        assert course.outcome is Outcome.ALPHA

    def test_with_less_than_one_weight_determined_alpha_may_go_where_it_likes(self, monkeypatch):
        """Features that small leave gamma near 0, where a factor of 2 in alpha changes nothing."""
        never_settle(monkeypatch)
        monkeypatch.setattr(Candidates, "compare", lambda self: None)
        problem = learnable(hidden=())
        problem.X = problem.X / 1000
        with Team(1) as team:
            course, _ = descend(team, problem)
        assert course.rounds[0].gamma < 0.01
        assert [round_.penalty.alphas[0] for round_ in course.rounds] == [1.0, 2.0]
        assert course.outcome.is_converged

    def test_a_round_that_saw_too_few_terms_is_followed_by_one_that_sees_more(self, monkeypatch):
        """And each measurement begins with the mean leverage that the one before it has found."""
        never_settle(monkeypatch)
        original, asked, leverages = Evidence.measure, [], cycle([0.2, 0.5, 0.3, 0.4, 0.05])

        def measure(self, objective, parameters, n_terms, *, value, mean_leverage, n_corrections):
            asked.append((n_terms, mean_leverage, n_corrections))
            measurement = original(self, objective, parameters, n_terms, value=value)
            curvature = SimpleNamespace(mean_leverage=next(leverages), terms=measurement.curvature.terms)
            return replace(measurement, curvature=curvature)

        monkeypatch.setattr(Evidence, "measure", measure)
        problem = learnable(n_samples=1001, hidden=())
        with Team(1) as team:
            descend(team, problem, evidence=Evidence(None, 0), tol=0.0, validate=lambda parameters: 0.0)
        expected = [(350, 0.0), (350, 0.2), (700, 0.5), (700, 0.3), (700, 0.4), (350, 0.05)]
        assert asked[:6] == [(*pair, 1) for pair in expected]

    @pytest.mark.parametrize("noise", [0.0, 2.0])
    def test_the_last_leg_goes_on_to_a_part_of_tol(self, noise, monkeypatch):
        """Ten times the objective where it began, 1 at most."""
        monkeypatch.setattr(Candidates, "compare", lambda self: None)
        record = record_minimisations(monkeypatch)
        with Team(1) as team:
            course, _ = descend(team, learnable(hidden=(), noise=noise), max_iter=2000, tol=1e-5, alpha=1e-4)
        *rounds, (options, last) = record
        assert len(rounds) == len(course.rounds) - 1 > 1
        assert {options["tol"] for options, _ in rounds} == {1e-5}
        assert [options["max_iter"] for options, _ in rounds] == [int(10 * 1.4**k) for k in range(len(rounds))]
        value = rounds[-1][1].iterate.value
        assert (10 * value < 1) is (noise == 0)
        assert_allclose(options["tol"], 1e-5 * min(10 * value, 1), rtol=1e-12)
        assert options["max_iter"] == 2000 - rounds[-1][1].iterate.number
        assert last.outcome is Outcome.GRADIENT
        assert np.abs(last.iterate.gradient).max() <= options["tol"]

    @pytest.mark.parametrize("max_iter", [1, 9, 10])
    def test_max_iter_before_the_first_measurement_is_named(self, max_iter):
        with Team(1) as team:
            course, descent = descend(team, learnable(), max_iter=max_iter)
        assert course.outcome is Outcome.NO_ROUND
        assert descent.n_iter == max_iter
        assert [round_.last_iter for round_ in course.rounds] == [None]

    @pytest.mark.parametrize("is_within", [True, False])
    def test_max_fun_before_the_first_measurement_is_named(self, is_within):
        """Within the round, or just at its end."""
        with Team(1) as team:
            _, descent = descend(team, learnable(), max_iter=10)
            course, descent = descend(team, learnable(), max_fun=descent.n_evaluations - 4 * is_within)
        assert (descent.n_iter < 10) is is_within
        assert course.outcome is Outcome.NO_ROUND
        assert [round_.last_iter for round_ in course.rounds] == [None]

    def test_a_limit_after_the_first_measurement_is_named_itself(self):
        with Team(1) as team:
            course, descent = descend(team, learnable(), max_iter=11)
            assert course.outcome is Outcome.MAX_ITER
            assert [round_.last_iter for round_ in course.rounds] == [10, None]
            course, descent = descend(team, learnable(), max_fun=descent.n_evaluations + 1)
        assert course.outcome is Outcome.MAX_FUN
        assert course.rounds[0].last_iter == 10

    def test_a_limit_at_the_end_of_a_later_round_is_named(self):
        """The second round ends at iterate 24, and nothing is measured there."""
        with Team(1) as team:
            _, descent = descend(team, learnable(), max_iter=24)
            course, descent = descend(team, learnable(), max_fun=descent.n_evaluations)
        assert descent.n_iter == 24
        assert course.outcome is Outcome.MAX_FUN
        assert [round_.last_iter for round_ in course.rounds] == [10, None]

    @pytest.mark.parametrize("outcome", [o for o in Outcome if o.name not in {"ALPHA", "NO_ROUND", "CURVATURE"}])
    def test_which_outcomes_of_a_round_end_the_rounds(self, outcome, monkeypatch):
        """Others are those of this round only: with another alpha the fit goes on."""
        original, calls = Descent.run, []

        def run(self, *args, **options):
            calls.append(original(self, *args, **options))
            return replace(calls[-1], outcome=outcome) if len(calls) == 2 else calls[-1]

        monkeypatch.setattr(Descent, "run", run)
        monkeypatch.setattr(Candidates, "compare", lambda self: None)
        with Team(1) as team:
            course, _ = descend(team, learnable(), alpha=30.0)
        if outcome.name in {"CALLBACK", "INTERRUPTED", "EARLY_STOPPING", "MAX_FUN", "OVERFLOW"}:
            assert course.outcome is outcome
            assert [round_.last_iter for round_ in course.rounds] == [10, None]
            assert len(calls) == 2
        else:
            assert course.outcome.is_converged
            assert course.rounds[1].last_iter == 24
            assert len(calls) > 2

    def test_a_callback_in_the_first_round_is_named(self):
        with Team(1) as team:
            datafit, start = make_datafit(learnable(), team)
            limits = Limits(max_iter=10, max_fun=1000, tol=1e-7, n_iter_no_change=20)
            tasks = SimpleNamespace(begin=lambda: None, end=lambda parameters: True)
            descent = Descent(limits, Monitor(None, 20, 1e-7, False, ""), tasks)
            course = EvidenceRounds(Penalty.of(datafit.network, "shared"), Evidence(ALL, 0)).descend(
                descent, datafit, start
            )
        assert course.outcome is Outcome.CALLBACK
        assert descent.n_iter == 1

    def test_a_curvature_that_cannot_be_measured_leaves_alpha_where_it_was(self, monkeypatch):
        original, calls = Evidence.measure, []

        def fail_in_the_second_round(*args, **options):
            calls.append(1)
            if len(calls) == 2:
                raise FloatingPointError
            return original(*args, **options)

        monkeypatch.setattr(Evidence, "measure", fail_in_the_second_round)
        with Team(1) as team:
            # Without a hidden layer, as at a kink of the ReLU a descent may go on until max_iter.
            course, _ = descend(team, learnable(hidden=()), validate=lambda parameters: 0.0, n_iter_no_change=np.inf)
        first, second, last = course.rounds
        assert second.penalty.alphas[0] != first.penalty.alphas[0]
        assert last.penalty is second.penalty
        assert [round_.last_iter for round_ in course.rounds] == [10, None, None]
        assert course.outcome.is_converged

    def test_a_curvature_that_can_never_be_measured_ends_at_the_minimum(self, monkeypatch):
        def fail(*args, **options):
            raise FloatingPointError

        monkeypatch.setattr(Evidence, "measure", fail)
        with Team(1) as team:
            course, _ = descend(team, learnable())
        assert [round_.penalty.alphas[0] for round_ in course.rounds] == [1.0, 1.0]
        assert course.outcome.is_converged
        assert course.measurement is None

    def test_the_candidates_begin_at_the_end_of_the_rounds(self, monkeypatch):
        """With the last measurement, which says how many terms are needed."""
        given = []
        monkeypatch.setattr(Candidates, "__init__", lambda self, *args: given.append(args))
        monkeypatch.setattr(Candidates, "compare", lambda self: None)
        with Team(1) as team:
            course, descent = descend(team, learnable())
        ((_, descent_given, _, course_given, previous),) = given
        assert (descent_given, course_given) == (descent, course)
        assert course.outcome.is_converged
        assert previous.gamma == course.rounds[-2].gamma
        assert previous.log_evidence == course.rounds[-2].log_evidence

    @pytest.mark.parametrize(("n_outputs", "is_judged"), [(100, True), (101, False)])
    def test_with_more_than_100_outputs_there_are_no_candidates(self, n_outputs, is_judged, monkeypatch):
        calls = []
        monkeypatch.setattr(Candidates, "__init__", lambda self, *args: None)
        monkeypatch.setattr(Candidates, "compare", lambda self: calls.append(self))
        problem = make_problem("multilabel", (), n_samples=20, n_outputs=n_outputs)
        with Team(1) as team:
            course, _ = descend(team, problem, evidence=Evidence(50, 0))
        assert course.outcome.is_converged
        assert len(calls) == is_judged

    def test_with_validation_rows_there_are_no_candidates(self, monkeypatch):
        monkeypatch.setattr(Candidates, "__init__", lambda self, *args: pytest.fail("called"))
        with Team(1) as team:
            course, _ = descend(team, learnable(), validate=lambda parameters: 0.0, n_iter_no_change=np.inf)
        assert course.outcome.is_converged
        assert course.measurement is None

    def test_an_interrupt_before_the_first_round_has_ended_is_passed_on(self, monkeypatch):
        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(Objective, "value_and_gradient", interrupt)
        with Team(1) as team, pytest.raises(KeyboardInterrupt):
            descend(team, learnable())

    def test_an_interrupt_at_a_measurement_keeps_the_iterate(self, monkeypatch):
        def interrupt(*args, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(Evidence, "measure", interrupt)
        with Team(1) as team:
            course, descent = descend(team, learnable())
        assert course.outcome is Outcome.INTERRUPTED
        assert course.solution.iterate.number == descent.n_iter == 10

    def test_a_start_that_overflows_is_an_error(self):
        problem = learnable()
        problem.coefs = [1e200 * coef for coef in problem.coefs]
        with Team(1) as team, np.errstate(all="ignore"), pytest.raises(NotFiniteError):
            descend(team, problem)

    def test_the_curve_holds_the_rounds_that_were_measured(self):
        network = Network((2, 3, 1))
        penalties = [Penalty.of(network, "layer", np.array(alphas)) for alphas in ([1.0, 1.0], [2.0, 3.0], [4.0, 5.0])]
        rounds = [
            Round(0, penalties[0], 10, 1.5, -30.0),
            Round(10, penalties[1], 20, 2.5, -20.0),
            Round(20, penalties[2]),
        ]
        curve = EvidenceRounds(penalties[0], None).evidence_curve(rounds)
        assert curve["n_iter"].tolist() == [10, 20]
        assert curve["alpha"].tolist() == [[1.0, 1.0], [2.0, 3.0]]
        assert curve["n_effective_parameters"].tolist() == [1.5, 2.5]
        assert curve["log_evidence"].tolist() == [-30.0, -20.0]

    def test_the_curve_of_no_measured_round_is_empty(self):
        penalty = Penalty.of(Network((2, 3, 1)), "layer")
        curve = EvidenceRounds(penalty, None).evidence_curve([Round(0, penalty)])
        assert curve["alpha"].shape == (0, 2)
        assert {len(values) for values in curve.values()} == {0}
        assert curve["n_iter"].dtype.kind == "i"


def make_run(value, log_evidence):
    measurement = None if log_evidence is None else SimpleNamespace(log_evidence=log_evidence)
    return SimpleNamespace(kept=SimpleNamespace(value=value), measurement=measurement)


class TestWhichRunIsPreferred:
    @pytest.mark.parametrize(
        ("run", "other", "expected"),
        [
            # the higher evidence, whatever the objective
            ((2.0, -1.0), (1.0, -2.0), True),
            ((1.0, -2.0), (2.0, -1.0), False),
            ((1.0, -1.0), (2.0, -1.0), False),
            # one that could be measured, whatever the objective
            ((2.0, -9.0), (1.0, None), True),
            ((1.0, -9.0), (2.0, None), True),
            ((1.0, None), (2.0, -9.0), False),
            ((2.0, None), (1.0, -9.0), False),
            # of two that could not, the lower objective
            ((1.0, None), (2.0, None), True),
            ((2.0, None), (1.0, None), False),
            ((1.0, None), (1.0, None), False),
        ],
    )
    def test_by_evidence_else_by_objective(self, run, other, expected):
        assert EvidenceRounds(None, None).prefers(make_run(*run), make_run(*other)) is expected

    @pytest.mark.parametrize("fails", [{0}, {1}, {0, 1}])
    def test_restarts_whose_curvature_cannot_be_measured(self, fails, monkeypatch):
        """Of two starts the one that could be measured is kept; if neither could be, that of the lower objective."""
        given = make_problem("binary", (3,), n_samples=60, scale=0.5)
        given.y[:] = given.X[:, 0] + np.random.RandomState(0).randn(60) > 0
        problem = make_fit_problem(given)
        starts = list(problem.starts(2, None, np.random.RandomState(0)))
        strategy = EvidenceRounds(Penalty.of(problem.network, "shared"), Evidence(ALL, 0))
        limits = Limits(max_iter=500, max_fun=5000, tol=1e-6, n_iter_no_change=20)
        original = Evidence.measure_well

        def measure_well(self, objective, parameters, *args):
            if any(np.array_equal(parameters, alone[number].kept.parameters) for number in fails):
                raise FloatingPointError
            return original(self, objective, parameters, *args)

        monkeypatch.setattr(Candidates, "compare", lambda self: None)
        with Team(1) as team:
            search = Search(problem, strategy, problem.datafits(team), limits, FitTask.unwatched())
            alone = [search.run([start]) for start in starts]
            monkeypatch.setattr(Evidence, "measure_well", measure_well)
            best = search.run(starts, 2)
        values = [run.kept.value for run in alone]
        assert values[0] != values[1]
        kept = int(np.argmin(values)) if len(fails) == 2 else min({0, 1} - fails)
        assert_array_equal(best.kept.parameters, alone[kept].kept.parameters)
        assert (best.measurement is None) is (len(fails) == 2)


class TestEnd:
    def test_the_iterates_of_all_rounds_count(self):
        X, y = load_table("binary")
        with pytest.warns(ConvergenceWarning, match="n_iter_=25"):
            model = DeepLogisticClassifier((5,), max_iter=25, random_state=0).fit(X, y)
        assert len(model.loss_curve_) == model.n_iter_ == 25
        with pytest.warns(ConvergenceWarning, match="max_fun"):
            model = DeepLogisticClassifier((5,), max_fun=12, random_state=0).fit(X, y)
        assert 12 <= model.optimize_result_.nfev < 20

    def test_ctrl_c_keeps_what_was_reached(self, monkeypatch):
        from skrelu._core.datafit import Datafit

        X, y = load_table("binary")
        for n_calls, name in ((3, "sample_terms"), (45, "value_and_gradient")):
            calls = []
            original = getattr(Datafit, name)

            def interrupt(self, *args, original=original, calls=calls, n_calls=n_calls, **options):
                calls.append(1)
                if len(calls) == n_calls:
                    raise KeyboardInterrupt
                return original(self, *args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(Datafit, name, interrupt)
                with pytest.warns(UserWarning, match="interrupted by user"):
                    model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
            assert model.n_iter_ > 5
            assert np.isfinite(model.predict_proba(X)).all()
            assert model.alpha_.shape == (31,)

    def test_ctrl_c_while_the_final_curvature_is_measured(self, monkeypatch):
        from skrelu._laplace import evidence

        def interrupt(*args):
            raise KeyboardInterrupt

        X, y = load_table("multiclass")
        expected = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        monkeypatch.setattr(evidence.Evidence, "measure_well", interrupt)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        assert_array_equal(model.coefs_[0], expected.coefs_[0])
        assert model.log_evidence_ is model.n_effective_parameters_ is None

    def test_a_curvature_that_is_not_finite_is_none(self, monkeypatch):
        from skrelu._laplace import evidence

        X, y = load_table("multiclass")
        monkeypatch.setattr(evidence.Curvature, "log_determinant", np.nan)
        with pytest.warns(ConvergenceWarning, match="the curvature could not be measured, so alpha stayed"):
            model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        assert model.log_evidence_ is None
        assert not model.optimize_result_.success
        assert_array_equal(model.alpha_, np.ones(5))
        with pytest.raises(ValueError, match="curvature could be measured"):
            model.decision_function(X, return_std=True)

    def test_limits_that_come_before_alpha_has_settled_are_named(self):
        X, y = load_table("binary")
        for options, message in (
            ({"max_iter": 14}, "max_iter iterations were done"),
            ({"max_iter": 10}, "max_iter or max_fun was reached before the first measurement"),
            ({"max_fun": 9}, "max_iter or max_fun was reached before the first measurement"),
            ({"max_fun": 14}, "max_fun evaluations"),
        ):
            model = DeepLogisticClassifier((), alpha_grouping="shared", **options)
            with pytest.warns(ConvergenceWarning, match=f"minimum: .*{message}"):
                model.fit(X, y)
            assert model.optimize_result_.status == 1
