"""Paths of alphas against single fits, and how often the table is looked at."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler, scale

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._data import order, validation
from skrelu._data.table import Table
from skrelu._fit import path
from skrelu._fit.callbacks import FitTask
from skrelu._fit.descent import Limits
from skrelu._fit.outcome import Outcome
from skrelu._fit.path import PathTable, fit_path

LIMITS = Limits(max_iter=500, max_fun=15_000, tol=1e-5, n_iter_no_change=20)


@pytest.fixture
def data():
    X, y = load_iris(return_X_y=True)
    rows = np.random.RandomState(0).permutation(150)[:90]
    return scale(X)[rows], y[rows]


def make_table(X, y, sample_weight=None, class_weight=None, hidden=(4,), training_sets=()):
    table = Table.of(DeepLogisticClassifier(class_weight=class_weight), X, y, sample_weight)
    network = Network((X.shape[1], *hidden, table.labels.n_outputs))
    return PathTable.of(table, network, list(training_sets))


def fit(X, y, alpha, sample_weight=None, **parameters):
    """Return the fit of the classifier with the options of the path."""
    model = DeepLogisticClassifier((4,), alpha=alpha, early_stopping=False, random_state=3, **parameters)
    return model.fit(X, y, sample_weight)


def weights_of(y):
    return np.random.RandomState(1).randint(0, 3, size=len(y)).astype(float)


class TestFitPath:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0}])
    def test_a_path_of_one_alpha_is_a_fit_of_the_classifier_to_the_bit(
        self, class_weight, weighted, container, dtype, data
    ):
        X, y = container(data[0].astype(dtype)), data[1]
        weights = weights_of(y) if weighted else None
        model = fit(X, y, 2.0, weights, class_weight=class_weight)
        (run,) = fit_path(make_table(X, y, weights, class_weight).problem(), np.array([2.0]), 3, LIMITS)
        coefs, intercepts = make_table(X, y).network.split(run.kept.parameters.astype(dtype))
        for actual, expected in zip(coefs + intercepts, model.coefs_ + model.intercepts_, strict=True):
            assert_array_equal(actual, expected)
        assert run.loss_curve == model.loss_curve_
        assert run.measurement is None

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_each_fit_begins_at_the_model_before_it(self, dtype, data):
        """As it is kept, in the dtype of the data, so that a warm start of the classifier is the same."""
        X, y = data[0].astype(dtype), data[1]
        alphas = np.array([0.3, 3.0, 10.0])
        step = DeepLogisticClassifier((4,), early_stopping=False, warm_start=True, random_state=3)
        for alpha, run in zip(alphas, fit_path(make_table(X, y).problem(), alphas, 3, LIMITS), strict=True):
            step.set_params(alpha=alpha).fit(X, y)
            assert_array_equal(run.kept.parameters.astype(dtype), Network.join(step.coefs_, step.intercepts_))
            assert run.penalty.alphas.tolist() == [alpha]
            assert run.loss_curve == step.loss_curve_

    def test_the_runs_come_one_by_one(self, data, monkeypatch):
        """Whoever stops reading stops the work."""
        count = [0]
        original = Objective.value_and_gradient
        monkeypatch.setattr(
            Objective,
            "value_and_gradient",
            lambda self, parameters: count.__setitem__(0, count[0] + 1) or original(self, parameters),
        )
        runs = fit_path(make_table(*data).problem(), np.array([1.0, 2.0, 3.0]), 3, LIMITS)
        assert count[0] == 0
        first = next(runs)
        assert count[0] == first.n_evaluations
        second = next(runs)
        assert count[0] == first.n_evaluations + second.n_evaluations

    def test_an_interrupt_is_passed_on_unless_the_fit_is_watched(self, data, monkeypatch):
        n_first = next(fit_path(make_table(*data).problem(), np.array([1.0]), 3, LIMITS)).n_evaluations
        original, count = Objective.value_and_gradient, [0]

        def interrupt(self, parameters):
            count[0] += 1
            if count[0] == at:
                raise KeyboardInterrupt
            return original(self, parameters)

        monkeypatch.setattr(Objective, "value_and_gradient", interrupt)

        def collect(last_task, runs):
            problem = make_table(*data).problem()
            for run in fit_path(problem, np.array([1.0, 2.0]), 3, LIMITS, last_task=last_task):
                runs.append(run)

        for at, task, n_runs in ((5, None, 0), (n_first + 3, None, 1), (5, FitTask.unwatched(), 0)):
            count[0], runs = 0, []
            with pytest.raises(KeyboardInterrupt):
                collect(task, runs)
            assert count[0] == at
            assert len(runs) == n_runs
        at, count[0], runs = n_first + 3, 0, []
        collect(FitTask.unwatched(), runs)
        assert [run.outcome is Outcome.INTERRUPTED for run in runs] == [False, True]

    def test_only_the_last_fit_prints(self, data, capsys):
        options = {"last_task": FitTask.unwatched(), "verbose": True}
        *_, last = fit_path(make_table(*data).problem(), np.array([1.0, 2.0]), 3, LIMITS, **options)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == last.n_iter + 1
        list(fit_path(make_table(*data).problem(), np.array([1.0, 2.0]), 3, LIMITS, verbose=True))
        assert not capsys.readouterr().out


def content(problem):
    """Return what a fit sees: rows, targets and weights in order."""
    rows = problem.training
    numbers = rows.numbers()
    weights = np.ones(len(rows.X)) if rows.sample_weight is None else rows.sample_weight
    return np.column_stack([rows.X[numbers], rows.targets[numbers], weights[numbers] * rows.weight_unit])


class TestTable:
    numbers = np.r_[np.arange(10, 70), np.arange(20, 30)]  # ten of them twice

    @pytest.mark.parametrize("class_weight", [None, "balanced", {0: 5.0}])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_problem_of_a_part_is_that_of_the_part_alone(self, weighted, class_weight, data):
        X, y = data
        weights = weights_of(y) if weighted else None
        path_table = make_table(X, y, weights, class_weight, training_sets=[self.numbers])
        weights = None if weights is None else weights[self.numbers]
        alone = make_table(X[self.numbers], y[self.numbers], weights, class_weight)
        assert_allclose(content(path_table.problem(self.numbers)), content(alone.problem()), rtol=1e-15)
        assert path_table.problem(self.numbers).validation is None

    def test_a_row_of_two_numbers_counts_twice(self, data):
        training = make_table(*data, training_sets=[self.numbers]).problem(self.numbers).training
        assert training.n_rows <= 60
        assert training.total_weight == 70

    def test_ranks_are_shared_by_all_parts(self, data, monkeypatch):
        path_table = make_table(*data, training_sets=[self.numbers])
        monkeypatch.setattr(order, "rank_rows", lambda *_: pytest.fail("ranked again"))
        path_table.problem()
        path_table.problem(self.numbers)

    def test_of_a_large_table_the_rows_of_its_small_parts_are_ranked(self):
        """3000 rows are too many to be put in order, the 2000 of a part are not."""
        X = np.random.RandomState(0).randn(3000, 2)
        y = (X[:, 0] > 0).astype(int)
        part = np.arange(500, 2500)
        path_table = make_table(X, y, hidden=(), training_sets=[part])
        assert_array_equal(content(path_table.problem())[:, :2], X)
        ordered = content(path_table.problem(part))[:, :3].tolist()
        assert all(before < after for before, after in pairwise(ordered))
        assert sorted(X[part, 0]) == [row[0] for row in ordered]
        assert np.count_nonzero(path_table.ranks) == 1999
        assert make_table(X, y, hidden=()).ranks is None


class TestStandardization:
    """Each problem standardises by its own training rows."""

    numbers = np.r_[np.arange(10, 70), np.arange(20, 30)]  # ten of them twice

    @staticmethod
    def make(X, y, weights=None, class_weight=None):
        table = make_table(X, y, weights, class_weight, training_sets=[TestStandardization.numbers])
        return PathTable.of(table.table, table.network, [TestStandardization.numbers], standardizes=True)

    def test_without_it_there_is_none(self, data):
        assert make_table(*data).problem().standardization is None
        assert make_table(*data).problem(np.arange(30)).standardization is None

    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_by_the_rows_of_the_part(self, container, weighted, class_weight, data):
        """Class weights do not count, a row of two numbers counts twice."""
        X, y = 3 * data[0] + np.array([1.0, 20.0, 0.0, -7.0]), data[1]
        weights = weights_of(y) if weighted else None
        table = self.make(container(X), y, weights, class_weight)
        for numbers in (None, self.numbers):
            units = table.problem(numbers).standardization
            part = slice(None) if numbers is None else numbers
            scaler = StandardScaler().fit(X[part], sample_weight=None if weights is None else weights[part])
            assert_allclose(units.center, scaler.mean_, rtol=1e-12, atol=1e-14)
            assert_allclose(units.scale, scaler.scale_, rtol=1e-12)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_a_path_of_one_alpha_is_a_fit_of_the_classifier_to_the_bit(self, dtype, data):
        X, y = (3 * data[0] + 20).astype(dtype), data[1]
        model = fit(X, y, 2.0, standardize=True)
        problem = self.make(X, y).problem()
        (run,) = fit_path(problem, np.array([2.0]), 3, LIMITS)
        assert_array_equal(problem.as_kept(run.kept.parameters), Network.join(model.coefs_, model.intercepts_))
        assert run.loss_curve == model.loss_curve_

    def test_a_path_is_that_of_scaled_columns(self, data):
        X, y = 3 * data[0] + np.array([1.0, 20.0, 0.0, -7.0]), data[1]
        alphas = np.array([0.3, 3.0])
        runs = fit_path(self.make(X, y).problem(), alphas, 3, LIMITS)
        expected = fit_path(make_table(StandardScaler().fit_transform(X), y).problem(), alphas, 3, LIMITS)
        for run, other in zip(runs, expected, strict=True):
            assert_allclose(run.kept.value, other.kept.value, rtol=1e-4)


class TestOneLookAtTheTable:
    """A cross-validation checks and ranks its rows once, whatever the number of folds and alphas."""

    @staticmethod
    def count(monkeypatch, module, name):
        calls, original = [], getattr(module, name)

        def counted(*args, **options):
            calls.append(args)
            return original(*args, **options)

        monkeypatch.setattr(module, name, counted)
        return calls

    @pytest.mark.parametrize("refit", [False, True])
    def test_it_is_validated_and_ranked_once(self, refit, data, monkeypatch):
        X, y = data
        validated = self.count(monkeypatch, validation, "validate_data")
        ranked = self.count(monkeypatch, path, "rank_rows")
        again = self.count(monkeypatch, order, "rank_rows")
        model = DeepLogisticClassifierCV((3,), alphas=[0.3, 1.0, 3.0], cv=4, refit=refit, random_state=0)
        model.fit(X, y)
        assert model.scores_.shape == (4, 3)
        assert len(validated) == 1
        assert len(ranked) == 1
        assert again == []
        assert_array_equal(ranked[0][1], np.arange(len(y)))

    def test_so_are_rows_that_are_all_large(self, monkeypatch):
        X = np.random.RandomState(0).randn(6000, 2)
        y = (X[:, 0] > 0).astype(int)
        validated = self.count(monkeypatch, validation, "validate_data")
        ranked = [self.count(monkeypatch, module, "rank_rows") for module in (path, order)]
        DeepLogisticClassifierCV((), alphas=[1.0], cv=2, random_state=0).fit(X, y)
        assert len(validated) == 1
        assert ranked == [[], []]

    def test_a_fit_of_the_classifier_ranks_once_too(self, data, monkeypatch):
        ranked = self.count(monkeypatch, order, "rank_rows")
        DeepLogisticClassifier((3,), n_init=3, random_state=0).fit(*data)
        assert len(ranked) == 1
