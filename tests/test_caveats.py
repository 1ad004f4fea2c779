"""Warnings about fits whose result cannot be trusted, and their absence where it can."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


@pytest.mark.parametrize("hidden", [(), (100,), (20, 20)])
@pytest.mark.parametrize("n_repeats", [1, 2, 3])
def test_rows_that_do_not_determine_the_network(n_repeats, hidden):
    """In columns of 0 and 1; of standardised ones a network learns from two or three copies of each row."""
    X, y = (np.repeat(part, n_repeats, axis=0) for part in XOR)
    model = DeepLogisticClassifier(hidden, standardize=False, random_state=0)
    with pytest.warns(UserWarning, match="do not determine the network: .* set alpha to a number"):
        model.fit(X, y)
    assert model.n_effective_parameters_ < 1
    assert_allclose(model.predict_proba(X), 0.5, atol=0.01)


@pytest.mark.parametrize("hidden", [(100,), (20, 20)])
def test_features_that_say_nothing(hidden):
    rng = np.random.RandomState(1)
    with pytest.warns(UserWarning, match="may say nothing about y"):
        DeepLogisticClassifier(hidden, random_state=0).fit(rng.randn(200, 5), rng.randint(2, size=200))


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_a_table_that_says_something_gives_no_warning(load):
    X, y = load(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepLogisticClassifier(random_state=0).fit(StandardScaler().fit_transform(X), y)


def test_the_advice_helps():
    """A fixed alpha fits the four rows of XOR, and a few hundred rows of it determine a network."""
    X, y = XOR
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DeepLogisticClassifier((20,), alpha=0.01, random_state=0).fit(X, y).score(X, y) == 1.0
        rng = np.random.RandomState(0)
        X = rng.uniform(-1, 1, size=(400, 2))
        y = (X[:, 0] > 0) ^ (X[:, 1] > 0)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
    assert model.n_effective_parameters_ > 5
    assert model.score(X, y) > 0.9


def test_an_alpha_that_was_never_chosen_in_short_fits():
    """However many fits of five iterations follow each other, none comes to the end of a round."""
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = DeepLogisticClassifier((20,), max_iter=5, warm_start=True, random_state=0)
    for _ in range(3):
        with pytest.warns(
            ConvergenceWarning, match="the evidence has not chosen alpha.*Increase max_iter and"
        ) as caught:
            model.fit(X, y)
        assert len(caught) == 1
    assert (model.alpha_ == 1).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_iter=1000).fit(X, y)  # the advice
    assert not (model.alpha_ == 1).any()


def test_max_fun_too():
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="the evidence has not chosen alpha"):
        DeepLogisticClassifier((20,), max_fun=3, random_state=0).fit(StandardScaler().fit_transform(X), y)


class TestUsedUp:
    """60 terms cannot show that the rows determine hundreds of weights."""

    @staticmethod
    def load():
        X, y = load_digits(return_X_y=True)
        return X[:500] / 16, y[:500]

    def test_too_few_terms(self):
        model = DeepLogisticClassifier(n_curvature_terms=60, random_state=0)
        with pytest.warns(UserWarning, match="The 60 terms drawn .* are used up: .* n_curvature_terms") as caught:
            model.fit(*self.load())
        assert len(caught) == 1

    def test_the_number_of_auto_is_enough(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            DeepLogisticClassifier(random_state=0).fit(*self.load())

    def test_a_fixed_alpha_needs_none(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            DeepLogisticClassifier(alpha=1.0, predictive="laplace", n_curvature_terms=60).fit(*self.load())


def test_a_warning_that_is_made_an_error_leaves_the_model_as_it_was():
    X, y = load_breast_cancer(return_X_y=True)
    model = DeepLogisticClassifier((5,), random_state=0).fit(StandardScaler().fit_transform(X)[:, :2], y)
    alpha = model.alpha_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="do not determine"):
            model.fit(*XOR)
    assert model.alpha_ is alpha
