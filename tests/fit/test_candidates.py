"""The candidates for alpha: which fits are tried after the rounds, which are kept, and what ends the comparison."""

from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._fit import candidates as candidates_module
from skrelu._fit.callbacks import FitTask, IterateTasks
from skrelu._fit.candidates import Candidates, Judgement, is_at_rest, tol_factor
from skrelu._fit.course import Course, Round
from skrelu._fit.descent import Descent, Limits
from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome
from skrelu._fit.rounds import EvidenceRounds
from skrelu._laplace.evidence import Evidence
from tests import literal
from tests.problems import make_datafit, make_problem

ALL = 10**6


def learnable(hidden=(), n_samples=60, n_features=3, noise=0.5, seed=0):
    problem = make_problem("binary", hidden, n_samples, n_features, seed=seed)
    problem.y[:] = problem.X[:, 0] + noise * np.random.RandomState(seed).randn(n_samples) > 0
    return problem


class Comparison:
    """Candidates beside the minimum for a first alpha, without rounds before."""

    def __init__(
        self,
        team,
        problem,
        alpha=1.0,
        grouping="shared",
        sample_weight=None,
        tasks=None,
        further_iter=10_000,
        further_fun=10_000,
        tol=1e-7,
    ):
        self.datafit, parameters = make_datafit(problem, team, sample_weight=sample_weight)
        self.tasks = tasks or IterateTasks(FitTask.unwatched(), 0.3 * parameters)
        limits = Limits(max_iter=10_000, max_fun=10_000, tol=tol, n_iter_no_change=np.inf)
        self.descent = Descent(limits, Monitor(None, np.inf, tol, False, ""), self.tasks)
        self.penalty = Penalty.of(self.datafit.network, grouping, alpha)
        self.course = Course()
        self.first = self.descent.run(Objective(self.datafit, self.penalty), 0.3 * parameters)
        assert self.first.outcome.is_converged
        self.course.begin(Round(0, self.penalty), self.first)
        self.n_first = self.descent.n_iter
        self.descent.limits = replace(
            limits, max_iter=self.n_first + further_iter, max_fun=self.descent.n_evaluations + further_fun
        )
        self.trials = []

        def run(objective, start, n_iter=None, *, tol_factor=1.0):
            assert n_iter is None
            solution = Descent.run(self.descent, objective, start, tol_factor=tol_factor)
            self.trials.append(SimpleNamespace(alphas=objective.penalty.alphas, start=start, solution=solution))
            self.trials[-1].tol_factor = tol_factor
            return solution

        self.descent.run = run

    def compare(self, previous=None):
        Candidates(Evidence(ALL, 0), self.descent, self.datafit, self.course, previous).compare()
        return self

    @property
    def factors(self):
        """The alphas tried, relative to the first ones."""
        return [trial.alphas[0] / self.penalty.alphas[0] for trial in self.trials]


@dataclass
class LiteralFit:
    """A fit, judged by the full matrix and by rows left out one at a time."""

    problem: object
    s: np.ndarray
    alpha: float
    parameters: np.ndarray

    def __post_init__(self):
        coefs, b = Network.of(self.problem.coefs).split(self.parameters)
        W, X, s = [coef.T for coef in coefs], self.problem.X, self.s
        G = literal.curvature(W, b, X, False, s)
        A = G + self.alpha * np.eye(len(G))
        self.loss, *_ = literal.loss_and_gradient(W, b, X, self.problem.targets, s)
        squares = sum((coef**2).sum() for coef in coefs)
        self.penalty = self.alpha * squares / 2
        self.log_evidence = -self.loss - self.penalty - 0.5 * np.linalg.slogdet(A / self.alpha)[1]
        self.gamma = np.trace(np.linalg.solve(A, G))
        self.updated = self.gamma / squares
        self.left_out_loss = 0.0
        for x, target, weight in zip(X, self.problem.targets, s, strict=True):
            f, J = literal.score(W, b, x), literal.jacobian(W, b, x)
            one = min(weight, 1)  # of the equal rows that it stands for
            V = (J @ np.linalg.solve(A, J.T)).item()
            p = 1 / (1 + np.exp(-f[0]))
            V /= 1 - one * p * (1 - p) * V
            self.left_out_loss += weight * literal.binary_loss(f[0] + V * one * (p - (target > 0)), target)

    def is_better_than(self, other):
        costs = [fit.left_out_loss - fit.log_evidence for fit in (self, other)]
        is_equal = self.log_evidence > other.log_evidence - 1 and self.left_out_loss < 0.97 * other.left_out_loss
        return bool(costs[0] < 0.97 * costs[1] or (self.alpha < other.alpha and is_equal))


