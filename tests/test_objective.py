import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

from skrelu._labels import Labels
from skrelu._loss import BinaryLoss
from skrelu._network import Network
from skrelu._objective import Objective, compute_scores
from skrelu._threads import Team
from tests import literal


def make_objective(team, n_samples=3000, hidden=(20,), dtype=np.float64, seed=0, **options):
    rng = np.random.RandomState(seed)
    X = rng.randn(n_samples, 5).astype(dtype)
    y = np.where(rng.rand(n_samples, 1) > 0.5, 1, -1).astype(np.int8)
    network = Network((5, *hidden, 1))
    return Objective(network, BinaryLoss(), X, y, team=team, **options), network.initial_parameters(rng) + 0.1


def test_value_and_gradient_belong_together_across_blocks(monkeypatch):
    monkeypatch.setattr("skrelu._objective.choose_block_rows", lambda *shapes: 700)
    with Team(1) as team:
        weights = np.linspace(0, 2, 3000)
        objective, parameters = make_objective(team, hidden=(4, 3), alpha=2.0, sample_weight=weights)
        assert len(objective._blocks) == 5
        _, gradient = objective(parameters)
        expected = literal.central_differences(lambda theta: objective(theta)[0], parameters)
    assert_allclose(gradient, expected, atol=2e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("limit", [1, 2])
def test_the_number_of_threads_changes_no_bit(dtype, limit):
    answers = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(limit), Team(n_threads) as team:
            objective, parameters = make_objective(team, n_samples=20_001, dtype=dtype, alpha=1.0)
            value, gradient = objective(parameters)
            answers.append((value, gradient, objective.mean_loss(parameters)))
    for value, gradient, mean_loss in answers[1:]:
        assert value == answers[0][0]
        assert_array_equal(gradient, answers[0][1])
        assert mean_loss == answers[0][2]


def test_selection_is_the_same_as_those_rows_alone():
    rows = np.arange(0, 3000, 3)
    weights = np.random.RandomState(0).rand(3000)
    with Team(1) as team:
        selected, parameters = make_objective(team, alpha=1.0, sample_weight=weights, selection=rows)
        whole, _ = make_objective(team)
        X, y = whole._blocks._X[rows], whole.targets[rows]
        alone = Objective(whole.network, whole.loss, X, y, team=team, alpha=1.0, sample_weight=weights[rows])
        dense, expected = selected(parameters), alone(parameters)
        csr = Objective(
            whole.network,
            whole.loss,
            sparse.csr_array(whole._blocks._X),
            whole.targets,
            team=team,
            alpha=1.0,
            sample_weight=weights,
            selection=rows,
        )(parameters)
    assert dense[0] == expected[0]
    assert_array_equal(dense[1], expected[1])
    assert_allclose(csr[0], expected[0], rtol=1e-13)
    assert_allclose(csr[1], expected[1], atol=1e-14)


def test_float32_is_close_to_float64_and_summed_in_it():
    with Team(1) as team:
        double, parameters = make_objective(team, n_samples=20_000)
        single, _ = make_objective(team, n_samples=20_000, dtype=np.float32)
        expected, actual = double(parameters), single(parameters)
    assert actual[1].dtype == np.float64
    assert single._workspaces[0].scores.dtype == np.float32
    assert_allclose(actual[0], expected[0], rtol=1e-6)
    assert_allclose(actual[1], expected[1], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_weights_of_any_magnitude_give_the_same_mean(scale):
    weights = np.random.RandomState(0).rand(3000)
    with Team(1) as team:
        objective, parameters = make_objective(team, sample_weight=weights)
        scaled, _ = make_objective(team, sample_weight=weights * scale)
        assert_allclose(scaled(parameters)[1], objective(parameters)[1], rtol=1e-10, atol=1e-14)
        assert_allclose(scaled.mean_loss(parameters), objective.mean_loss(parameters), rtol=1e-12)


def test_memory_mapped_rows_are_read_block_by_block(tmp_path):
    X = np.random.RandomState(0).randn(5000, 7)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    network = Network((7, 4, 3))
    parameters = network.initial_parameters(np.random.RandomState(0))
    W, b = network.split(parameters)
    scores = compute_scores(W, b, mapped, 2)
    assert_array_equal(scores, compute_scores(W, b, X, 2))
    assert_allclose(compute_scores(W, b, X[:5], 2), scores[:5], rtol=1e-12)  # few rows take a shorter way
    assert_allclose(compute_scores(W, b, sparse.csr_array(X[:5]), 2), scores[:5], rtol=1e-12)
    assert_allclose(scores[17], literal.score([w.T for w in W], b, X[17]), rtol=1e-12)


def test_overflow_is_a_value_not_a_warning():
    with Team(2) as team:
        objective, parameters = make_objective(team)
        value, _ = objective(parameters * 1e200)
    assert not np.isfinite(value)


def test_labels_and_losses_of_all_kinds_meet():
    """The objective of uniform scores is log 2 per binary output and log K for K classes."""
    X = np.random.RandomState(0).randn(6, 2)
    for y, expected in [
        (np.array(list("abab") * 1 + ["a", "b"]), np.log(2)),
        (np.array([0, 1, 2, 0, 1, 2]), np.log(3)),
        (np.eye(6, 4, dtype=int), 4 * np.log(2)),
    ]:
        labels = Labels.of(y, None)
        network = Network((2, labels.n_outputs))
        with Team(1) as team:
            objective = Objective(network, labels.loss, X, labels.encode(y), team=team)
            assert_allclose(objective(np.zeros(network.n_parameters))[0], expected, rtol=1e-14)
