"""The data term: value and gradient across blocks, threads, dtypes and weights; which rows and terms are taken."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

from skrelu._core.datafit import Datafit
from skrelu._core.losses import BinaryLoss
from skrelu._core.network import Network
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._data.labels import Labels
from tests import literal
from tests.problems import KINDS, make_problem
from tests.problems import make_datafit as make_datafit_of


def make_datafit(team, n_samples=3000, hidden=(20,), dtype=np.float64, seed=0, **options):
    rng = np.random.RandomState(seed)
    X = rng.randn(n_samples, 5).astype(dtype)
    y = np.where(rng.rand(n_samples, 1) > 0.5, 1, -1).astype(np.int8)
    network = Network((5, *hidden, 1))
    return Datafit(network, BinaryLoss(), X, y, team=team, **options), network.initial_parameters(rng) + 0.1


def test_value_and_gradient_belong_together_across_blocks(monkeypatch):
    monkeypatch.setattr("skrelu._core.datafit.choose_block_rows", lambda *shapes: 700)
    with Team(1) as team:
        weights = np.linspace(0, 2, 3000)
        datafit, parameters = make_datafit(team, hidden=(4, 3), sample_weight=weights)
        assert len(datafit._blocks) == 5
        value, gradient = datafit.value_and_gradient(parameters)
        assert value == datafit.value(parameters)
        expected = literal.central_differences(datafit.value, parameters)
    assert_allclose(gradient, expected, atol=2e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("limit", [1, 2])
def test_the_number_of_threads_changes_no_bit(dtype, limit):
    answers = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(limit), Team(n_threads) as team:
            datafit, parameters = make_datafit(team, n_samples=20_001, dtype=dtype)
            value, gradient = datafit.value_and_gradient(parameters)
            terms = datafit.sample_terms(parameters, 100, 0)
            numbers, inclusion, loss = datafit.sample_rows(parameters, 100, 0)
            assert loss == datafit.value(parameters)
            answers.append((value, loss, gradient, terms.numbers, terms.slopes, numbers, inclusion))
    for answer in answers[1:]:
        for actual, expected in zip(answer, answers[0], strict=True):
            assert_array_equal(actual, expected)


def test_selection_is_the_same_as_those_rows_alone():
    rows = np.arange(0, 3000, 3)
    weights = np.random.RandomState(0).rand(3000)
    with Team(1) as team:
        selected, parameters = make_datafit(team, sample_weight=weights, selection=rows)
        whole, _ = make_datafit(team)
        X, y = whole._blocks._X[rows], whole._targets[rows]
        alone = Datafit(whole.network, whole.loss, X, y, team=team, sample_weight=weights[rows])
        dense, expected = selected.value_and_gradient(parameters), alone.value_and_gradient(parameters)
        csr = Datafit(
            whole.network,
            whole.loss,
            sparse.csr_array(whole._blocks._X),
            whole._targets,
            team=team,
            sample_weight=weights,
            selection=rows,
        ).value_and_gradient(parameters)
    assert dense[0] == expected[0]
    assert_array_equal(dense[1], expected[1])
    assert_allclose(csr[0], expected[0], rtol=1e-13)
    assert_allclose(csr[1], expected[1], atol=1e-14)


def test_float32_is_close_to_float64_and_summed_in_it():
    with Team(1) as team:
        double, parameters = make_datafit(team, n_samples=20_000)
        single, _ = make_datafit(team, n_samples=20_000, dtype=np.float32)
        expected, actual = double.value_and_gradient(parameters), single.value_and_gradient(parameters)
    assert actual[1].dtype == np.float64
    assert single._workspaces[0].scores.dtype == np.float32
    assert_allclose(actual[0], expected[0], rtol=1e-6)
    assert_allclose(actual[1], expected[1], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_weights_of_any_magnitude_give_the_same_mean(scale):
    weights = np.random.RandomState(0).rand(3000)
    with Team(1) as team:
        datafit, parameters = make_datafit(team, sample_weight=weights)
        scaled, _ = make_datafit(team, sample_weight=weights * scale)
        expected = datafit.value_and_gradient(parameters)[1]
        assert_allclose(scaled.value_and_gradient(parameters)[1], expected, rtol=1e-10, atol=1e-14)
        assert_allclose(scaled.value(parameters), datafit.value(parameters), rtol=1e-12)


def test_everything_that_leaves_is_in_the_unit_of_the_caller():
    """Weights over a unit, and that unit, are the weights themselves: to the bit, since the unit is a power of two."""
    weights = np.random.RandomState(0).rand(3000)
    unit = 2.0**40
    with Team(1) as team:
        direct, parameters = make_datafit(team, sample_weight=weights)
        by_unit, _ = make_datafit(team, sample_weight=weights / unit, weight_unit=unit)
        assert direct.total_weight == by_unit.total_weight
        assert_allclose(direct.total_weight, weights.sum(), rtol=1e-14)
        assert_array_equal(direct.over_total_weight(np.ones(2)), by_unit.over_total_weight(np.ones(2)))
        for actual, expected in zip(by_unit.take(np.arange(7)), direct.take(np.arange(7)), strict=True):
            assert_array_equal(actual, expected)
        assert_allclose(direct.take(np.arange(7))[2], weights[:7], rtol=1e-14)
        terms = [datafit.sample_terms(parameters, 50, 0) for datafit in (direct, by_unit)]
        assert_array_equal(terms[0].slopes, terms[1].slopes)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_drawn_by_the_root_of_their_slopes(weighted, monkeypatch):
    """All rows whose root is above a threshold, and others in proportion; with weights, s_i times the slope."""
    monkeypatch.setattr("skrelu._core.datafit.choose_block_rows", lambda *shapes: 700)
    weights = np.random.RandomState(1).rand(3000) * (np.arange(3000) % 5 > 0) if weighted else None
    with Team(1) as team:
        datafit, parameters = make_datafit(team, sample_weight=weights)
        numbers, inclusion, _ = datafit.sample_rows(parameters, 200, 0)
        X, targets, s = datafit.take(np.arange(3000))
        drawn = [datafit.sample_rows(parameters, 200, seed)[:2] for seed in range(200)]
    W, b = [coef.T for coef in datafit.network.split(parameters)[0]], datafit.network.split(parameters)[1]
    slopes = [literal.sample_loss_and_residual(literal.score(W, b, x), t)[1] for x, t in zip(X, targets, strict=True)]
    roots = np.sqrt(s * np.abs(np.ravel(slopes)))
    assert len(numbers) == 200
    assert (np.diff(numbers) > 0).all()
    ratios = roots[numbers] / inclusion
    assert_allclose(ratios[inclusion < 1], ratios[inclusion < 1][0], rtol=1e-9)
    assert (roots[numbers] > 0).all()
    estimates = [(s * X[:, 0])[rows] @ (1 / pi) for rows, pi in drawn]
    assert abs(np.mean(estimates) - s @ X[:, 0]) < 4 * np.std(estimates) / np.sqrt(200)


def test_overflow_is_a_value_not_a_warning():
    with Team(2) as team:
        datafit, parameters = make_datafit(team)
        value, _ = datafit.value_and_gradient(parameters * 1e200)
    assert not np.isfinite(value)


def test_labels_and_losses_of_all_kinds_meet():
    """The mean loss of uniform scores is log 2 per binary output and log K for K classes."""
    X = np.random.RandomState(0).randn(6, 2)
    for y, expected in [
        (np.array(list("abab") * 1 + ["a", "b"]), np.log(2)),
        (np.array([0, 1, 2, 0, 1, 2]), np.log(3)),
        (np.eye(6, 4, dtype=int), 4 * np.log(2)),
    ]:
        labels = Labels.of(y, None)
        network = Network((2, labels.n_outputs))
        with Team(1) as team:
            datafit = Datafit(network, labels.loss, X, labels.encode(y), team=team)
            assert_allclose(datafit.value(np.zeros(network.n_parameters)), expected, rtol=1e-14)


# The distance of the means from 0, in deviations: blocks are centred beyond 2**10, and the only block always.
NEAR, FAR = 20.0, 1e5
CASES = [
    (n_blocks, distance, container)
    for n_blocks in ("one", "many")
    for distance, container in [(NEAR, np.asarray), (FAR, np.asarray), (NEAR, sparse.csr_array)]
]


class TestStandardization:
    """Against the data term of rows that are standardised explicitly, at the same parameters."""

    @pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]:g}-{case[2].__name__}")
    def case(self, request, monkeypatch):
        n_blocks, distance, container = request.param
        if n_blocks == "many":
            monkeypatch.setattr("skrelu._core.datafit.choose_block_rows", lambda *shapes: 50)
        return distance, container

    @staticmethod
    def standardized_problem(kind, hidden, distance, n_samples=203):
        """Return a problem of standardised rows, those rows in other units, and these units.

        The last column is constant: it has the factor 0, and is 0 if it is standardised.
        """
        problem = make_problem(kind, hidden, n_samples=n_samples, n_features=5)
        scale = np.array([2.0**-20, 1.0, 2.0**10, 4.0, 1.0])
        center = scale * np.round(distance * np.array([1.0, -0.3, 0.7, 0.0, 0.5]))
        # Multiples of 2**-20 deviations, so that units change no digit.
        Z = np.round(problem.X * 2**20) / 2**20 * (np.arange(5) < 4)
        problem.X = Z
        X = center + Z * scale
        assert_array_equal((X - center) / scale, Z)
        return problem, X, Standardization(center, np.where(np.arange(5) < 4, 1 / scale, 0.0))

    def make_both(self, kind, hidden, case, team, **options):
        distance, container = case
        problem, X, units = self.standardized_problem(kind, hidden, distance)
        expected, parameters = make_datafit_of(problem, team, **options)
        actual, _ = make_datafit_of(problem, team, container(X), standardization=units, **options)
        is_centred = container is np.asarray and (distance == FAR or len(actual._blocks) == 1)
        assert (actual._blocks._center is not None) is is_centred
        return actual, expected, parameters

    @pytest.mark.parametrize("options", ["plain", "weighted", "selected"])
    @pytest.mark.parametrize("hidden", [(), (6,), (5, 4, 3)])
    @pytest.mark.parametrize("kind", KINDS)
    def test_value_and_gradient(self, kind, hidden, options, case):
        rng = np.random.RandomState(1)
        given = {} if options == "plain" else {"sample_weight": rng.randint(0, 4, 203) * rng.rand(203)}
        if options == "selected":
            given["selection"] = rng.permutation(203)[:120]
        with Team(1) as team:
            actual, expected, parameters = self.make_both(kind, hidden, case, team, **given)
            value, gradient = actual.value_and_gradient(parameters)
            expected_value, expected_gradient = expected.value_and_gradient(parameters)
            assert actual.value(parameters) == value
        assert_allclose(value, expected_value, rtol=1e-9)
        assert_allclose(gradient, expected_gradient, rtol=1e-9, atol=1e-9 * np.abs(expected_gradient).max())
        assert not actual.network.layers(gradient)[0][4].any()  # of the constant column

    @pytest.mark.parametrize("hidden", [(), (4, 3)])
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_gradient_is_that_of_the_value(self, kind, hidden, case):
        with Team(1) as team:
            datafit, _, parameters = self.make_both(kind, hidden, case, team)
            _, gradient = datafit.value_and_gradient(parameters)
            expected = literal.central_differences(datafit.value, parameters)
        assert_allclose(gradient, expected, atol=1e-7 * max(np.abs(expected).max(), 1))

    def test_the_number_of_threads_changes_no_bit(self, case):
        answers = []
        for n_threads in (1, 2, 3):
            with Team(n_threads) as team:
                datafit, _, parameters = self.make_both("multiclass", (6,), case, team)
                answers.append(
                    (*datafit.value_and_gradient(parameters), datafit.sample_terms(parameters, 90, 0).slopes)
                )
        for answer in answers[1:]:
            for actual, expected in zip(answer, answers[0], strict=True):
                assert_array_equal(actual, expected)

    @pytest.mark.parametrize("hidden", [(), (6,), (5, 4)])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_terms", [40, 10**6])
    def test_terms(self, kind, hidden, n_terms, case):
        """The same terms are drawn, with the same probabilities."""
        with Team(1) as team:
            actual, expected, parameters = self.make_both(kind, hidden, case, team)
            actual, expected = (datafit.sample_terms(parameters, n_terms, 3) for datafit in (actual, expected))
        assert_array_equal(actual.numbers, expected.numbers)
        assert_allclose(actual.inclusion, expected.inclusion, rtol=1e-9)
        assert_allclose(actual.slopes, expected.slopes, rtol=1e-8, atol=1e-10)
        assert_allclose(actual.X @ np.eye(5), expected.X, rtol=1e-9, atol=1e-9)
        assert isinstance(actual.X, np.ndarray) is (case[1] is np.asarray)

    def test_rows(self, case):
        with Team(1) as team:
            actual, expected, parameters = self.make_both("binary", (6,), case, team, selection=np.arange(202, 2, -1))
            drawn, expected_drawn = (datafit.sample_rows(parameters, 40, 3) for datafit in (actual, expected))
            numbers = np.array([5, 0, 77])
            X, targets, weights = actual.take(numbers)
            expected_X, *others = expected.take(numbers)
        assert_array_equal(drawn[0], expected_drawn[0])
        assert_allclose(drawn[1], expected_drawn[1], rtol=1e-9)
        assert_allclose(drawn[2], expected_drawn[2], rtol=1e-9)
        assert_allclose(X @ np.eye(5), expected_X, rtol=1e-9, atol=1e-9)
        assert_array_equal(targets, others[0])
        assert_array_equal(weights, others[1])

    @pytest.mark.parametrize("n_rows", [50, 203])
    @pytest.mark.parametrize("distance", [2.0, FAR])
    def test_float32(self, distance, n_rows, monkeypatch):
        """Beyond 8 deviations rows are centred, in float64; the rest is what float32 can tell."""
        monkeypatch.setattr("skrelu._core.datafit.choose_block_rows", lambda *shapes: n_rows)
        problem, X, units = self.standardized_problem("binary", (6,), distance)
        X = X.astype(np.float32)
        problem.X = (X.astype(float) - units.center) * units.factor
        with Team(1) as team:
            expected, parameters = make_datafit_of(problem, team)
            actual, _ = make_datafit_of(problem, team, X, standardization=units)
            assert (actual._blocks._center is None) is (distance < 8 and n_rows < 203)
            value, gradient = actual.value_and_gradient(parameters)
            expected_value, expected_gradient = expected.value_and_gradient(parameters)
        assert_allclose(value, expected_value, rtol=1e-5)
        assert_allclose(gradient, expected_gradient, atol=1e-5 * np.abs(expected_gradient).max())

    @pytest.mark.parametrize("hidden", [(), (6,)])
    @pytest.mark.parametrize("n_rows", [50, 203])
    def test_nothing_to_standardise_changes_no_bit(self, n_rows, hidden, monkeypatch):
        monkeypatch.setattr("skrelu._core.datafit.choose_block_rows", lambda *shapes: n_rows)
        problem = make_problem("binary", hidden, n_samples=203)
        problem.X[:, 2] = 0  # as a scaler leaves a constant column
        for container in (np.asarray, sparse.csr_array):
            answers = []
            for units in (None, Standardization(np.zeros(3), np.array([1.0, 1.0, 0.0]))):
                with Team(1) as team:
                    datafit, parameters = make_datafit_of(problem, team, container(problem.X), standardization=units)
                    terms = datafit.sample_terms(parameters, 40, 0)
                    value, gradient = datafit.value_and_gradient(parameters)
                    answers.append((value, gradient, terms.slopes, terms.inclusion, terms.numbers))
            for actual, expected in zip(*answers, strict=True):
                assert_array_equal(actual, expected)

    def test_X_is_unchanged(self, case):
        distance, container = case
        problem, X, units = self.standardized_problem("binary", (6,), distance)
        rows = container(X)
        with Team(1) as team:
            datafit, parameters = make_datafit_of(problem, team, rows, standardization=units)
            kept = parameters.copy()
            datafit.value_and_gradient(parameters)
            datafit.sample_terms(parameters, 20, 0)
        assert_array_equal(rows.toarray() if sparse.issparse(rows) else rows, X)
        assert_array_equal(parameters, kept)