def assert_measured(course, problem, s=None):
    """Assert that solution, penalty and measurement of a course belong together, by the full matrix."""
    (alpha,) = course.penalty.alphas
    s = np.ones(len(problem.X)) if s is None else s
    fit = LiteralFit(problem, s, alpha, course.solution.iterate.parameters)
    assert_allclose(course.solution.iterate.value, (fit.loss + fit.penalty) / s.sum(), rtol=1e-10)
    assert_array_equal(course.measurement.penalty.alphas, [alpha])
    assert_allclose(course.measurement.log_evidence, fit.log_evidence, rtol=1e-9)
    assert_allclose(course.measurement.gamma, fit.gamma, rtol=1e-7)


@pytest.fixture
def script(monkeypatch):
    """Let a script decide: the updates of alpha (factors), where the penalty outweighs the loss, what is better."""
    scripts = SimpleNamespace()

    def write(updates=(), outweighs=(), verdicts=()):
        scripts.updates, scripts.outweighs, scripts.verdicts = iter(updates), iter(outweighs), iter(verdicts)

    def update(measurement, parameters):
        return measurement.penalty.with_alphas(measurement.penalty.alphas * next(scripts.updates, 1.0))

    monkeypatch.setattr(Evidence, "update", staticmethod(update))
    monkeypatch.setattr(Candidates, "_penalty_outweighs_loss", lambda self: next(scripts.outweighs))
    monkeypatch.setattr(Judgement, "is_better_than", lambda self, other: next(scripts.verdicts))
    write.is_used_up = lambda: not [*scripts.outweighs, *scripts.verdicts]
    return write


class TestReplay:
    """Each trial and each verdict, replayed by the full matrix."""

    @staticmethod
    def replay(comparison, problem, s):
        """Return what was tried and whether it was kept."""
        (alpha,) = comparison.penalty.alphas
        trials, done = iter(comparison.trials), []
        kept = LiteralFit(problem, s, alpha, comparison.first.iterate.parameters)

        def try_next(name, alpha):
            nonlocal kept
            trial = next(trials)
            assert_allclose(trial.alphas, alpha, rtol=1e-6)
            assert_array_equal(trial.start, kept.parameters)
            assert_allclose(trial.tol_factor, min(10 * (kept.loss + kept.penalty) / s.sum(), 1), rtol=1e-9)
            assert trial.solution.outcome.is_converged
            fit = LiteralFit(problem, s, trial.alphas[0], trial.solution.iterate.parameters)
            is_kept = fit.is_better_than(kept)
            done.append((name, is_kept))
            kept = fit if is_kept else kept
            return is_kept

        while abs(np.log(kept.updated / kept.alpha)) * min(kept.gamma, 1) >= 0.1:
            if not try_next("update", kept.updated):
                break
        while done.count(("half", True)) < 20 and kept.penalty > kept.loss and try_next("half", kept.alpha / 2):
            pass
        while ("half", True) not in done and try_next("twice", kept.alpha * 2):
            pass
        assert next(trials, None) is None
        assert_array_equal(comparison.course.solution.iterate.parameters, kept.parameters)
        return done

    @pytest.mark.parametrize("is_weighted", [False, True])
    @pytest.mark.parametrize(
        ("options", "alpha", "expected"),
        [
            ({"noise": 0.0}, 1.0, {("update", True), ("half", True), ("half", False)}),
            ({"noise": 0.5}, 1.0, {("update", True), ("update", False), ("twice", False)}),
            ({"noise": 2.0}, 0.01, {("update", True), ("update", False), ("twice", False)}),
        ],
    )
    def test_every_trial_and_verdict(self, options, alpha, expected, is_weighted):
        problem = learnable(**options, seed=1)
        s = np.random.RandomState(0).uniform(0.5, 3, 60) if is_weighted else np.ones(60)
        with Team(1) as team:
            comparison = Comparison(team, problem, alpha, sample_weight=s if is_weighted else None).compare()
        done = self.replay(comparison, problem, s)
        # Separable rows, some of which stand for several equal ones: only the number of halvings ends them.
        is_endless = is_weighted and options == {"noise": 0.0}
        assert set(done) == expected - ({("half", False)} if is_endless else set())
        assert (done.count(("half", True)) == 20) == is_endless
        assert comparison.course.outcome.is_converged
        assert_measured(comparison.course, problem, s)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            # Many features and few rows: the double is better.
            (
                {"n_samples": 30, "n_features": 10, "noise": 1.0, "seed": 1},
                [("update", True), ("update", False), ("twice", True), ("twice", False)],
            ),
            # Rows that become certain: weights and alpha come to rest, and then half the alphas are better.
            (
                {"n_samples": 40, "noise": 0.0, "seed": 3},
                [*[("update", True)] * 4, *[("half", True)] * 12, ("half", False)],
            ),
        ],
    )
    def test_a_whole_comparison(self, options, expected):
        problem = learnable(**options)
        s = np.ones(len(problem.X))
        with Team(1) as team:
            comparison = Comparison(team, problem).compare()
        assert self.replay(comparison, problem, s) == expected
        assert_measured(comparison.course, problem)


