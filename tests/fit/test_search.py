"""Descents from several starts: which run is kept, and what ends in an error."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._fit.callbacks import FitTask
from skrelu._fit.descent import Limits
from skrelu._fit.outcome import Outcome
from skrelu._fit.rounds import EvidenceRounds
from skrelu._fit.search import Search
from skrelu._fit.strategy import FixedAlpha
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.leave_one_out import choose_moderation
from tests import literal
from tests.problems import make_fit_problem, make_problem

LIMITS = Limits(max_iter=200, max_fun=2000, tol=1e-6, n_iter_no_change=20)


def make_problem_of_fit(kind="binary", hidden=(3,), **options):
    return make_fit_problem(make_problem(kind, hidden, n_samples=60, scale=0.5), **options)


def run(problem, starts, alpha=0.3, n_init=None, evidence=None, limits=LIMITS, task=None):
    penalty = Penalty.of(problem.network, "shared", alpha)
    strategy = EvidenceRounds(penalty, evidence) if evidence else FixedAlpha(penalty, None)
    with Team(1) as team:
        search = Search(problem, strategy, problem.datafits(team), limits, task or FitTask.unwatched())
        return search.run(starts, len(starts) if n_init is None else n_init)


def starts_of(problem, n=4):
    return list(problem.starts(n, None, np.random.RandomState(0)))


class TestWhichRunIsKept:
    @pytest.mark.parametrize("backwards", [False, True])
    def test_the_one_of_the_lowest_objective(self, backwards):
        problem = make_problem_of_fit()
        starts = starts_of(problem)[:: -1 if backwards else 1]
        alone = [run(problem, [start]) for start in starts]
        values = [one.kept.value for one in alone]
        assert np.ptp(values) > 1e-3
        best = run(problem, starts)
        assert best.kept.value == min(values)
        assert_array_equal(best.kept.parameters, alone[int(np.argmin(values))].kept.parameters)
        assert best.loss_curve == alone[int(np.argmin(values))].loss_curve
        assert best.score is None
        assert best.validation_scores is None

    @pytest.mark.parametrize("backwards", [False, True])
    def test_the_one_of_the_highest_validation_score(self, backwards):
        problem = make_problem_of_fit(n_held_out=20)
        starts = starts_of(problem)[:: -1 if backwards else 1]
        alone = [run(problem, [start]) for start in starts]
        scores = [one.score for one in alone]
        chosen = int(np.argmax(scores))
        assert chosen != np.argmin([one.kept.value for one in alone])
        best = run(problem, starts)
        assert best.score == max(scores)
        assert_array_equal(best.kept.parameters, alone[chosen].kept.parameters)

    def test_the_score_is_minus_the_mean_loss_of_the_held_out_rows(self):
        given = make_problem("multiclass", (3,), n_samples=60, scale=0.5)
        problem = make_fit_problem(given, n_held_out=20)
        best = run(problem, starts_of(problem, 1))
        assert best.score == max(best.validation_scores)
        assert len(best.validation_scores) == best.n_iter
        coefs, intercepts = problem.network.split(best.kept.parameters)
        loss, *_ = literal.loss_and_gradient([c.T for c in coefs], intercepts, given.X[40:], given.targets[40:])
        assert_allclose(best.score, -loss / 20, rtol=1e-12)

    def test_of_equal_runs_the_first_is_kept(self):
        problem = make_problem_of_fit()
        (start,) = starts_of(problem, 1)
        ended = []
        task = watched(lambda name, parameters: ended.append(parameters) if name == "start" else None)
        best = run(problem, [start, start], task=task)
        assert best.kept.parameters is ended[0]
        assert_array_equal(ended[0], ended[1])

    def test_the_evidence_is_measured_at_what_is_kept(self):
        given = make_problem("binary", (3,), n_samples=60, scale=0.5)
        problem = make_fit_problem(given)
        best = run(problem, starts_of(problem, 2), evidence=Evidence(10**6, 0))
        coefs, intercepts = problem.network.split(best.kept.parameters)
        W, (alpha,) = [coef.T for coef in coefs], best.penalty.alphas
        G = literal.curvature(W, intercepts, given.X, False)
        loss, *_ = literal.loss_and_gradient(W, intercepts, given.X, given.targets, alpha=alpha)
        expected = -loss - 0.5 * np.linalg.slogdet(np.eye(len(G)) + G / alpha)[1]
        assert_allclose(best.measurement.log_evidence, expected, rtol=1e-9)

    @pytest.mark.parametrize(
        ("seed", "noise", "first_alpha", "numbers", "place"),
        [(0, 1.0, 1e-4, range(1, 10), 0), (2, 0.0, 1e-4, [10], 0), (3, 0.0, 10.0, range(25, 44), 2)],
    )
    def test_with_validation_the_penalty_is_that_of_the_iterate_kept(self, seed, noise, first_alpha, numbers, place):
        """Alpha changes at the iterates 10, 24 and 43; the iterate 10 was still found under the first one."""
        given = make_problem("binary", (3,), n_samples=60, seed=seed)
        given.y[:] = given.X[:, 0] + noise * np.random.RandomState(seed).randn(60) > 0
        problem = make_fit_problem(given, n_held_out=20)
        best = run(problem, starts_of(problem, 1), alpha=first_alpha, evidence=Evidence(10**6, 0))
        alphas = best.evidence_curve["alpha"][:, 0]
        assert best.kept.number in numbers
        assert best.penalty.alphas[0] == alphas[place]
        assert alphas[0] == first_alpha
        assert len(set(alphas)) == len(alphas) > 1


class TestModeration:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_it_is_chosen_at_what_is_kept(self, dtype):
        """With the curvature measured there, the weights in the dtype of the data, and the seed of the evidence."""
        problem = make_problem_of_fit("multiclass", dtype=dtype)
        best = run(problem, starts_of(problem, 2), evidence=Evidence(None, 3))
        kept = best.kept.parameters.astype(dtype).astype(float)
        with Team(1) as team:
            datafit, _ = problem.datafits(team)
            expected = choose_moderation(datafit, kept, best.measurement.curvature, 3)
        assert best.moderation.scale == expected.scale
        assert_array_equal(best.moderation.reach, expected.reach)
        assert (expected.reach < np.inf).all()

    def test_once_for_all_starts(self, monkeypatch):
        calls = []
        monkeypatch.setattr("skrelu._fit.search.choose_moderation", lambda *arguments: calls.append(arguments))
        problem = make_problem_of_fit()
        best = run(problem, starts_of(problem, 3), evidence=Evidence(None, 0))
        assert len(calls) == 1
        assert calls[0][2] is best.measurement.curvature

    def test_without_a_measurement_there_is_none(self):
        problem = make_problem_of_fit()
        assert run(problem, starts_of(problem, 1)).moderation is None

    def test_an_interrupt_leaves_the_run_without_it(self, monkeypatch):
        def interrupt(*arguments):
            raise KeyboardInterrupt

        problem = make_problem_of_fit()
        whole = run(problem, starts_of(problem, 1), evidence=Evidence(None, 0))
        monkeypatch.setattr("skrelu._fit.search.choose_moderation", interrupt)
        best = run(problem, starts_of(problem, 1), evidence=Evidence(None, 0))
        assert (best.outcome, best.moderation) == (Outcome.INTERRUPTED, None)
        assert_array_equal(best.kept.parameters, whole.kept.parameters)
        assert best.measurement.log_evidence == whole.measurement.log_evidence


def watched(end):
    """Return a task of a fit whose subtasks call `end(name, parameters)` and stop where it returns True."""

    class Context:
        def __init__(self, name):
            self.name = name

        def subcontext(self, *, task_name, max_subtasks):
            return Context(task_name)

        def call_on_fit_task_begin(self, **_): ...

        def call_on_fit_task_end(self, *, estimator, reconstruction_attributes):
            return end(self.name, reconstruction_attributes())

    return FitTask(Context("fit"), None, {}, lambda parameters: parameters)


class TestEnd:
    def test_a_callback_that_stops_an_iterate_stops_all_starts(self):
        problem, names = make_problem_of_fit(), []
        task = watched(lambda name, parameters: names.append(name) or names.count("iterate") == 3)
        best = run(problem, starts_of(problem), task=task)
        assert names == ["iterate", "iterate", "iterate", "start"]
        assert (best.outcome, best.n_iter) == (Outcome.CALLBACK, 3)

    def test_a_callback_that_stops_a_start_stops_those_after_it(self):
        problem, names = make_problem_of_fit(), []
        task = watched(lambda name, parameters: names.append(name) or names.count("start") == 2)
        starts = starts_of(problem)
        best = run(problem, starts, task=task)
        assert names.count("start") == 2
        expected = run(problem, starts[:2])
        assert best.kept.value == expected.kept.value
        assert best.outcome is expected.outcome

    def test_one_start_is_no_task_of_its_own(self):
        problem, names = make_problem_of_fit(), []
        best = run(problem, starts_of(problem, 1), task=watched(lambda name, parameters: names.append(name)))
        assert set(names) == {"iterate"}
        assert len(names) in (best.n_iter, best.n_iter + 1)

    def test_an_interrupt_within_a_later_start_keeps_the_best_of_both(self):
        problem, names = make_problem_of_fit(), []
        starts = starts_of(problem, 3)
        first = run(problem, starts[:1])

        def interrupt(name, parameters):
            names.append(name)
            if "start" in names and names[::-1].index("start") == 5:
                raise KeyboardInterrupt

        best = run(problem, starts, task=watched(interrupt))
        assert best.outcome is Outcome.INTERRUPTED
        assert names.count("start") == 2
        assert best.kept.value <= first.kept.value

    def test_an_interrupt_before_a_later_start_is_evaluated(self, monkeypatch):
        from skrelu._core.objective import Objective

        problem = make_problem_of_fit()
        starts = starts_of(problem, 2)
        expected = run(problem, starts[:1])
        original = Objective.value_and_gradient

        def interrupt(self, parameters):
            if np.array_equal(parameters, starts[1]):
                raise KeyboardInterrupt
            return original(self, parameters)

        monkeypatch.setattr(Objective, "value_and_gradient", interrupt)
        best = run(problem, starts)
        assert best.outcome is Outcome.INTERRUPTED
        assert_array_equal(best.kept.parameters, expected.kept.parameters)
        assert best.loss_curve == expected.loss_curve
        with pytest.raises(KeyboardInterrupt):  # there is nothing to keep
            run(problem, starts[1:])


class TestErrors:
    def test_a_start_that_overflows(self):
        problem = make_problem_of_fit()
        start = np.full(problem.network.n_parameters, 1e200)
        message = r"A fit cannot begin, as the objective .* starting point: X holds values up to \d.* Rescale"
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
            run(problem, [start])

    def test_a_validation_loss_that_overflows_at_the_start(self):
        given = make_problem("binary", (3,), n_samples=60)
        given.X[40:] = 1e308 * np.sign(given.X[40:])
        problem = make_fit_problem(given, n_held_out=20)
        message = "cannot begin, as the validation loss .* the validation data hold values up to 1e.308.*Standardise"
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
            run(problem, starts_of(problem, 1))

    def test_a_weight_that_overflows_in_the_dtype_of_the_data(self):
        """A bias of -1e39 is -inf in float32: its unit is dead, and all else is finite."""
        for dtype in (np.float64, np.float32):
            problem = make_problem_of_fit(dtype=dtype)
            start = starts_of(problem, 1)[0]
            problem.network.split(start)[1][0][1] = -1e39
            if dtype is np.float64:
                assert np.isfinite(run(problem, [start]).kept.parameters).all()
                continue
            with np.errstate(all="ignore"), pytest.raises(ValueError, match="The fitted weights overflow: X holds"):
                run(problem, [start])

    def test_a_curvature_that_cannot_be_measured_is_the_outcome_of_a_fit_that_converged(self, monkeypatch):
        def fail(*args):
            raise FloatingPointError

        problem = make_problem_of_fit()
        monkeypatch.setattr(Evidence, "measure_well", fail)
        best = run(problem, starts_of(problem, 1), evidence=Evidence(10**6, 0))
        assert best.measurement is None
        assert best.outcome is Outcome.CURVATURE
        few = Limits(max_iter=12, max_fun=2000, tol=1e-12, n_iter_no_change=20)
        best = run(problem, starts_of(problem, 1), evidence=Evidence(10**6, 0), limits=few)
        assert best.measurement is None
        assert best.outcome is Outcome.MAX_ITER
