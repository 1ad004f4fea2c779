"""Encoded rows on a cluster: the sums over the facts of their partitions, and the plan of a pass."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.blocks import RowBlocks, choose_block_rows
from skrelu._core.network import Network
from skrelu._data.labels import Labels
from skrelu._data.moments import Moments

pytest.importorskip("distributed")

from skrelu.dask._partition import Encoding, PartFacts
from skrelu.dask._rows import ClusterRows

LABELS = Labels.of_classes(np.array([0, 1]))
WEIGHTS = [np.array([0.5, 0.25, 1.0]), np.array([0.125]), np.array([0.75, 0.75])]


def make_rows(exponent=3, parts=None):
    facts = [
        PartFacts(number, len(s), None, s.sum(), (s**2).sum(), s.max())
        for number, s in zip((0, 2, 5), WEIGHTS, strict=True)
    ]
    encoding = Encoding(LABELS, np.dtype(float), None, exponent, 1.0)
    return ClusterRows.of(parts, facts, encoding, 7.0), encoding


def test_weights_are_in_the_unit_of_the_caller():
    rows, _ = make_rows()
    assert rows.n_rows == 6
    assert_allclose(rows.total_weight, 8 * sum(s.sum() for s in WEIGHTS))
    assert make_rows(exponent=None)[0].total_weight == sum(s.sum() for s in WEIGHTS)


def test_weights_that_are_no_counts_add_up_to_kish_s_number_of_rows():
    rows, encoding = make_rows()
    s = np.concatenate(WEIGHTS)
    assert_allclose(rows.counted_as_rows(encoding, has_counts=False).total_weight, s.sum() ** 2 / (s**2).sum())
    assert rows.counted_as_rows(encoding, has_counts=True) is rows


def test_moments_are_merged_in_the_order_of_the_partitions():
    rng = np.random.RandomState(0)
    moments = [(number, Moments.of(rng.rand(9, 50), rng.rand(9))) for number in (0, 2, 5)]
    ours, theirs = (
        make_rows(parts=SimpleNamespace(run=lambda work, plan, found=found: found))[0].measure_columns(np.float64, None)
        for found in (moments, moments[::-1])
    )
    assert_array_equal(ours.center, theirs.center)
    assert_array_equal(ours.factor, theirs.factor)


@pytest.mark.parametrize("hidden", [(), (5,), (500, 500)])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_plan_numbers_rows_and_blocks_as_a_local_fit(hidden, is_sparse):
    X = np.empty((10_000, 300))
    if is_sparse:
        X = sparse.random(*X.shape, 0.01, format="csr", random_state=0)
    facts = [
        PartFacts(number, stop - start, int(X[start:stop].nnz) if is_sparse else None, stop - start, stop - start, 1.0)
        for number, start, stop in ((0, 0, 3000), (1, 3000, 3010), (4, 3010, 10_000))
    ]
    rows = ClusterRows.of(None, facts, Encoding(LABELS, np.dtype(float), None, None, 1.0), 1.0)
    network = Network((300, *hidden, 1))
    plan = rows.plan(network, LABELS, None, 2)
    assert plan.firsts == {0: 0, 1: 3000, 4: 3010}
    assert plan.n_blocks == len(RowBlocks(X, max_rows=choose_block_rows(network.layer_sizes, X, 10_000)))
    assert plan.n_rows == 10_000
    assert plan.n_jobs == 2