class TestComingToRest:
    @pytest.mark.parametrize(
        ("updates", "verdicts", "factors"),
        [
            ([1.5, 1.0], [True], [1.5]),
            ([1.5, 0.5, 1.2, 1.0], [True, True, True], [1.5, 0.75, 0.9]),
            ([1.5], [False], [1.5]),  # no other update from the same fit
            ([1.5, 1.3], [True, False], [1.5, 1.95]),
            ([np.exp(0.09)], [], []),
            ([np.exp(-0.09)], [], []),
            ([np.exp(0.11)], [False], [np.exp(0.11)]),
            ([np.exp(-0.11)], [False], [np.exp(-0.11)]),
        ],
    )
    def test_alpha_is_updated_until_it_rests_or_the_fit_gets_worse(self, updates, verdicts, factors, script):
        script(updates, outweighs=[False], verdicts=[*verdicts, False])  # the last one for twice the alphas
        problem = learnable(noise=2.0)
        with Team(1) as team:
            comparison = Comparison(team, problem).compare()
        kept = ([1.0] + [factor for factor, is_kept in zip(factors, verdicts, strict=True) if is_kept])[-1]
        assert_allclose(comparison.factors, [*factors, 2 * kept], rtol=1e-12)
        assert_allclose(comparison.course.penalty.alphas, [kept], rtol=1e-12)
        assert comparison.course.outcome.is_converged
        assert script.is_used_up()
        assert_measured(comparison.course, problem)

    def test_a_round_of_each_fit_that_is_kept(self, script):
        script([1.5, 3.0], [False], [True, False, True, False])  # of the trials 1.5, 4.5, 3 and 6 the first and third
        with Team(1) as team:
            comparison = Comparison(team, learnable()).compare()
        first, *kept = comparison.course.rounds
        assert (first.first_iter, first.last_iter) == (0, None)
        assert [round_.penalty.alphas[0] for round_ in kept] == [1.5, 3.0]
        ends = [comparison.n_first] + [trial.solution.iterate.number for trial in comparison.trials]
        assert [(round_.first_iter, round_.last_iter) for round_ in kept] == [(ends[0], ends[1]), (ends[2], ends[3])]
        measurement = comparison.course.measurement
        assert (kept[-1].gamma, kept[-1].log_evidence) == (measurement.gamma, measurement.log_evidence)

    @pytest.mark.parametrize("limit", ["further_iter", "further_fun"])
    @pytest.mark.parametrize("n_further", [0, 2])
    def test_a_limit_that_cuts_it_is_named(self, limit, n_further, script):
        """The limit comes before the trial or within it, and the fit before it is kept."""
        script([30.0], outweighs=[False])
        problem = learnable()
        with Team(1) as team:
            comparison = Comparison(team, problem, **{limit: n_further}).compare()
        assert len(comparison.trials) == (n_further > 0)
        assert comparison.course.outcome is Outcome.ALPHA
        assert comparison.course.solution.iterate is comparison.first.iterate
        assert comparison.course.penalty is comparison.penalty
        assert_measured(comparison.course, problem)

    def test_a_limit_after_a_trial_that_was_kept_is_named(self, script):
        problem = learnable()
        with Team(1) as team:
            script([1.5, 1.5], outweighs=[False], verdicts=[True, False, False])
            whole = Comparison(team, problem).compare()
            n_trial = whole.trials[0].solution.iterate.number - whole.n_first
            script([1.5, 1.5], outweighs=[False], verdicts=[True])
            comparison = Comparison(team, problem, further_iter=n_trial + 1).compare()
        assert comparison.factors == [1.5, 2.25]
        assert comparison.course.outcome is Outcome.ALPHA
        assert_array_equal(comparison.course.penalty.alphas, [1.5])
        assert_measured(comparison.course, problem)

    @pytest.mark.parametrize("n_further", [0, 1])
    def test_a_limit_that_comes_once_alpha_rests_is_none_to_speak_of(self, n_further, script):
        """Before or within the trial with twice the alphas."""
        script(outweighs=[False])
        problem = learnable()
        with Team(1) as team:
            comparison = Comparison(team, problem, further_iter=n_further).compare()
        assert len(comparison.trials) == n_further
        assert comparison.course.outcome is comparison.first.outcome
        assert comparison.course.solution.iterate is comparison.first.iterate
        assert_measured(comparison.course, problem)


