"""The terms of the curvature, and the priority sample that draws them: unbiased, and by hand."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.terms import PrioritySample, RowRandomness, Terms
from skrelu._core.threads import Team
from tests import literal
from tests.problems import KINDS, make_datafit, make_problem


def test_priority_sampling_is_unbiased_and_keeps_what_matters():
    weights = np.array([1e6, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.5])
    values = np.arange(1.0, 9.0)
    estimates = []
    for seed in range(4000):
        rng = np.random.default_rng(seed)
        sample = PrioritySample(4)
        for part in (slice(0, 3), slice(3, 8)):
            sample.add(sample.choose(np.arange(8)[part], weights[part], rng.random(len(weights[part]))))
        numbers, inclusion = sample.result()
        assert len(numbers) == 4
        assert numbers[0] == 0
        assert inclusion[0] == 1.0
        assert 6 not in numbers
        estimates.append((values[numbers] / inclusion).sum())
    expected = values.sum() - values[6]
    assert abs(np.mean(estimates) - expected) < 4 * np.std(estimates) / np.sqrt(len(estimates))


def test_few_items_are_all_kept_for_certain():
    sample = PrioritySample(10)
    sample.add(sample.choose(np.arange(3), np.array([1.0, 0.0, 2.0]), np.random.default_rng(0).random(3)))
    numbers, inclusion = sample.result()
    assert numbers.tolist() == [0, 2]
    assert inclusion.tolist() == [1.0, 1.0]


def test_the_probabilities_by_hand():
    """Priorities 4/0.5, 1/0.25, 2/1, 6/0.5, 3/0.5 = 8, 4, 2, 12, 6: three stay, and the fourth, 4, is the threshold."""
    sample = PrioritySample(3)
    u = np.array([0.5, 0.25, 1.0, 0.5, 0.5])
    sample.add(sample.choose(np.array([10, 11]), np.array([4.0, 1.0]), 1 - u[:2]))
    sample.add(sample.choose(np.array([12, 13, 14]), np.array([2.0, 6.0, 3.0]), 1 - u[2:]))
    numbers, inclusion = sample.result()
    assert numbers.tolist() == [10, 13, 14]
    assert inclusion.tolist() == [1.0, 1.0, 0.75]


def test_as_many_items_as_asked_for_are_all_certain():
    sample = PrioritySample(3)
    sample.add(sample.choose(np.arange(3), np.array([1.0, 1e-9, 1e9]), np.random.default_rng(0).random(3)))
    numbers, inclusion = sample.result()
    assert numbers.tolist() == [0, 1, 2]
    assert inclusion.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("cuts", [[100], [50, 100], [1, 2, 60, 61, 100]])
def test_the_cut_into_blocks_does_not_matter(cuts):
    rng = np.random.RandomState(0)
    weights, uniforms = rng.exponential(size=100), rng.uniform(0.01, 1, size=100)
    sample, start = PrioritySample(7), 0
    for stop in cuts:
        part = slice(start, stop)
        sample.add(sample.choose(np.arange(100)[part], weights[part], 1 - uniforms[part]))
        start = stop
    numbers, inclusion = sample.result()
    order = np.argsort(-weights / uniforms)
    assert_array_equal(numbers, np.sort(order[:7]))
    threshold = (weights / uniforms)[order[7]]
    assert_allclose(inclusion, np.minimum(1, weights[numbers] / threshold), rtol=1e-12)


@pytest.mark.parametrize(("n_rows", "n_blocks"), [(100, 1), (100, 7), (100, 100), (5, 4)])
@pytest.mark.parametrize("n_per_row", [1, 3])
def test_a_row_has_the_same_random_numbers_in_every_part(n_rows, n_blocks, n_per_row):
    cuts = [block * n_rows // n_blocks for block in range(n_blocks + 1)]
    sizes = [(stop - start) * n_per_row for start, stop in pairwise(cuts)]
    expected = np.concatenate([np.random.default_rng((9, block)).random(size) for block, size in enumerate(sizes)])
    for first in range(0, n_rows, 3):
        part = RowRandomness(n_rows, n_blocks, first)
        for start, stop in ((0, 1), (0, n_rows - first), ((n_rows - first) // 2, n_rows - first)):
            if stop > start:
                places = slice((first + start) * n_per_row, (first + stop) * n_per_row)
                assert_array_equal(part.uniforms(9, slice(start, stop), n_per_row), expected[places])


def test_an_empty_sample():
    sample = PrioritySample(3)
    sample.add(sample.choose(np.arange(2), np.zeros(2), np.random.default_rng(0).random(2)))
    numbers, inclusion = sample.result()
    assert len(numbers) == len(inclusion) == 0


@pytest.mark.parametrize(("inclusion", "expected"), [([1.0, 1.0], True), ([1.0, 0.999], False), ([], True)])
def test_terms_are_complete_if_all_were_certain(inclusion, expected):
    n_terms = len(inclusion)
    terms = Terms(np.zeros((n_terms, 2)), np.zeros((n_terms, 1)), np.array(inclusion), np.arange(n_terms))
    assert terms.is_complete is expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_slopes_of_a_row_are_a_root_of_its_curvature(kind):
    """sum_k l_ik l_ik^T = s_i Lambda_i, if all terms are taken; the number of a term is i n_outputs + k."""
    problem = make_problem(kind, (4,))
    s = np.random.RandomState(0).uniform(0.5, 2, len(problem.X))
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team, sample_weight=s)
        terms = datafit.sample_terms(parameters, 10**6, 0)
    n_outputs = terms.slopes.shape[1]
    assert_array_equal(terms.numbers, np.arange(len(problem.X) * n_outputs))
    assert_array_equal(terms.X, np.repeat(problem.X, n_outputs, axis=0))
    for i, x in enumerate(problem.X):
        root = terms.slopes[i * n_outputs : (i + 1) * n_outputs]
        f = literal.score(problem.W, problem.intercepts, x)
        expected = s[i] * literal.second_derivative(f, problem.is_multinomial)
        assert_allclose(root.T @ root, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize("kind", KINDS)
def test_terms_are_drawn_by_the_squared_norm_of_their_last_layer(kind, hidden, container):
    """s_i ||l_ik||^2 (1 + ||z_{i,L-1}||^2): probabilities below one are in these proportions."""
    problem = make_problem(kind, hidden, n_samples=60)
    s = np.random.RandomState(0).uniform(0.5, 2, len(problem.X))
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team, container(problem.X), sample_weight=s)
        every = datafit.sample_terms(parameters, 10**6, 0)
        drawn = datafit.sample_terms(parameters, 20, 0)
    squared_norms = []
    for number, slope in zip(every.numbers, every.slopes, strict=True):
        x = problem.X[number // every.slopes.shape[1]]
        z = literal.layer_inputs(problem.W, problem.intercepts, x)[-1]
        squared_norms.append((slope @ slope) * (1 + z @ z))
    assert len(drawn.numbers) == 20
    unsure = drawn.inclusion < 1
    assert unsure.sum() > 5
    places = np.searchsorted(every.numbers, drawn.numbers)
    ratios = drawn.inclusion[unsure] / np.array(squared_norms)[places][unsure]
    assert_allclose(ratios, ratios[0], rtol=1e-9)
    assert_allclose(drawn.slopes, every.slopes[places] / np.sqrt(drawn.inclusion)[:, np.newaxis], rtol=1e-12)
