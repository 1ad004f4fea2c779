"""Hyper-parameters: what is allowed passes unchanged, anything else is named with what was given."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._data import parameters as parameters_module
from skrelu._data.parameters import (
    check_alpha,
    check_alphas,
    check_hidden_layer_sizes,
    check_parameters,
    make_random_state,
)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "hidden_layer_sizes must hold integers >= 1, got 0"),
        ((-1,), ValueError, "hidden_layer_sizes must hold integers >= 1"),
        ((2.5,), TypeError, "hidden_layer_sizes must hold integers"),
        ("a", TypeError, "hidden_layer_sizes must be .* got 'a'"),
        (("a",), TypeError, "hidden_layer_sizes must hold integers"),
        ([[5, 4]], TypeError, "hidden_layer_sizes must hold integers"),
        (np.ones((2, 2), dtype=int), TypeError, "hidden_layer_sizes must be"),
        (iter([4]), TypeError, "hidden_layer_sizes must be an int or a sequence"),
        (np.array(4), TypeError, "hidden_layer_sizes must be an int or a sequence"),
        ({4}, TypeError, "hidden_layer_sizes must be an int or a sequence"),
        (True, TypeError, "hidden_layer_sizes"),
        (None, TypeError, "hidden_layer_sizes"),
    ],
)
def test_layers_that_are_refused(value, error, message):
    with pytest.raises(error, match=message):
        check_hidden_layer_sizes(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, (5,)), ((), ()), ([], ()), ([1, 2], (1, 2)), (np.array([3, 4]), (3, 4)), (np.int64(7), (7,))],
)
def test_layers_become_a_tuple_of_int(value, expected):
    sizes = check_hidden_layer_sizes(value)
    assert sizes == expected
    assert type(sizes) is tuple
    assert {type(size) for size in sizes} <= {int}


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"alpha": np.nan}, ValueError, "alpha must be .* got nan"),
        ({"alpha": np.inf}, ValueError, "alpha must be .* got inf"),
        ({"alpha": "1"}, ValueError, "alpha must be .* 'evidence', .* got '1'"),
        ({"alpha": [1.0, -1.0]}, ValueError, "alpha must be .* got"),
        ({"alpha": [1.0, None]}, TypeError, "alpha must be .* got"),
        ({"alpha": 0, "predictive": "laplace"}, ValueError, "alpha must be positive if predictive='laplace'"),
        ({"alpha": True}, TypeError, "alpha must be .* got True"),
    ],
)
def test_alphas_of_a_fit_that_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        check_alpha(DeepLogisticClassifier(**parameters), n_layers=2)


@pytest.mark.parametrize("alpha", ["evidence", 0, 0.0, 1e-300, np.float32(2), [0.0, 3], np.array([1, 2])])
def test_alphas_of_a_fit_that_are_allowed(alpha):
    check_alpha(DeepLogisticClassifier(alpha=alpha), n_layers=2)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"alpha_grouping": "unit"}, ValueError, "alpha_grouping must be one of .* got 'unit'"),
        ({"alpha_grouping": 1}, TypeError, "alpha_grouping must be one of"),
        ({"predictive": "bayes"}, ValueError, "predictive must be one of .* got 'bayes'"),
        ({"n_curvature_terms": 0}, ValueError, "n_curvature_terms must be an integer >= 1"),
        ({"n_curvature_terms": "all"}, TypeError, "n_curvature_terms must be an integer >= 1"),
        ({"tol": -1e-4}, ValueError, "tol must be"),
        ({"max_iter": 10.5}, TypeError, "max_iter must be an integer >= 1, got 10.5"),
        ({"max_fun": 0}, ValueError, "max_fun must be"),
        ({"n_init": 0}, ValueError, "n_init must be"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be"),
        ({"n_iter_no_change": 1.5}, TypeError, "n_iter_no_change must be"),
        ({"validation_fraction": 0.0}, ValueError, "validation_fraction must be"),
        ({"validation_fraction": 1}, ValueError, "validation_fraction must be"),
        ({"early_stopping": "yes"}, ValueError, "early_stopping must be True, False or 'auto', got 'yes'"),
        ({"early_stopping": 1}, TypeError, "early_stopping must be"),
        ({"warm_start": "no"}, TypeError, "warm_start must be"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be an integer .*not 0"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs must be"),
        ({"verbose": -1}, ValueError, "verbose must be"),
        ({"verbose": "loud"}, TypeError, "verbose must be"),
        ({"random_state": "seed"}, ValueError, "random_state must be"),
        ({"random_state": -1}, ValueError, "random_state must be"),
        ({"class_weight": "equal"}, ValueError, "class_weight must be None, 'balanced', a dict"),
        ({"class_weight": [1, 2]}, TypeError, "class_weight must be"),
        ({"class_weight": []}, TypeError, "class_weight must be"),
        ({"class_weight": [{0: 1}, "balanced"]}, TypeError, "class_weight must be"),
        ({"class_weight": [{0: 1}, {1: 0}]}, ValueError, "class_weight must hold finite weights > 0, got 0 for class"),
        ({"class_weight": {0: -1}}, ValueError, "class_weight must hold finite weights > 0, got -1 for class 0"),
        ({"class_weight": {0: np.inf}}, ValueError, "class_weight must hold finite"),
    ],
)
def test_parameters_that_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        check_parameters(DeepLogisticClassifier(**parameters))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"tol": 0},
        {"validation_fraction": 1e-9},
        {"validation_fraction": 1 - 1e-9},
        {"n_curvature_terms": 1},
        {"max_iter": 1, "max_fun": 1, "n_init": 1, "n_iter_no_change": 1},
        {"max_iter": np.int32(3), "n_jobs": np.int64(-1)},
        {"n_iter_no_change": np.inf},
        {"n_jobs": 1},
        {"verbose": True, "warm_start": np.True_, "early_stopping": np.False_},
        {"verbose": 3, "early_stopping": "auto"},
        {"random_state": 0},
        {"random_state": 2**32 - 1},
        {"random_state": np.random.RandomState(0)},
        {"class_weight": "balanced"},
        {"class_weight": {"a": 1e-300, 2: 5}},
        {"class_weight": [{0: 1, 1: 1e-300}, {}]},
    ],
)
def test_parameters_at_the_edge_of_what_is_allowed(parameters):
    model = DeepLogisticClassifier(**parameters)
    before = model.get_params()
    check_parameters(model)
    assert model.get_params() == before


@pytest.mark.parametrize("parameter", ["tol", "validation_fraction", "max_iter", "n_jobs", "n_curvature_terms"])
def test_a_truth_value_is_no_number(parameter):
    with pytest.raises(TypeError, match=f"{parameter} must be .* got True"):
        check_parameters(DeepLogisticClassifier(**{parameter: True}))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "alphas must be an integer >= 2"),
        (True, TypeError, "alphas must be an integer >= 2, or a 1-d array"),
        (3.0, TypeError, "alphas must be .* got 3.0"),
        (None, TypeError, "alphas must be"),
        ("evidence", TypeError, "alphas must be"),
        (["1", "2"], TypeError, "alphas must be"),
        ([[1.0, 2.0]], TypeError, "alphas must be"),
        ([[1.0], [2.0, 3.0]], TypeError, "alphas must be"),
        ([], ValueError, "alphas must hold at least one number"),
        ([1.0, 0.0], ValueError, r"alphas must hold .* in \(0, inf\), got \[1.0, 0.0\]"),
        ([1.0, -1.0], ValueError, "alphas must hold"),
        ([1.0, np.nan], ValueError, "alphas must hold"),
        ([1.0, np.inf], ValueError, "alphas must hold"),
    ],
)
def test_alphas_of_a_path_that_are_refused(value, error, message):
    with pytest.raises(error, match=message):
        check_alphas(value)


def test_alphas_of_a_path_ascend():
    alphas = check_alphas((3, 0.1, 20))
    assert alphas.dtype == np.float64
    assert_array_equal(alphas, [0.1, 3.0, 20.0])


def test_an_integer_asks_for_that_many_alphas_from_a_hundredth_to_a_hundred():
    assert_allclose(check_alphas(2), [0.01, 100])
    assert_allclose(check_alphas(np.int64(5)), [0.01, 0.1, 1, 10, 100])


class TestRandomState:
    def test_seeds_and_states_are_as_in_scikit_learn(self):
        assert make_random_state(7).randint(2**31) == np.random.RandomState(7).randint(2**31)
        state = np.random.RandomState(0)
        assert make_random_state(state) is state
        assert make_random_state(None) is np.random.mtrand._rand

    @pytest.mark.parametrize("estimator", [DeepLogisticClassifier, DeepLogisticClassifierCV])
    def test_a_generator_is_refused_with_what_to_do(self, estimator):
        """The check_random_state of scikit-learn 1.9 refuses it."""
        rng = np.random.default_rng(0)
        message = r"no numpy.random.Generator.*random_state=int\(rng.integers\(2\*\*31\)\)"
        with pytest.raises(ValueError, match=message):
            estimator((), random_state=rng).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])

    def test_a_generator_is_taken_where_scikit_learn_takes_it(self, monkeypatch):
        monkeypatch.setattr(parameters_module, "check_random_state", lambda seed: seed)
        rng, X, y = np.random.default_rng(0), [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
        assert isinstance(make_random_state(rng), np.random.RandomState)
        numbers = [make_random_state(np.random.default_rng(seed)).randint(2**31) for seed in (0, 0, 1)]
        assert numbers[0] == numbers[1] != numbers[2]
        before = rng.bit_generator.state
        assert DeepLogisticClassifier((2,), alpha=1.0, random_state=rng).fit(X, y).n_iter_
        assert rng.bit_generator.state != before  # so the next fit has another start
        assert DeepLogisticClassifierCV((2,), alphas=[1.0], cv=2, random_state=rng).fit(X, y).n_iter_