class TestHalfAndTwice:
    @pytest.mark.parametrize(
        ("outweighs", "verdicts", "factors", "kept"),
        [
            ([False], [False], [2], 1),
            ([False], [True, True, False], [2, 4, 8], 4),
            ([True, False], [True], [1 / 2], 1 / 2),
            ([True, True, False], [True, True], [1 / 2, 1 / 4], 1 / 4),
            ([True, True], [True, False], [1 / 2, 1 / 4], 1 / 2),
            ([True], [False, False], [1 / 2, 2], 1),
            ([True], [False, True, True, False], [1 / 2, 2, 4, 8], 4),
        ],
    )
    def test_half_where_the_penalty_outweighs_the_loss_and_twice_if_nothing_was_halved(
        self, outweighs, verdicts, factors, kept, script
    ):
        script([], outweighs, verdicts)
        problem = learnable(noise=2.0)
        with Team(1) as team:
            comparison = Comparison(team, problem, alpha=0.7).compare()
        assert_allclose(comparison.factors, factors, rtol=1e-12)
        assert script.is_used_up()
        assert_allclose(comparison.course.penalty.alphas, [0.7 * kept], rtol=1e-12)
        fits = {1.0: comparison.first} | dict(zip(factors, [t.solution for t in comparison.trials], strict=True))
        assert_array_equal(comparison.course.solution.iterate.parameters, fits[kept].iterate.parameters)
        assert comparison.course.outcome.is_converged
        assert_measured(comparison.course, problem)

    def test_each_trial_begins_at_the_fit_that_is_kept(self, script):
        script([], [True], [False, True, False])  # half, twice, four times
        with Team(1) as team:
            comparison = Comparison(team, learnable()).compare()
        half, twice, four_times = comparison.trials
        assert_array_equal(half.start, comparison.first.iterate.parameters)
        assert_array_equal(twice.start, comparison.first.iterate.parameters)
        assert_array_equal(four_times.start, twice.solution.iterate.parameters)

    def test_all_groups_alike(self, script):
        script([], [True], [False, False])
        problem = learnable(n_features=2)
        with Team(1) as team:
            comparison = Comparison(team, problem, np.array([1.0, 3.0, 5.0]), "feature").compare()
        assert_allclose([trial.alphas for trial in comparison.trials], [[0.5, 1.5, 2.5], [2.0, 6.0, 10.0]])

    @pytest.mark.parametrize("ratio", [0.5, 0.99, 1.01, 2.0])
    def test_the_penalty_is_compared_with_the_loss_without_it(self, ratio, monkeypatch):
        problem = make_problem("binary", (4,), n_samples=30, scale=0.5)
        s = np.random.RandomState(0).uniform(1, 3, 30)
        loss, *_ = literal.loss_and_gradient(problem.W, problem.intercepts, problem.X, problem.targets, s)
        alpha = ratio * loss / (sum((coef**2).sum() for coef in problem.coefs) / 2)
        with Team(1) as team:
            datafit, parameters = make_datafit(problem, team, sample_weight=s)
            penalty = Penalty.of(datafit.network, "shared", alpha)
            value = Objective(datafit, penalty).value(parameters)
            solution = SimpleNamespace(iterate=SimpleNamespace(parameters=parameters, value=value))
            course = Course([Round(0, penalty)], solution)
            candidates = Candidates(Evidence(ALL, 0), None, datafit, course, None)
            assert candidates._penalty_outweighs_loss() is (ratio > 1)


