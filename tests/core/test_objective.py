"""Data term plus penalty, over the total weight, against the literal sums."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrelu._core.datafit import Datafit
from skrelu._core.losses import BinaryLoss
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from tests import literal


def make_objective(team, grouping="feature", weight_unit=1.0, scale=1.0, hidden=(4, 3)):
    rng = np.random.RandomState(0)
    X, weights = rng.randn(50, 5), scale * rng.rand(50)
    y = np.where(rng.rand(50, 1) > 0.5, 1, -1).astype(np.int8)
    network = Network((5, *hidden, 1))
    penalty = Penalty.of(network, grouping)
    penalty = penalty.with_alphas(rng.uniform(0.5, 2, len(penalty.alphas)))
    datafit = Datafit(
        network, BinaryLoss(), X, y, team=team, sample_weight=weights / weight_unit, weight_unit=weight_unit
    )
    return Objective(datafit, penalty), network.initial_parameters(rng) + 0.1, weights


@pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
def test_value_and_gradient_belong_together(grouping):
    with Team(1) as team:
        objective, parameters, _ = make_objective(team, grouping)
        value, gradient = objective.value_and_gradient(parameters)
        assert value == objective.value(parameters)
        assert_allclose(gradient, literal.central_differences(objective.value, parameters), atol=2e-9)


@pytest.mark.parametrize("weight_unit", [1.0, 2.0**-30, 2.0**900])
def test_the_penalty_is_divided_by_the_total_weight(weight_unit):
    with Team(1) as team:
        objective, parameters, weights = make_objective(team, weight_unit=weight_unit)
        expected = objective.penalty.value(parameters) / weights.sum()
        assert_allclose(objective.penalty_value(parameters), expected, rtol=1e-12)
        loss = objective.datafit.value(parameters)
        assert_allclose(objective.value(parameters), loss + expected, rtol=1e-14)


def test_weights_whose_total_overflows_leave_a_finite_objective():
    with Team(1) as team:
        objective, parameters, _ = make_objective(team, weight_unit=2.0**1000, scale=2.0**1023)
        assert objective.datafit.total_weight == np.inf
        value, gradient = objective.value_and_gradient(parameters)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
