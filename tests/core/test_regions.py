import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.regions import (
    count_hidden_units,
    find_patterns,
    group_patterns,
    linear_models,
    trace_patterns,
    unpack_patterns,
)
from tests import literal
from tests.problems import KINDS, make_problem, relative_error

DEPTHS = [(), (5,), (9, 4), (3, 8, 5)]


def explicit_patterns(problem, X=None):
    """Return pos(z) of all hidden units, row by row."""
    return np.array(
        [
            np.concatenate([[], *map(literal.pos, literal.layer_inputs(problem.W, problem.intercepts, x)[1:])]) > 0
            for x in (problem.X if X is None else X)
        ]
    )


def explicit_groups(patterns):
    """Return the region of each row, counted pattern by pattern, and the row that comes first in each."""
    rows_of = {}
    for row, pattern in enumerate(patterns):
        rows_of.setdefault(tuple(pattern), []).append(row)
    ranked = sorted(rows_of.values(), key=lambda rows: (-len(rows), rows[0]))
    region = np.empty(len(patterns), dtype=int)
    for number, rows in enumerate(ranked):
        region[rows] = number
    return region, [rows[0] for rows in ranked], [len(rows) for rows in ranked]


@pytest.mark.parametrize("hidden", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_models_are_the_literal_product(kind, hidden):
    problem = make_problem(kind, hidden, n_samples=40)
    patterns = find_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    coef, intercept = linear_models(problem.coefs, problem.intercepts, patterns, 1)
    for x, slopes, constant in zip(problem.X, coef, intercept, strict=True):
        z = literal.layer_inputs(problem.W, problem.intercepts, x)
        products = [literal.P(problem.W, z, l) for l in range(1, len(problem.W) + 1)]
        assert_allclose(slopes, products[0] @ problem.W[0], rtol=1e-12, atol=1e-13)
        expected = sum(product @ bias for product, bias in zip(products, problem.intercepts, strict=True))
        assert_allclose(constant, expected, rtol=1e-12, atol=1e-13)
        assert_allclose(slopes @ x + constant, literal.score(problem.W, problem.intercepts, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", DEPTHS)
def test_slopes_are_central_differences(hidden):
    problem = make_problem("multiclass", hidden, n_samples=10)
    patterns = find_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    coef, _ = linear_models(problem.coefs, problem.intercepts, patterns, 1)
    for x, slopes in zip(problem.X, coef, strict=True):
        for k in range(3):
            measured = literal.central_differences(
                lambda row, k=k: literal.score(problem.W, problem.intercepts, row)[k], x
            )
            assert_allclose(slopes[k], measured, rtol=1e-6, atol=1e-7)


def test_a_unit_whose_input_is_zero_is_not_active():
    coefs, intercepts = [np.array([[1.0, -1.0, 1.0]]), np.ones((3, 1))], [np.array([0.0, 0.0, -2.0]), np.zeros(1)]
    patterns = find_patterns(coefs, intercepts, np.array([[0.0], [2.0], [-0.0], [-1.0]]), 1)
    (active,) = unpack_patterns(coefs, patterns)
    assert_array_equal(active, [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]])
    coef, intercept = linear_models(coefs, intercepts, patterns, 1)
    assert_array_equal(coef.ravel(), [0, 1, 0, -1])
    assert_array_equal(intercept.ravel(), [0, 0, 0, 0])


def test_dead_units_have_no_part():
    problem = make_problem("multiclass", (6, 4))
    problem.intercepts[0][2] = -1e6
    patterns = find_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    assert not unpack_patterns(problem.coefs, patterns)[0][:, 2].any()
    coef, _ = linear_models(problem.coefs, problem.intercepts, patterns, 1)
    problem.coefs[0][:, 2] = 17
    assert_array_equal(linear_models(problem.coefs, problem.intercepts, patterns, 1)[0], coef)


@pytest.mark.parametrize("hidden", [(), (3,), (8,), (5, 4), (64,), (65, 3), (70, 70)])
def test_patterns_unpack_to_the_explicit_ones(hidden):
    problem = make_problem("binary", hidden, n_samples=200)
    expected = explicit_patterns(problem)
    patterns = find_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    assert patterns.dtype == np.uint8
    assert patterns.shape == (200, -(-sum(hidden) // 8))
    layers = unpack_patterns(problem.coefs, patterns)
    assert [layer.shape for layer in layers] == [(200, n_units) for n_units in hidden]
    assert_array_equal(np.concatenate([np.empty((200, 0)), *layers], axis=1), expected)
    assert count_hidden_units(problem.coefs) == expected.shape[1]


@pytest.mark.parametrize("hidden", [(), (2,), (4, 3), (64,), (65, 3)])
def test_groups_are_those_of_a_count_by_hand(hidden):
    problem = make_problem("binary", hidden, n_samples=2000, n_features=2, seed=3)
    region, first, count = explicit_groups(explicit_patterns(problem))
    groups = group_patterns(find_patterns(problem.coefs, problem.intercepts, problem.X, 2))
    assert_array_equal(groups.region, region)
    assert_array_equal(groups.first, first)
    assert_array_equal(groups.count, count)


def test_groups_of_random_patterns_of_any_width():
    rng = np.random.RandomState(0)
    for n_bytes in (1, 7, 8, 9, 16, 23):
        distinct = rng.randint(256, size=(6, n_bytes), dtype=np.uint8)
        patterns = distinct[rng.randint(6, size=50)]
        groups = group_patterns(patterns)
        region, first, count = explicit_groups(patterns)
        assert_array_equal(groups.region, region)
        assert_array_equal(groups.first, first)
        assert_array_equal(groups.count, count)


def test_ties_are_in_the_order_of_the_rows():
    patterns = np.array([[9], [3], [3], [9], [1], [7]], dtype=np.uint8)
    groups = group_patterns(patterns)
    assert_array_equal(groups.region, [0, 1, 1, 0, 2, 3])
    assert_array_equal(group_patterns(np.arange(50, 0, -1, dtype=np.uint8)[:, np.newaxis]).region, np.arange(50))
    alone = group_patterns(patterns[:1])
    assert [alone.region.tolist(), alone.first.tolist(), alone.count.tolist()] == [[0], [0], [1]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_for_every_number_of_threads(kind):
    problem = make_problem(kind, (60, 30), n_samples=9000, n_features=40)
    one, two = (trace_patterns(problem.coefs, problem.intercepts, problem.X, n_jobs) for n_jobs in (1, 2))
    assert_array_equal(one[0], two[0])
    assert_array_equal(one[1], two[1])
    for first, second in zip(
        *(linear_models(problem.coefs, problem.intercepts, one[0], n_jobs) for n_jobs in (1, 2)), strict=True
    ):
        assert_array_equal(first, second)


def test_many_blocks_are_as_each_row_alone():
    problem = make_problem("multiclass", (60, 30), n_samples=9000, n_features=40)
    patterns, scores = trace_patterns(problem.coefs, problem.intercepts, problem.X, 2)
    coef, intercept = linear_models(problem.coefs, problem.intercepts, patterns, 2)
    assert_allclose((coef @ problem.X[:, :, np.newaxis])[:, :, 0] + intercept, scores, rtol=1e-8, atol=1e-10)
    for row in (0, 511, 512, 4321, 8999):
        x = problem.X[row]
        z = literal.layer_inputs(problem.W, problem.intercepts, x)
        assert_allclose(scores[row], literal.score(problem.W, problem.intercepts, x), rtol=1e-11)
        assert_allclose(coef[row], literal.P(problem.W, z, 1) @ problem.W[0], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix])
def test_sparse_rows(form):
    problem = make_problem("multiclass", (6, 5), n_samples=3000, n_features=30)
    X = problem.X * (np.random.RandomState(1).rand(3000, 30) < 0.2)
    dense, of_sparse = (trace_patterns(problem.coefs, problem.intercepts, rows, 2) for rows in (X, form(X)))
    assert_array_equal(dense[0], of_sparse[0])
    assert_allclose(dense[1], of_sparse[1], rtol=1e-11, atol=1e-12)


def test_weights_and_rows_in_float32_are_computed_in_float64():
    problem = make_problem("multiclass", (20, 9), n_samples=50)
    narrow = [array.astype("f4") for array in problem.coefs], [array.astype("f4") for array in problem.intercepts]
    wide = [array.astype("f8") for array in narrow[0]], [array.astype("f8") for array in narrow[1]]
    X = problem.X.astype("f4")
    patterns, scores = trace_patterns(*narrow, X, 1)
    assert scores.dtype == np.float64
    expected_patterns, expected_scores = trace_patterns(*wide, X.astype("f8"), 1)
    assert_array_equal(patterns, expected_patterns)
    assert_array_equal(scores, expected_scores)
    for model, expected in zip(linear_models(*narrow, patterns, 1), linear_models(*wide, patterns, 1), strict=True):
        assert model.dtype == np.float64
        assert_array_equal(model, expected)


def test_scores_that_overflow_are_told_without_a_warning():
    coefs, intercepts = [np.array([[1e300]]), np.array([[1e10]])], [np.zeros(1), np.zeros(1)]
    _, scores = trace_patterns(coefs, intercepts, np.array([[1e10], [1.0], [-1e10]]), 1)
    assert_array_equal(scores.ravel(), [np.inf, np.inf, 0])


def test_patterns_are_found_block_by_block():
    problem = make_problem("binary", (200,), n_samples=40_000, n_features=2)
    tracemalloc.start()
    patterns = find_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < patterns.nbytes + 40_000 * 8 + 15e6  # all values of the units would be 64e6


def test_models_are_found_block_by_block():
    problem = make_problem("multiclass", (100, 100), n_samples=20_000, n_features=10)
    patterns = find_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    tracemalloc.start()
    coef, intercept = linear_models(problem.coefs, problem.intercepts, patterns, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < coef.nbytes + intercept.nbytes + 2 * 12e6  # all deltas would be 48e6 for each layer


def test_the_error_of_a_large_network_is_rounding():
    problem = make_problem("multiclass", (100, 100, 100), n_samples=100, n_features=30, scale=0.2)
    patterns, scores = trace_patterns(problem.coefs, problem.intercepts, problem.X, 1)
    coef, intercept = linear_models(problem.coefs, problem.intercepts, patterns, 1)
    assert relative_error([(coef @ problem.X[:, :, np.newaxis])[:, :, 0] + intercept], [scores]) < 1e-13