def judgement(cost, left_out_loss, alphas=(1.0,)):
    penalty = SimpleNamespace(alphas=np.array(alphas))
    return Judgement(SimpleNamespace(log_evidence=left_out_loss - cost, penalty=penalty), left_out_loss)


class TestWhatIsBetter:
    def test_the_cost_is_the_left_out_loss_and_minus_the_log_evidence(self):
        assert Judgement(SimpleNamespace(log_evidence=-7.0), 5.0).cost == 12.0

    @pytest.mark.parametrize(("cost", "expected"), [(96.9, True), (97.1, False), (103.0, False)])
    @pytest.mark.parametrize("left_out_loss", [30.0, 50.0])
    @pytest.mark.parametrize("alpha", [0.5, 2.0])
    def test_a_cost_lower_by_3_percent(self, cost, expected, left_out_loss, alpha):
        """Whatever the left-out loss and the penalty are."""
        assert bool(judgement(cost, left_out_loss, [alpha]).is_better_than(judgement(100.0, 40.0))) is expected

    @pytest.mark.parametrize(
        ("alphas", "log_evidence", "left_out_loss", "expected"),
        [
            ([0.5, 1.5], -60.9, 0.96, True),
            ([0.5, 1.5], -61.1, 0.96, False),
            ([0.5, 1.5], -60.9, 0.98, False),
            # weaker is what has the lower sum of the alphas
            ([0.5, 3.4], -60.9, 0.96, True),
            ([0.5, 3.6], -60.9, 0.96, False),
            ([1.0, 3.0], -60.9, 0.96, False),
            ([8.0, 8.0], -60.9, 0.96, False),
        ],
    )
    def test_of_equal_evidence_a_weaker_penalty_with_a_lower_left_out_loss(
        self, alphas, log_evidence, left_out_loss, expected
    ):
        """The costs differ by less than 3 percent."""
        kept = judgement(61.0, 1.0, [1.0, 3.0])
        trial = judgement(left_out_loss - log_evidence, left_out_loss, alphas)
        assert 0.97 * kept.cost < trial.cost
        assert bool(trial.is_better_than(kept)) is expected

    @pytest.mark.parametrize("left_out_loss", [np.nan, np.inf])
    def test_nothing_that_is_not_finite_is(self, left_out_loss):
        trial = replace(judgement(1.0, 0.0, [1.0]), left_out_loss=left_out_loss)
        assert not trial.is_better_than(judgement(100.0, 40.0, [2.0]))


