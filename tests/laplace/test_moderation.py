"""Moderated scores, and the factor of their variances, against their formulas."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax

from skrelu._laplace.moderation import Moderation, moderate


class TestModerate:
    @pytest.mark.parametrize("is_relative", [False, True])
    def test_the_formula(self, is_relative):
        rng = np.random.RandomState(0)
        f, v = rng.randn(4, 3), rng.exponential(size=(4, 3))
        actual = moderate(f, v, is_relative=is_relative)
        for i in range(4):
            center = f[i].sum() / 3 if is_relative else 0.0
            for k in range(3):
                kappa = (1 + np.pi * v[i, k] / 8) ** -0.5
                assert_allclose(actual[i, k], kappa * (f[i, k] - center), rtol=1e-13)

    def test_without_variance_nothing_changes(self):
        f = np.random.RandomState(0).randn(4, 3)
        assert_array_equal(moderate(f, np.zeros((4, 3)), is_relative=False), f)
        moderated = softmax(moderate(f, np.zeros((4, 3)), is_relative=True), axis=1)
        assert_allclose(moderated, softmax(f, axis=1), rtol=1e-13)

    def test_a_shift_of_all_scores_changes_no_probability_of_classes(self):
        rng = np.random.RandomState(0)
        f, v = rng.randn(4, 3), rng.exponential(size=(4, 3))
        assert_allclose(moderate(f + 5, v, is_relative=True), moderate(f, v, is_relative=True), atol=1e-13)

    def test_the_dtype_and_the_argument_stay(self):
        f = np.random.RandomState(0).randn(4, 3).astype(np.float32)
        before = f.copy()
        for is_relative in (False, True):
            assert moderate(f, np.ones((4, 3)), is_relative=is_relative).dtype == np.float32
        assert_array_equal(f, before)

    def test_the_moderated_probability_is_the_integral(self):
        """sigmoid(kappa f) against E sigmoid(f + sqrt(v) e): MacKay's approximation is good to about 0.02."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        for f in (-3.0, 0.5, 2.0):
            for v in (0.3, 4.0, 30.0):
                expected = weights @ expit(f + np.sqrt(v) * nodes) / weights.sum()
                actual = expit(moderate(np.array([[f]]), np.array([[v]]), is_relative=False))[0, 0]
                assert abs(actual - expected) < 0.02


def scaled(v, q, scale, reach):
    return Moderation(scale, np.array(reach)).scaled(np.array(v, dtype=float), np.array(q, dtype=float))


class TestScaled:
    @pytest.mark.parametrize("scale", [1.0, 0.1, 1e-6])
    def test_the_formula(self, scale):
        """v r tau^(1/r) with r = max(1, q / reach), the reach of each output being its own."""
        rng = np.random.RandomState(0)
        q = 10 ** rng.uniform(-2, 4, (50, 2))
        v, reach = q * rng.uniform(size=(50, 2)), [2.0, 30.0]
        actual = scaled(v, q, scale, reach)
        for i in range(50):
            for k in range(2):
                r = max(1, q[i, k] / reach[k])
                assert_allclose(actual[i, k], v[i, k] * r * scale ** (1 / r), rtol=1e-13)

    def test_within_the_reach_the_factor_is_the_scale(self):
        assert_array_equal(scaled([[0.5, 0.25]], [[1.0, 2.0]], 0.125, [1.0, 4.0]), [[0.0625, 0.03125]])

    @pytest.mark.parametrize("scale", [1.0, 1e-6])
    def test_it_rises_with_the_prior_variance_and_far_away_no_scale_is_left(self, scale):
        q = np.logspace(-1, 8, 200)[:, np.newaxis]
        factors = scaled(np.ones_like(q), q, scale, [1.0])
        assert (np.diff(factors[q > 1]) > 0).all()
        assert_array_equal(factors[q <= 1], scale)
        assert_allclose(factors[-1], q[-1], rtol=1e-6)

    def test_unscaled_is_to_the_bit(self):
        v = np.random.RandomState(0).exponential(size=(9, 3))
        assert_array_equal(Moderation.unscaled(3).scaled(v, 1e300 * v), v)

    def test_a_variance_that_overflows_leaves_the_sign_of_the_score(self):
        v = scaled([[1e200]], [[1e200]], 1e-6, [1.0])
        assert np.isfinite(v).all()
        moderated = moderate(np.array([[-1e100]]), v, is_relative=False)
        assert -1e-50 < moderated[0, 0] < 0

    def test_training_rows_without_any_variance(self):
        """Then every other x is farther away than they are; a score without variance stays as it is."""
        v = scaled([[0.0], [0.0], [1.0]], [[0.0], [1.0], [1.0]], 0.1, [0.0])
        assert v[:2].tolist() == [[0.0], [0.0]]
        assert v[2] > 1e300

    def test_the_arguments_stay(self):
        v, q, reach = np.ones((2, 1)), np.full((2, 1), 5.0), np.ones(1)
        before = copy.deepcopy((v, q, reach))
        Moderation(0.1, reach).scaled(v, q)
        for actual, expected in zip((v, q, reach), before, strict=True):
            assert_array_equal(actual, expected)
