"""The data term of rows on a cluster has the values, the draws and the rows of the one in memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.arrays import CentredRows
from skrelu._core.datafit import Datafit
from skrelu._core.standardization import Standardization
from skrelu._core.threads import Team
from skrelu._core.weights import RelativeWeights
from tests.dask.test_passes import KINDS, STANDARDIZATION, WEIGHTS, N, X, problem, whole

cluster = pytest.importorskip("skrelu.dask._cluster")
from skrelu.dask._datafit import ClusterDatafit  # noqa: E402
from tests.dask.conftest import assert_nothing_is_left  # noqa: E402

CONTAINERS = {"dense": np.asarray, "sparse": sparse.csr_array}


@pytest.fixture(params=["dense", "sparse"])
def pair(request, client):
    """The data terms of the same weighted, standardised rows on a cluster and in memory, and a point."""
    rows = CONTAINERS[request.param](X)
    plan, parts, weights, theta = problem("multiclass", rows=rows, standardization=STANDARDIZATION)
    futures = client.map(lambda part: part, parts, key=[f"rows-{part.number}" for part in parts], pure=False)
    partitioned = cluster.Partitioned(cluster.Cluster(client), "rows", dict(enumerate(futures)), "X")
    with Team(1) as team:
        yield (
            ClusterDatafit(plan, partitioned, np.dtype(float), N),
            whole(plan, "multiclass", weights, team, rows),
            theta,
        )
    partitioned.release()
    del futures
    assert_nothing_is_left(client)


def test_values_gradients_and_totals(pair):
    ours, theirs, theta = pair
    assert ours.n_rows == theirs.n_rows == N
    assert_allclose(ours.total_weight, theirs.total_weight, rtol=1e-14)
    assert ours.precision == theirs.precision
    assert_allclose(ours.over_total_weight(theta), theirs.over_total_weight(theta), rtol=1e-14)
    value, gradient = ours.value_and_gradient(theta)
    expected, expected_gradient = theirs.value_and_gradient(theta)
    assert_allclose(value, expected, rtol=1e-12)
    assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-13)
    assert_allclose(ours.value(theta), expected, rtol=1e-12)


def test_the_gradient_is_that_of_central_differences(pair):
    ours, _, theta = pair
    _, gradient = ours.value_and_gradient(theta)
    for place in (0, 7, 20, len(theta) - 1):
        step = np.zeros_like(theta)
        step[place] = 1e-6
        slope = (ours.value(theta + step) - ours.value(theta - step)) / 2e-6
        assert_allclose(gradient[place], slope, rtol=1e-5, atol=1e-8)


def dense(rows):
    if isinstance(rows, CentredRows):
        return rows.values.toarray() - rows.center
    return rows.toarray() if sparse.issparse(rows) else rows


@pytest.mark.parametrize("numbers", [[0, 99, 100, 101, 250, 299], [299, 5, 100, 5], [100]])
def test_taken_rows_are_those_of_the_same_numbers(pair, numbers):
    ours, theirs, _ = pair
    numbers = np.array(numbers, dtype=np.intp)
    for actual, expected in zip(ours.take(numbers), theirs.take(numbers), strict=True):
        assert_allclose(dense(actual), dense(expected), rtol=1e-12, atol=1e-14)


def test_all_terms_are_those_of_the_rows_in_memory(pair):
    ours, theirs, theta = pair
    terms, expected = (datafit.sample_terms(theta, 10**4, 0) for datafit in (ours, theirs))
    assert_array_equal(terms.numbers, expected.numbers)
    assert terms.is_complete
    assert_allclose(dense(terms.X), dense(expected.X), rtol=1e-12, atol=1e-14)
    assert_allclose(terms.slopes, expected.slopes, rtol=1e-9, atol=1e-12)


def test_the_rows_and_terms_drawn_are_those_of_a_local_fit(pair):
    ours, theirs, theta = pair
    for actual, expected in zip(ours.sample_rows(theta, 40, 3), theirs.sample_rows(theta, 40, 3), strict=True):
        assert_allclose(actual, expected, rtol=1e-12)
    terms, expected = (datafit.sample_terms(theta, 40, 3) for datafit in (ours, theirs))
    assert_array_equal(terms.numbers, expected.numbers)
    assert_allclose(terms.inclusion, expected.inclusion, rtol=1e-10)


def test_drawn_terms_are_terms_of_the_rows(pair):
    ours, theirs, theta = pair
    drawn, every = ours.sample_terms(theta, 50, 3), theirs.sample_terms(theta, 10**4, 0)
    assert len(drawn.numbers) == 50
    assert not drawn.is_complete
    assert_allclose(dense(drawn.X), dense(every.X)[drawn.numbers], rtol=1e-12, atol=1e-14)
    roots = np.sqrt(drawn.inclusion)[:, np.newaxis]
    assert_allclose(drawn.slopes * roots, every.slopes[drawn.numbers], rtol=1e-9, atol=1e-12)


def test_drawn_rows_come_with_the_loss_of_all(pair):
    ours, theirs, theta = pair
    numbers, inclusion, loss = ours.sample_rows(theta, 30, 3)
    assert len(numbers) == len(inclusion) == 30
    assert_allclose(loss, theirs.value(theta), rtol=1e-12)


def test_scores_that_overflow_give_no_number_and_no_error(pair):
    ours, _, theta = pair
    value, gradient = ours.value_and_gradient(theta * 1e200)
    assert not np.isfinite(value)
    assert not np.isfinite(gradient @ gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_in_memory_add_up_to_the_whole(kind):
    """The part of a data term that some rows add, without any cluster."""
    plan, parts, _, theta = problem(kind)
    with Team(2) as team:
        value, gradient = whole(plan, kind, WEIGHTS, team).value_and_gradient(theta)
        terms = [
            Datafit(
                plan.network,
                plan.loss,
                part.X,
                part.targets,
                team=team,
                weights=RelativeWeights(part.weights, float(WEIGHTS.sum()), 1.0, 2.0),
            )
            for part in parts
        ]
        sums = [term.value_and_gradient(theta) for term in terms]
    assert_allclose(sum(part[0] for part in sums), value, rtol=1e-12)
    assert_allclose(sum(part[1] for part in sums), gradient, rtol=1e-10, atol=1e-13)
    assert {term.total_weight for term in terms} == {2.0 * float(WEIGHTS.sum())}


def test_columns_far_from_zero_keep_their_digits(client):
    far = Standardization(X.mean(axis=0) + 1e6, 1 / X.std(axis=0))
    plan, parts, weights, theta = problem("binary", rows=X + 1e6, standardization=far)
    near, _, _, _ = problem("binary", standardization=Standardization(X.mean(axis=0), 1 / X.std(axis=0)))
    futures = client.map(lambda part: part, parts, key=[f"far-{part.number}" for part in parts], pure=False)
    partitioned = cluster.Partitioned(cluster.Cluster(client), "far", dict(enumerate(futures)), "X")
    value, gradient = ClusterDatafit(plan, partitioned, np.dtype(float), N).value_and_gradient(theta)
    with Team(1) as team:
        expected, expected_gradient = whole(near, "binary", weights, team).value_and_gradient(theta)
    assert_allclose(value, expected, rtol=1e-8)
    assert_allclose(gradient, expected_gradient, rtol=1e-6, atol=1e-9)
    partitioned.release()
    del futures
    assert_nothing_is_left(client)