class TestWhatIsKept:
    """The course before a trial that does not come to an end, with its measurement."""

    def assert_first_is_kept(self, comparison, problem, outcome=None):
        assert comparison.course.solution.iterate is comparison.first.iterate
        assert comparison.course.penalty is comparison.penalty
        assert comparison.course.outcome is (outcome or comparison.first.outcome)
        assert len(comparison.course.rounds) == 1
        assert_measured(comparison.course, problem)

    @pytest.mark.parametrize("outcome", [Outcome.LINE_SEARCH, Outcome.OVERFLOW])
    def test_a_trial_that_does_not_converge_is_not_judged(self, outcome, script):
        script([1.5], [True], [])
        problem = learnable()
        with Team(1) as team:
            comparison = Comparison(team, problem)
            run = comparison.descent.run
            comparison.descent.run = lambda *args, **options: replace(run(*args, **options), outcome=outcome)
            comparison.compare()
        assert_allclose(comparison.factors, [1.5, 0.5, 2.0])
        self.assert_first_is_kept(comparison, problem)

    @pytest.mark.parametrize("updates", [[1.5], []])
    @pytest.mark.parametrize("by", [Outcome.CALLBACK, Outcome.INTERRUPTED])
    @pytest.mark.parametrize("further_iter", [1, 10_000])
    def test_a_stop_ends_the_comparison(self, further_iter, by, updates, script):
        """While alpha comes to rest, or with half the alphas; at the last iterate that max_iter allows, too."""
        script(updates, [True], [])
        problem, stops = learnable(), []

        def end(parameters):
            if stops and by is Outcome.INTERRUPTED:
                raise KeyboardInterrupt
            return bool(stops)

        with Team(1) as team:
            tasks = SimpleNamespace(begin=lambda: None, end=end)
            comparison = Comparison(team, problem, tasks=tasks, further_iter=further_iter)
            stops.append(1)
            comparison.compare()
        assert len(comparison.trials) == 1
        self.assert_first_is_kept(comparison, problem, by)

    @pytest.mark.parametrize("where", ["measure_well", "leave_one_out_loss"])
    @pytest.mark.parametrize("n_kept", [0, 1])
    def test_a_trial_that_cannot_be_measured_ends_the_comparison(self, where, n_kept, script, monkeypatch):
        script([1.5, 1.5], [], [True])
        original, calls = Evidence.measure_well, []

        def fail(*args, original, error):
            calls.append(1)
            if len(calls) == n_kept + 2:  # after the first fit and those that are kept
                raise error
            return original(*args)

        if where == "measure_well":
            wrapped = partial(fail, original=original, error=FloatingPointError)
            monkeypatch.setattr(Evidence, "measure_well", lambda *args: wrapped(*args))
        else:  # of linear algebra
            original = candidates_module.leave_one_out_loss
            monkeypatch.setattr(
                candidates_module, "leave_one_out_loss", partial(fail, original=original, error=ValueError("inf"))
            )
        problem = learnable()
        with Team(1) as team:
            comparison = Comparison(team, problem)
            with pytest.raises(FloatingPointError):
                comparison.compare()
        assert len(comparison.trials) == n_kept + 1
        assert comparison.course.outcome.is_converged
        assert_allclose(comparison.course.penalty.alphas, [1.5**n_kept])
        assert_measured(comparison.course, problem)

    def test_a_first_fit_that_cannot_be_measured_has_no_measurement(self, monkeypatch):
        def fail(*args):
            raise FloatingPointError

        monkeypatch.setattr(Evidence, "measure_well", fail)
        with Team(1) as team:
            comparison = Comparison(team, learnable())
            with pytest.raises(FloatingPointError):
                comparison.compare()
        assert not comparison.trials
        assert comparison.course.measurement is None
        assert comparison.course.outcome.is_converged

    @pytest.mark.parametrize("error", [FloatingPointError, KeyboardInterrupt])
    @pytest.mark.parametrize("n_kept", [0, 1])
    def test_the_course_of_a_descent_ends_with_the_best_so_far(self, error, n_kept, script, monkeypatch):
        """What is raised at a measurement, here of the trials with twice the alphas, is not passed on."""
        original, calls, problem = Evidence.measure_well, [], learnable()

        def fail(*args):
            calls.append(1)
            if len(calls) == n_kept + 2:
                raise error
            return original(*args)

        monkeypatch.setattr(Evidence, "measure_well", fail)
        script([], [False], [True] * n_kept)
        with Team(1) as team:
            datafit, parameters = make_datafit(problem, team)
            limits = Limits(max_iter=1000, max_fun=10_000, tol=1e-7, n_iter_no_change=20)
            monitor, tasks = Monitor(None, 20, 1e-7, False, ""), IterateTasks(FitTask.unwatched(), parameters)
            strategy = EvidenceRounds(Penalty.of(datafit.network, "shared", 1.0), Evidence(ALL, 0))
            course = strategy.descend(Descent(limits, monitor, tasks), datafit, 0.3 * parameters)
        if error is KeyboardInterrupt:
            assert course.outcome is Outcome.INTERRUPTED
        else:
            assert course.outcome.is_converged
        assert_array_equal(course.penalty.alphas, [2.0**n_kept])
        assert_measured(course, problem)


