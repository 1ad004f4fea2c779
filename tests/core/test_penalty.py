"""The penalty against sums over single weights, whose groups `tests.literal` tells by their place."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from tests import literal

GROUPINGS = ["shared", "layer", "feature"]
N_GROUPS = {"shared": lambda hidden: 1, "layer": lambda hidden: len(hidden) + 1, "feature": lambda hidden: 4}


def make_penalty(grouping, hidden):
    """Return a penalty of several alphas, the flat vector of weights, and the alpha and the value of each weight."""
    rng = np.random.RandomState(0)
    network = Network((3, *hidden, 2))
    alphas = rng.uniform(0.5, 3, N_GROUPS[grouping](hidden))
    parameters = rng.randn(network.n_parameters)
    coefs, _ = network.split(parameters)
    groups = literal.group_of_each_weight([coef.T for coef in coefs], grouping)
    return Penalty(network, grouping, alphas), parameters, groups, np.concatenate([coef.ravel() for coef in coefs])


@pytest.mark.parametrize("hidden", [(), (4,), (4, 5)])
@pytest.mark.parametrize("grouping", GROUPINGS)
class TestAgainstSumsOverWeights:
    def test_value(self, grouping, hidden):
        penalty, parameters, groups, weights = make_penalty(grouping, hidden)
        expected = sum(penalty.alphas[g] * w**2 / 2 for g, w in zip(groups, weights, strict=True))
        assert_allclose(penalty.value(parameters), expected, rtol=1e-13)
        assert penalty.value_and_gradient(parameters)[0] == penalty.value(parameters)

    def test_gradient(self, grouping, hidden):
        penalty, parameters, _, _ = make_penalty(grouping, hidden)
        expected = literal.central_differences(penalty.value, parameters)
        assert_allclose(penalty.value_and_gradient(parameters)[1], expected, atol=1e-8)

    def test_alpha_of_each_weight(self, grouping, hidden):
        penalty, _, groups, _ = make_penalty(grouping, hidden)
        coefs, intercepts = penalty.network.split(penalty.per_parameter)
        assert_array_equal(np.concatenate([coef.ravel() for coef in coefs]), penalty.alphas[groups])
        assert not any(intercept.any() for intercept in intercepts)

    def test_alpha_of_each_layer(self, grouping, hidden):
        penalty, *_ = make_penalty(grouping, hidden)
        coefs, _ = penalty.network.split(penalty.per_parameter)
        assert len(penalty.per_layer) == len(coefs)
        for alpha, coef in zip(penalty.per_layer, coefs, strict=True):
            assert_array_equal(np.broadcast_to(alpha, coef.T.shape).T, coef)

    def test_squared_norms(self, grouping, hidden):
        penalty, parameters, groups, weights = make_penalty(grouping, hidden)
        expected = [sum(weights[groups == g] ** 2) for g in range(len(penalty.alphas))]
        assert_allclose(penalty.squared_norms(parameters), expected, rtol=1e-13)

    def test_one_alpha_for_all(self, grouping, hidden):
        penalty = Penalty.of(Network((3, *hidden, 2)), grouping, 2.5)
        assert penalty.alphas.tolist() == [2.5] * N_GROUPS[grouping](hidden)
        assert Penalty.of(penalty.network, grouping).alphas.tolist() == [1.0] * len(penalty.alphas)


def test_figures_add_up_by_group():
    """Those of layers 1 to 3 are 1, 20 and 300; or of the features in layer 1 0.25 and 0.75."""
    network = Network((2, 3, 3, 1))
    by_layer, by_feature = ([np.array(first), np.array(20.0), np.array(300.0)] for first in (1.0, [0.25, 0.75]))
    assert Penalty.of(network, "shared").add_up(by_layer).tolist() == [321.0]
    assert Penalty.of(network, "layer").add_up(by_layer).tolist() == [1.0, 20.0, 300.0]
    assert Penalty.of(network, "feature").add_up(by_feature).tolist() == [0.25, 0.75, 320.0]


def test_without_a_hidden_layer_the_group_of_later_layers_is_empty():
    penalty = Penalty(Network((2, 1)), "feature", np.array([1.0, 1.0, 1e6]))
    parameters = np.array([3.0, 4.0, 5.0])  # the last one is the bias
    assert penalty.squared_norms(parameters).tolist() == [9.0, 16.0, 0.0]
    assert penalty.value(parameters) == 12.5


def test_other_alphas_leave_the_penalty_as_it_was():
    penalty = Penalty.of(Network((2, 3, 1)), "layer", np.array([1.0, 2.0]))
    _ = penalty.per_parameter
    other = penalty.with_alphas(np.array([10.0, 20.0]))
    assert penalty.alphas.tolist() == [1.0, 2.0]
    assert set(other.per_parameter) == {0.0, 10.0, 20.0}
    assert set(penalty.per_parameter) == {0.0, 1.0, 2.0}
    assert not other.is_by_feature
