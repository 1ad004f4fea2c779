"""A measurement of the evidence."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.measurement import Measurement
from tests.problems import make_datafit, make_problem


def test_gamma_is_the_number_of_determined_weights_in_all_groups():
    penalty = Penalty.of(Network((2, 1)), "feature")
    gamma = Measurement(penalty, np.array([1.5, 0.25, 0.0]), -3.0, None, 700).gamma
    assert gamma == 1.75
    assert type(gamma) is float


def test_gamma_depends_on_no_grouping_where_all_alphas_are_the_same():
    problem = make_problem("multiclass", (4,))
    gammas = []
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team)
        for grouping in ("shared", "layer", "feature"):
            objective = Objective(datafit, Penalty.of(datafit.network, grouping, 0.7))
            measurement = Evidence(10**6, 0).measure(objective, parameters, 10**6)
            assert len(measurement.gammas) == len(objective.penalty.alphas)
            gammas.append(measurement.gamma)
    assert 0 < gammas[0] < sum(coef.size for coef in problem.coefs)
    np.testing.assert_allclose(gammas, gammas[0], rtol=1e-10)


def test_a_measurement_is_not_changed_later():
    measurement = Measurement(Penalty.of(Network((2, 1)), "shared"), np.array([1.0]), -3.0, None, 700)
    with pytest.raises(FrozenInstanceError):
        measurement.log_evidence = 0.0