class TestMeasurements:
    def test_the_figures_are_those_of_all_rows(self):
        """Sums with the weights of the rows, in nats."""
        problem, s = learnable(), np.random.RandomState(0).uniform(0.5, 3, 60)
        with Team(1) as team:
            given = Comparison(team, problem, 0.7, sample_weight=s)
            candidates = Candidates(Evidence(ALL, 0), given.descent, given.datafit, given.course, None)
        fit = LiteralFit(problem, s, 0.7, given.first.iterate.parameters)
        assert_allclose(candidates._judgement.left_out_loss, fit.left_out_loss, rtol=1e-9)
        assert_allclose(candidates._judgement.cost, fit.left_out_loss - fit.log_evidence, rtol=1e-9)

    def test_each_begins_where_the_one_before_it_ended(self, script, monkeypatch):
        """With its number of terms and its mean leverage; the objective is known already."""
        original, given = Evidence.measure_well, []

        def measure_well(self, objective, parameters, value, previous):
            measurement = original(self, objective, parameters, value, None)
            given.append((parameters, value, previous, measurement))
            return measurement

        monkeypatch.setattr(Evidence, "measure_well", measure_well)
        script([1.5], [True], [True, False, False])  # of 1.5, 0.75 and 3 the first is kept
        with Team(1) as team:
            comparison = Comparison(team, learnable())
            comparison.compare(previous="of the rounds")
        solutions = [comparison.first, *(trial.solution for trial in comparison.trials)]
        for (parameters, value, _, _), solution in zip(given, solutions, strict=True):
            assert_array_equal(parameters, solution.iterate.parameters)
            assert value == solution.iterate.value
        measurements = [measurement for *_, measurement in given]
        assert given[0][2] == "of the rounds"
        assert [previous for *_, previous, _ in given[1:]] == [measurements[0], measurements[1], measurements[1]]
        assert comparison.course.measurement is measurements[1]

    def test_the_left_out_loss_is_of_the_same_terms_and_seed(self, monkeypatch):
        original, seeds = candidates_module.leave_one_out_loss, []

        def leave_one_out_loss(datafit, parameters, curvature, seed):
            seeds.append(seed)
            return original(datafit, parameters, curvature, seed)

        monkeypatch.setattr(candidates_module, "leave_one_out_loss", leave_one_out_loss)
        with Team(1) as team:
            comparison = Comparison(team, learnable())
            Candidates(Evidence(30, 5), comparison.descent, comparison.datafit, comparison.course, None).compare()
        assert set(seeds) == {5}
        assert len(comparison.course.measurement.curvature.terms.numbers) <= 30


class TestTolerance:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(5.0, 1.0), (0.1, 1.0), (0.05, 0.5), (1e-9, 1e-8), (0.0, 2.0**-52), (1e-20, 2.0**-52)],
    )
    def test_the_factor_is_ten_times_the_objective(self, value, expected):
        assert_allclose(tol_factor(SimpleNamespace(value=value)), expected, rtol=1e-12)

    def test_a_trial_is_fitted_to_that_part_of_tol(self, script):
        script([], [True, True], [True, False])
        with Team(1) as team:
            comparison = Comparison(team, learnable(noise=0.0), alpha=1e-3, tol=1e-4).compare()
        values = [comparison.first.iterate.value, comparison.trials[0].solution.iterate.value]
        assert max(values) < 0.05
        assert_allclose([trial.tol_factor for trial in comparison.trials], 10 * np.array(values), rtol=1e-12)
        for trial in comparison.trials:
            assert np.abs(trial.solution.iterate.gradient).max() <= 1e-4 * trial.tol_factor


