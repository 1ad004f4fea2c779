"""The rounds of the evidence: what each does, what ends them, and the weaker penalties that are tried after them."""

from dataclasses import replace
from itertools import cycle, pairwise
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._fit.callbacks import FitTask, IterateTasks
from skrelu._fit.course import Round
from skrelu._fit.descent import Descent, Limits
from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome
from skrelu._fit.rounds import EvidenceRounds, _Judgement, _penalty_outweighs_loss
from skrelu._fit.search import Search
from skrelu._fit.solver import Iterate, NotFiniteError
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
    return strategy.descend(descent, datafit, start), descent, strategy


def learnable(hidden=(4,), n_samples=80, noise=0.5, seed=0):
    problem = make_problem("binary", hidden, n_samples=n_samples, seed=seed)
    problem.y[:] = problem.X[:, 0] + noise * np.random.RandomState(seed).randn(n_samples) > 0
    return problem


class TestRounds:
    def test_each_round_is_ten_iterations_a_measurement_and_an_update(self):
        """Replayed by hand: gamma from the full matrix at the iterate, alpha = gamma / ||W||^2."""
        problem, parameters_at = learnable(), {}
        with Team(1) as team:
            datafit, _ = make_datafit(problem, team)

            def remember(parameters):
                parameters_at[len(parameters_at)] = parameters
                return -float(len(parameters_at))  # always better than before

            course, *_ = descend(team, problem, alpha=4.0, validate=remember)
        measured = [round_ for round_ in course.rounds if round_.last_iter is not None]
        assert [round_.first_iter for round_ in measured] == [10 * k for k in range(len(measured))]
        assert [round_.last_iter for round_ in measured] == [10 * k for k in range(1, len(measured) + 1)]
        assert len(measured) >= 3
        for this, following in pairwise(course.rounds):
            (alpha,) = this.penalty.alphas
            coefs, intercepts = datafit.network.split(parameters_at[this.last_iter])
            W = [coef.T for coef in coefs]
            G = literal.curvature(W, intercepts, problem.X, False)
            gamma = np.trace(np.linalg.solve(G + alpha * np.eye(len(G)), G))
            assert_allclose(this.gamma, gamma, rtol=1e-7)
            assert_allclose(following.penalty.alphas, gamma / sum((coef**2).sum() for coef in coefs), rtol=1e-7)
        changes = [
            abs(np.log(following.penalty.alphas / this.penalty.alphas)[0]) * min(this.gamma, 1)
            for this, following in pairwise(course.rounds)
        ]
        assert changes[-1] < 0.1 <= min(changes[:-1])  # the rounds end when alpha moves by less than a tenth
        assert course.rounds[-1].last_iter is None
        assert course.solution.outcome.is_converged

    @staticmethod
    def never_settle(monkeypatch):
        """Let alpha go to and fro by a factor of 2."""

        def update(measurement, parameters):
            (alpha,) = measurement.penalty.alphas
            return measurement.penalty.with_alphas(np.array([2.0 if alpha == 1 else 1.0]))

        monkeypatch.setattr(Evidence, "update", staticmethod(update))

    @pytest.mark.parametrize(("max_iter", "n_rounds"), [(59, 4), (60, 4), (61, 5), (80, 5)])
    def test_half_of_the_iterations_at_most_go_by_before_alpha_stays(self, max_iter, n_rounds, monkeypatch):
        self.never_settle(monkeypatch)
        with Team(1) as team:
            course, descent, _ = descend(team, learnable(), max_iter=max_iter, tol=0.0, n_iter_no_change=np.inf)
        assert [round_.first_iter for round_ in course.rounds] == [10 * k for k in range(n_rounds)]
        assert [round_.last_iter for round_ in course.rounds] == [10 * k for k in range(1, n_rounds)] + [None]
        assert course.solution.outcome is Outcome.MAX_ITER
        assert descent.n_iter == max_iter

    def test_an_alpha_that_has_not_settled_by_then_is_named(self, monkeypatch):
        """After 40 rounds a last one goes to the minimum."""
        self.never_settle(monkeypatch)
        with Team(1) as team:
            course, descent, _ = descend(team, learnable(), max_iter=5000)
        assert len(course.rounds) == 41
        assert [round_.penalty.alphas[0] for round_ in course.rounds] == [1.0, 2.0] * 20 + [1.0]
        assert descent.n_iter < 2500
        assert course.solution.outcome is Outcome.ALPHA

    def test_with_less_than_one_weight_determined_alpha_may_go_where_it_likes(self, monkeypatch):
        """Features that small leave gamma near 0, where a factor of 2 in alpha changes nothing."""
        self.never_settle(monkeypatch)
        problem = learnable(hidden=())
        problem.X = problem.X / 1000
        with Team(1) as team:
            course, *_ = descend(team, problem)
        assert course.rounds[0].gamma < 0.01
        assert [round_.penalty.alphas[0] for round_ in course.rounds] == [1.0, 2.0]
        assert course.solution.outcome.is_converged

    def test_a_round_that_saw_too_few_terms_is_followed_by_one_that_sees_more(self, monkeypatch):
        """And each measurement begins with the mean leverage that the one before it has found."""
        self.never_settle(monkeypatch)
        original, asked, leverages = Evidence.measure, [], cycle([0.2, 0.5, 0.3, 0.4])

        def measure(self, objective, parameters, n_terms, *, value, mean_leverage):
            asked.append((n_terms, mean_leverage))
            measurement = original(self, objective, parameters, n_terms, value=value)
            return replace(measurement, curvature=SimpleNamespace(mean_leverage=next(leverages)))

        monkeypatch.setattr(Evidence, "measure", measure)
        problem = learnable(n_samples=1001, hidden=())
        with Team(1) as team:
            descend(team, problem, evidence=Evidence(None, 0), tol=0.0, validate=lambda parameters: 0.0)
        assert asked[:5] == [(500, 0.0), (500, 0.2), (1000, 0.5), (1000, 0.3), (2000, 0.4)]

    def test_a_limit_within_a_round_is_named_and_nothing_is_measured_there(self):
        with Team(1) as team:
            course, *_ = descend(team, learnable(), max_iter=10)
        assert course.solution.outcome is Outcome.MAX_ITER
        assert [round_.last_iter for round_ in course.rounds] == [None]

    def test_a_curvature_that_cannot_be_measured_leaves_alpha_where_it_was(self, monkeypatch):
        original, calls = Evidence.measure, []

        def fail_in_the_second_round(*args, **options):
            calls.append(1)
            if len(calls) == 2:
                raise FloatingPointError
            return original(*args, **options)

        monkeypatch.setattr(Evidence, "measure", fail_in_the_second_round)
        with Team(1) as team:
            course, *_ = descend(team, learnable(), validate=lambda parameters: 0.0, n_iter_no_change=np.inf)
        first, second, last = course.rounds
        assert second.penalty.alphas[0] != first.penalty.alphas[0]
        assert last.penalty is second.penalty
        assert [round_.last_iter for round_ in course.rounds] == [10, None, None]
        assert course.solution.outcome.is_converged

    def test_an_interrupt_before_the_first_round_has_ended_is_passed_on(self, monkeypatch):
        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(Objective, "value_and_gradient", interrupt)
        with Team(1) as team, pytest.raises(KeyboardInterrupt):
            descend(team, learnable())

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
        original, calls = Evidence.measure_well, []

        def measure_well(*args):
            calls.append(len(calls))
            if calls[-1] in fails:
                raise FloatingPointError
            return original(*args)

        monkeypatch.setattr("skrelu._fit.rounds._penalty_outweighs_loss", lambda *_: False)
        with Team(1) as team:
            search = Search(problem, strategy, problem.datafits(team), limits, FitTask.unwatched())
            alone = [search.run([start]) for start in starts]
            monkeypatch.setattr(Evidence, "measure_well", measure_well)
            best = search.run(starts, 2)
        assert len(calls) == 2
        values = [run.kept.value for run in alone]
        assert values[0] != values[1]
        kept = int(np.argmin(values)) if len(fails) == 2 else min({0, 1} - fails)
        assert_array_equal(best.kept.parameters, alone[kept].kept.parameters)
        assert (best.measurement is None) is (len(fails) == 2)


