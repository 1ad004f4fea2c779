"""The problem of a fit on a cluster, against that of the same rows in one place."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu import DeepLogisticClassifier
from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._data.table import Table
from skrelu._fit.problem import LocalProblem
from tests.dask.conftest import SIZES, as_array, data_of

pytest.importorskip("distributed")

from skrelu.dask import DaskDeepLogisticClassifier
from skrelu.dask._classifier import _VALIDATION_NAMES, _checked_table, _validate_columns
from skrelu.dask._cluster import Cluster
from skrelu.dask._collections import split

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def pair(client, X, y, weights, check, validation=None, **options):
    """Call `check` with the problem on the cluster, the local one, and a point."""
    model = DaskDeepLogisticClassifier((4,), client=client, **options)
    data = split(as_array(X, SIZES), as_array(y, SIZES), None if weights is None else as_array(weights, SIZES))
    _validate_columns(model, data, reset=True)
    estimator = DeepLogisticClassifier(**options)
    table = Table.of(estimator, X, y, weights)
    network = Network((X.shape[1], 4, table.labels.n_outputs))
    training = table.weighed()
    if options["alpha"] == "evidence":
        training = table.counted_as_rows(training)
    data_val = rows_val = None
    if validation is not None:
        data_val = split(*[as_array(values, SIZES) for values in validation], None, _VALIDATION_NAMES)
        rows_val = table.validation_rows(estimator, *validation, None)
    with (
        _checked_table(Cluster(client), data, model, ("X", "y", "sample_weight")) as checked,
        model._problem(checked, data_val, network, checked.labels()) as (problem, _),
    ):
        local = LocalProblem(network, table.labels, problem.standardization, training, rows_val)
        check(problem, local, network.initial_parameters(np.random.RandomState(0)))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("alpha", [1.0, "evidence"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_describes_the_rows_as_a_local_one(client, kind, alpha, weighted, dtype):
    X, y = data_of(kind)
    X = X.astype(dtype)
    weights = np.random.RandomState(1).uniform(0.1, 9, len(X)) if weighted else None

    def check(problem, local, theta):
        assert problem.dtype == local.dtype == dtype
        assert not problem.has_validation
        assert not local.has_validation
        assert_allclose(problem.total_weight, local.total_weight, rtol=1e-12)
        assert problem.largest_values() == local.largest_values()
        columns, expected = problem.measure_columns(), local.measure_columns()
        assert_allclose(columns.center, expected.center, rtol=1e-10, atol=1e-12)
        assert_allclose(columns.factor, expected.factor, rtol=1e-10)
        assert problem.differs_in_units == local.differs_in_units
        assert_array_equal(problem.as_kept(theta), local.as_kept(theta))
        penalty = Penalty.of(problem.network, "shared", 3.0)
        assert problem.describe_scale(penalty) == local.describe_scale(penalty)
        with Team(1) as team:
            ours, theirs = problem.datafits(team)[0], local.datafits(team)[0]
            rtol = 1e-10 if dtype == np.float64 else 1e-4
            assert_allclose(ours.value(theta), theirs.value(theta), rtol=rtol)
            assert_allclose(
                ours.value_and_gradient(theta)[1], theirs.value_and_gradient(theta)[1], rtol=rtol, atol=rtol
            )
            assert ours.n_rows == theirs.n_rows

    pair(client, X, y, weights, check, alpha=alpha, early_stopping=False)


def test_it_describes_the_validation_rows_as_a_local_one(client):
    X, y = data_of("binary")

    def check(problem, local, theta):
        assert problem.has_validation
        assert problem.largest_values() == local.largest_values() == [np.abs(X).max(), 3 * np.abs(X).max()]
        with Team(1) as team:
            ours, theirs = problem.datafits(team)[1], local.datafits(team)[1]
            assert_allclose(ours.value(theta), theirs.value(theta), rtol=1e-10)
            assert ours.n_rows == theirs.n_rows == len(X)

    pair(client, X, y, None, check, validation=(3 * X, y), alpha=1.0, early_stopping=True)


def test_columns_in_other_units_are_seen(client):
    X, y = data_of("binary")
    X = X * [1, 1e7, 1, 1, 1, 1]

    def check(problem, local, theta):
        assert problem.differs_in_units
        assert local.differs_in_units

    pair(client, X, y, None, check, alpha=1.0, early_stopping=False)
