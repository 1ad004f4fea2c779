import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from skrelu._core.losses import BinaryLoss, MultinomialLoss
from tests import literal

SCORES = [-1e4, -745.5, -50.0, -36.05, -1.0, -1e-9, 0.0, 1e-9, 1.0, 36.05, 50.0, 745.5, 1e4]


def evaluate(loss, scores, targets, sample_weight=None):
    """Return value and slopes without touching the arguments."""
    slopes = scores.copy()
    return loss.value_and_slopes(slopes, targets, sample_weight), slopes


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_binary_loss_is_the_literal_formula_at_every_scale(score, sign):
    value, slopes = evaluate(BinaryLoss(), np.array([[score]]), np.array([[sign]], dtype=np.int8))
    assert_allclose(value, literal.binary_loss(score, sign), rtol=1e-15)
    assert_allclose(slopes, [[literal.binary_residual(score, sign)]], rtol=1e-15)


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [-1e4, 0.0, 1e4], [800.0, 0.0, -800.0]])
def test_multinomial_loss_is_the_literal_formula_at_every_scale(scores, label):
    value, slopes = evaluate(MultinomialLoss(), np.array([scores]), np.array([label]))
    assert_allclose(value, literal.multinomial_loss(scores, label), rtol=1e-14)
    assert_allclose(slopes[0], literal.multinomial_residual(scores, label), rtol=1e-14, atol=1e-300)


def test_loss_keeps_its_digits_where_the_label_is_nearly_certain():
    # loss = log(1 + e^-60) = e^-60 and slope = -e^-60 to first order: 1 - p would be 0 here.
    for loss, scores, target in [
        (BinaryLoss(), [[60.0]], np.array([[1]])),
        (MultinomialLoss(), [[60.0, 0.0]], np.array([0])),
    ]:
        value, slopes = evaluate(loss, np.array(scores), target)
        assert_allclose(value, np.exp(-60), rtol=1e-12)
        assert_allclose(slopes[0, 0], -np.exp(-60), rtol=1e-12)


@pytest.mark.parametrize("center", [-1e4, -50.0, 0.0, 50.0, 1e4])
def test_value_and_slope_belong_together(center):
    """The line search needs it; a loss clipped where its slope is not fails here at -50."""
    step = 1e-3
    for sign in (-1, 1):
        targets = np.array([[sign]])
        below, _ = evaluate(BinaryLoss(), np.array([[center - step]]), targets)
        above, _ = evaluate(BinaryLoss(), np.array([[center + step]]), targets)
        _, slopes = evaluate(BinaryLoss(), np.array([[center]]), targets)
        assert_allclose((above - below) / (2 * step), slopes[0, 0], rtol=1e-6, atol=1e-8)


def test_multinomial_slopes_are_central_differences():
    rng = np.random.RandomState(0)
    scores, targets = 3 * rng.randn(6, 4), rng.randint(4, size=6)
    _, slopes = evaluate(MultinomialLoss(), scores, targets)
    expected = literal.central_differences(
        lambda flat: evaluate(MultinomialLoss(), flat.reshape(6, 4), targets)[0], scores.ravel()
    )
    assert_allclose(slopes.ravel(), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [(BinaryLoss(), np.array([[1, -1], [-1, -1], [1, 1]])), (MultinomialLoss(), np.array([0, 1, 1]))],
)
def test_weights_multiply_value_and_slopes_by_row(loss, targets):
    scores = np.array([[0.3, -1.0], [2.0, 0.1], [-0.5, 0.7]])
    weights = np.array([2.0, 0.0, 0.5])
    value, slopes = evaluate(loss, scores, targets, weights)
    rows = [evaluate(loss, scores[i : i + 1], targets[i : i + 1]) for i in range(3)]
    assert_allclose(value, sum(w * row[0] for w, row in zip(weights, rows, strict=True)), rtol=1e-14)
    assert_allclose(slopes, np.vstack([w * row[1] for w, row in zip(weights, rows, strict=True)]), rtol=1e-14)


def test_float32_stays_float32_and_is_summed_in_float64():
    scores = np.zeros((100_000, 1), dtype=np.float32)
    value, slopes = evaluate(BinaryLoss(), scores, np.ones((100_000, 1), dtype=np.int8))
    assert slopes.dtype == np.float32
    assert_allclose(value, 100_000 * float(np.float32(np.log(2))), rtol=1e-9)


@pytest.mark.parametrize("loss", [BinaryLoss(), MultinomialLoss()])
def test_log_probabilities_are_finite_where_probabilities_are_not_positive(loss):
    scores = np.array([[-1e4, 1e4], [1e4, -1e4]])
    assert (loss.probabilities(scores) == 0).any()
    log_probabilities = loss.log_probabilities(scores)
    assert np.isfinite(log_probabilities).all()
    assert_allclose(np.exp(log_probabilities), loss.probabilities(scores))
    assert log_probabilities.min() <= -1e4


def test_rows_that_are_nearly_certain_keep_their_digits():
    for scores, outputs in [([[40.0]], [0]), ([[40.0, 0.0, -3.0]], [0]), ([[40.0, 0.0, -3.0]], [1])]:
        loss = BinaryLoss() if len(scores[0]) == 1 else MultinomialLoss()
        squared_norm = loss.root_squared_norms(np.array(scores))[0, outputs[0]]
        column = loss.root_columns(np.array(scores), np.array(outputs))[0]
        assert squared_norm > 0
        assert_allclose(squared_norm, column @ column, rtol=1e-12)
    p = expit(-40.0)
    assert_allclose(BinaryLoss().root_squared_norms(np.array([[40.0]])), [[p]], rtol=1e-12)
    # the first class has p = 1 to the last digit: e_1 - p is what the other two have, with the opposite sign
    others = np.exp([-40.0, -43.0])
    assert_allclose(
        MultinomialLoss().root_squared_norms(np.array([[40.0, 0.0, -3.0]]))[0, 0],
        others.sum() ** 2 + (others**2).sum(),
        rtol=1e-10,
    )