class TestWhichPenaltyIsKept:
    @pytest.mark.parametrize(
        ("loss", "log_evidence", "expected"),
        [(0.94, -9.0, True), (0.96, -9.0, False), (0.94, -11.0, False), (0.94, -10.0, False), (0.95, -9.0, False)],
    )
    def test_a_clearly_lower_loss_and_a_higher_evidence(self, loss, log_evidence, expected):
        kept = _Judgement(SimpleNamespace(log_evidence=-10.0), 1.0)
        assert _Judgement(SimpleNamespace(log_evidence=log_evidence), loss).is_better_than(kept) is expected

    @pytest.mark.parametrize("ratio", [0.5, 0.99, 1.01, 2.0])
    def test_the_penalty_is_compared_with_the_loss_without_it(self, ratio):
        problem = make_problem("binary", (4,), n_samples=30, scale=0.5)
        s = np.random.RandomState(0).uniform(1, 3, 30)
        loss, *_ = literal.loss_and_gradient(problem.W, problem.intercepts, problem.X, problem.targets, s)
        alpha = ratio * loss / (sum((coef**2).sum() for coef in problem.coefs) / 2)
        with Team(1) as team:
            datafit, parameters = make_datafit(problem, team, sample_weight=s)
            objective = Objective(datafit, Penalty.of(datafit.network, "shared", alpha))
            iterate = Iterate(1, parameters, objective.value(parameters), parameters)
            assert _penalty_outweighs_loss(objective, iterate) is (ratio > 1)

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_the_measurement_is_that_of_the_penalty_that_is_kept(self, is_kept, monkeypatch):
        """After one trial with a quarter of alpha, against the full matrix."""
        outweighs = iter([True, False])
        monkeypatch.setattr("skrelu._fit.rounds._penalty_outweighs_loss", lambda *_: next(outweighs))
        monkeypatch.setattr(_Judgement, "is_better_than", lambda *_: is_kept)
        problem = learnable()
        with Team(1) as team:
            course, descent, _ = descend(team, problem)
            datafit, _ = make_datafit(problem, team)
        before, last = course.rounds[-2:] if is_kept else (course.rounds[-1], None)
        (alpha,) = course.penalty.alphas
        assert alpha == before.penalty.alphas[0] / (4 if is_kept else 1)
        assert (course.solution.iterate.number == descent.n_iter) is is_kept
        coefs, intercepts = datafit.network.split(course.solution.iterate.parameters)
        W = [coef.T for coef in coefs]
        G = literal.curvature(W, intercepts, problem.X, False)
        loss, *_ = literal.loss_and_gradient(W, intercepts, problem.X, problem.targets, alpha=alpha)
        expected = -loss - 0.5 * np.linalg.slogdet(np.eye(len(G)) + G / alpha)[1]
        assert_allclose(course.measurement.log_evidence, expected, rtol=1e-9)
        if is_kept:
            assert before.first_iter < last.first_iter < last.last_iter == descent.n_iter
            assert_allclose(last.log_evidence, expected, rtol=1e-9)


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
            ({"max_iter": 14}, "max_iter"),
            ({"max_iter": 10}, "max_iter iterations were done"),
            ({"max_fun": 9}, "max_fun evaluations"),
            ({"max_fun": 11}, "max_fun evaluations"),
        ):
            model = DeepLogisticClassifier((), alpha_grouping="shared", **options)
            with pytest.warns(ConvergenceWarning, match=f"minimum: .*{message}"):
                model.fit(X, y)
            assert model.optimize_result_.status == 1