class TestRest:
    @staticmethod
    def rests(gammas, changes):
        """Return whether alpha rests if log alpha changes by so much in each group."""
        alphas = np.arange(1.0, len(gammas) + 1)
        measurement = SimpleNamespace(
            penalty=SimpleNamespace(alphas=alphas), gammas=np.array(gammas), gamma=float(np.sum(gammas))
        )
        return is_at_rest(measurement, SimpleNamespace(alphas=alphas * np.exp(changes)))

    @pytest.mark.parametrize(
        ("gammas", "changes", "expected"),
        [
            ([5.0], [0.099], True),
            ([5.0], [0.101], False),
            ([5.0], [-0.099], True),
            ([5.0], [-0.101], False),
            # the mean over the well-determined weights, without regard to the sign
            ([9.0, 1.0], [0.0, 0.99], True),
            ([9.0, 1.0], [0.0, 1.01], False),
            ([1.0, 9.0], [0.0, 0.12], False),
            ([5.0, 5.0], [0.3, -0.3], False),
            # less than one weight is determined
            ([0.2], [0.49], True),
            ([0.2], [0.51], False),
            ([0.0], [60.0], True),
        ],
    )
    def test_where_alpha_changes_by_less_than_a_tenth(self, gammas, changes, expected):
        assert self.rests(gammas, changes) is expected


@pytest.fixture(scope="module")
def clean():
    """A table with little noise, where the penalty of the evidence outweighs the loss."""
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return train_test_split(X, y, train_size=300, stratify=y, random_state=0)


class TestCleanTable:
    """The penalty outweighs the loss, and half of the alphas is tried."""

    @staticmethod
    def fit(X, y, **options):
        return DeepLogisticClassifier((20,), random_state=0, **options).fit(X, y)

    def test_weaker_penalties_lower_the_test_loss(self, clean, monkeypatch):
        X, X_test, y, y_test = clean
        with_it = self.fit(X, y)
        monkeypatch.setattr(Candidates, "_penalty_outweighs_loss", lambda *_: False)
        without = self.fit(X, y)
        assert np.mean(with_it.alpha_) < np.mean(without.alpha_) / 1.9
        losses = [log_loss(y_test, model.predict_proba(X_test)) for model in (with_it, without)]
        assert losses[0] < losses[1]

    @pytest.mark.parametrize("n_kept", [0, 1])
    def test_what_is_kept_belongs_together(self, clean, n_kept, monkeypatch):
        X, _, y, _ = clean
        verdicts = iter([True] * n_kept)
        monkeypatch.setattr(Judgement, "is_better_than", lambda *_: next(verdicts, False))
        model = self.fit(X, y)
        weights = [model.alpha_[:-1, np.newaxis], model.alpha_[-1]]
        # The scaler has seen all rows, and the fit standardises by its own: alpha is that of these weights.
        coefs = [model.coefs_[0] * model.feature_scale_[:, np.newaxis], *model.coefs_[1:]]
        penalty = sum((alpha * coef**2).sum() for alpha, coef in zip(weights, coefs, strict=True)) / 2
        log_p = model.predict_log_proba(X)[np.arange(len(y)), y]
        assert_allclose(model.loss_, (penalty - log_p.sum()) / len(y), rtol=1e-9)
        assert len(model.loss_curve_) == model.n_iter_
        assert model.loss_ in model.loss_curve_
        assert model.optimize_result_.success

    @pytest.mark.parametrize("by", ["callback", "interrupt"])
    def test_a_stop_during_a_trial_keeps_what_was_there(self, clean, by, monkeypatch):
        X, _, y, _ = clean
        judged = []
        original = candidates_module.leave_one_out_loss
        monkeypatch.setattr(candidates_module, "leave_one_out_loss", lambda *a: judged.append(1) or original(*a))
        monkeypatch.setattr(Judgement, "is_better_than", lambda *_: False)
        expected = self.fit(X, y)
        assert len(judged) > 1
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
        assert len(judged) == 1
        assert model.n_iter_ < expected.n_iter_
        assert_array_equal(model.coefs_[0], expected.coefs_[0])
        assert_array_equal(model.alpha_, expected.alpha_)
        assert model.log_evidence_ == expected.log_evidence_

    def test_held_out_rows_judge_instead(self, clean, monkeypatch):
        X, _, y, _ = clean
        monkeypatch.setattr(candidates_module, "leave_one_out_loss", lambda *_: pytest.fail("called"))
        self.fit(X, y, early_stopping=True)
