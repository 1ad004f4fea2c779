"""The data term: value and gradient across blocks, threads, dtypes and weights; which rows and terms are taken."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

from skrelu._core.datafit import Datafit
from skrelu._core.losses import BinaryLoss
from skrelu._core.network import Network
from skrelu._core.threads import Team
from skrelu._data.labels import Labels
from tests import literal


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