@pytest.fixture(scope="module")
def clean():
    """A table with little noise, where the penalty of the evidence outweighs the loss."""
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return train_test_split(X, y, train_size=300, stratify=y, random_state=0)


class TestWeakening:
    """On a clean table the penalty outweighs the loss, and a quarter of the alphas is tried."""

    @staticmethod
    def fit(X, y, **options):
        return DeepLogisticClassifier((20,), random_state=0, **options).fit(X, y)

    def test_it_lowers_the_test_loss(self, clean, monkeypatch):
        from skrelu._fit import rounds

        X, X_test, y, y_test = clean
        with_it = self.fit(X, y)
        monkeypatch.setattr(rounds, "_penalty_outweighs_loss", lambda *_: False)
        without = self.fit(X, y)
        assert np.mean(with_it.alpha_) < np.mean(without.alpha_) / 3
        assert with_it.log_evidence_ > without.log_evidence_
        losses = [log_loss(y_test, model.predict_proba(X_test)) for model in (with_it, without)]
        assert losses[0] < losses[1]

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_what_is_kept_belongs_together(self, clean, is_kept, monkeypatch):
        from skrelu._fit import rounds

        X, _, y, _ = clean
        verdicts = iter([True, False] if is_kept else [False])
        monkeypatch.setattr(rounds._Judgement, "is_better_than", lambda *_: next(verdicts))
        model = self.fit(X, y)
        weights = [model.alpha_[:-1, np.newaxis], model.alpha_[-1]]
        penalty = sum((alpha * coef**2).sum() for alpha, coef in zip(weights, model.coefs_, strict=True)) / 2
        log_p = model.predict_log_proba(X)[np.arange(len(y)), y]
        assert_allclose(model.loss_, (penalty - log_p.sum()) / len(y), rtol=1e-9)
        assert len(model.loss_curve_) == model.n_iter_
        assert model.loss_ in model.loss_curve_
        assert model.optimize_result_.success

    @pytest.mark.parametrize("by", ["callback", "interrupt"])
    def test_a_stop_during_the_trial_keeps_what_was_there(self, clean, by, monkeypatch):
        from skrelu._fit import rounds

        X, _, y, _ = clean
        judged = []
        original = rounds.leave_one_out_loss
        monkeypatch.setattr(rounds, "leave_one_out_loss", lambda *a: judged.append(1) or original(*a))
        monkeypatch.setattr(rounds._Judgement, "is_better_than", lambda *_: False)
        expected = self.fit(X, y)
        judged.clear()

        class Stop(ProgressBar):
            stopped: ClassVar = []

            def setup(self, estimator, context): ...
            def teardown(self, estimator, context): ...
            def on_fit_task_begin(self, estimator, context, **_): ...
            def on_fit_task_end(self, estimator, context, **_):
                if not judged or len(self.stopped) or context.task_name != "iterate":
                    return False
                self.stopped.append(True)
                if by == "interrupt":
                    raise KeyboardInterrupt
                return True

        model = DeepLogisticClassifier((20,), random_state=0).set_callbacks(Stop())
        if by == "callback":
            model.fit(X, y)
            assert "callback" in model.optimize_result_.message
        else:
            with pytest.warns(UserWarning, match="interrupted by user"):
                model.fit(X, y)
        assert model.n_iter_ < expected.n_iter_
        assert_array_equal(model.coefs_[0], expected.coefs_[0])
        assert_array_equal(model.alpha_, expected.alpha_)

    def test_held_out_rows_judge_instead(self, clean, monkeypatch):
        from skrelu._fit import rounds

        X, _, y, _ = clean
        monkeypatch.setattr(rounds, "leave_one_out_loss", lambda *_: pytest.fail("called"))
        self.fit(X, y, early_stopping=True)
