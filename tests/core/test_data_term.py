"""What all data terms share, for one whose rows are a formula: totals, and the draws by the numbers of the terms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.data_term import DataTerm
from skrelu._core.losses import MultinomialLoss
from skrelu._core.network import Network
from skrelu._core.terms import PrioritySample
from skrelu._core.weights import RelativeWeights

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.3, 0.8], [1.0, 1.0]])
TARGETS = np.array([0, 2, 1, 1], dtype=np.int32)
S = np.array([1.0, 3.0, 0.5, 2.0])


class Formula(DataTerm):
    """Plain multinomial regression on four rows, written out."""

    def value_and_gradient(self, parameters):
        raise NotImplementedError

    def scores(self, parameters):
        (layer,) = self.network.layers(parameters)
        return X @ layer[:-1] + layer[-1]

    def value(self, parameters):
        f = self.scores(parameters)
        losses = np.log(np.exp(f).sum(axis=1)) - f[np.arange(4), TARGETS]
        return float(S @ losses / S.sum())

    def take(self, numbers):
        return X[numbers], TARGETS[numbers], S[numbers]

    def draw_rows(self, parameters, n_rows, seed):
        sample = PrioritySample(n_rows)
        sample.add(sample.choose(np.arange(4), S, np.random.default_rng(seed).random(4)))
        return sample, self.value(parameters)

    def draw_terms(self, parameters, n_terms, seed):
        sample = PrioritySample(n_terms)
        sample.add(sample.choose(np.arange(12), np.repeat(S, 3), np.random.default_rng(seed).random(12)))
        return sample


@pytest.fixture
def term():
    network = Network((2, 3))
    return Formula(network, MultinomialLoss(), RelativeWeights.of(S, 4, 2.0), np.dtype(np.float32), 4)


PARAMETERS = np.linspace(-1, 1, 9)


def test_totals_are_in_the_unit_of_the_weights(term):
    assert term.total_weight == 2 * S.sum()
    assert_allclose(term.over_total_weight(np.array([13.0])), [1.0])
    assert term.precision == np.finfo(np.float32).eps / 16


def test_a_total_that_overflows_still_divides():
    weights = RelativeWeights.of(np.ones(4), 4, 1e308)
    term = Formula(Network((2, 3)), MultinomialLoss(), weights, np.dtype(float), 4)
    with np.errstate(over="ignore"):
        assert term.total_weight == np.inf
        assert_allclose(term.over_total_weight(np.array([1e308])), [1 / 4], rtol=1e-12)


def test_all_terms_add_up_to_the_second_derivative(term):
    """The sum of l l^T over the terms of a row is s_i (diag(p) - p p^T)."""
    terms = term.sample_terms(PARAMETERS, 100, 0)
    assert terms.is_complete
    assert_array_equal(terms.numbers, np.arange(12))
    f = term.scores(PARAMETERS)
    p = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
    for row in range(4):
        mine = terms.slopes[3 * row : 3 * row + 3]
        assert_array_equal(terms.X[3 * row], X[row])
        assert_allclose(mine.T @ mine, S[row] * (np.diag(p[row]) - np.outer(p[row], p[row])), rtol=1e-12, atol=1e-14)


def test_a_drawn_term_is_divided_by_the_root_of_its_probability(term):
    every, drawn = (term.sample_terms(PARAMETERS, n_terms, 5) for n_terms in (100, 6))
    assert len(drawn.numbers) == 6
    assert not drawn.is_complete
    roots = np.sqrt(drawn.inclusion)[:, np.newaxis]
    assert_allclose(drawn.slopes * roots, every.slopes[drawn.numbers], rtol=1e-12)


def test_rows_are_drawn_with_the_loss_of_all(term):
    numbers, inclusion, loss = term.sample_rows(PARAMETERS, 2, 1)
    assert len(numbers) == len(inclusion) == 2
    assert loss == term.value(PARAMETERS)
