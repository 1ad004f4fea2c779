"""The comparison of explanations (`benchmarks/explain.py`): its exact values, its turns and its figures."""

import itertools

import numpy as np
import pytest

from skrelu import DeepLogisticClassifier
from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def explain():
    yield from import_benchmark("explain")


def make_layers(sizes, seed=0):
    rng = np.random.default_rng(seed)
    shapes = list(itertools.pairwise(sizes))
    return [rng.standard_normal(shape) for shape in shapes], [rng.standard_normal(n_out) for _, n_out in shapes]


def make_classifier(sizes):
    classifier = DeepLogisticClassifier(sizes[1:-1])
    classifier.coefs_, classifier.intercepts_ = make_layers(sizes)
    classifier.classes_ = np.arange(max(sizes[-1], 2))
    return classifier


def pattern_of(coefs, intercepts, x):
    pattern = []
    for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
        z = x @ coef + intercept
        pattern += list(z > 0)
        x = np.maximum(z, 0)
    return pattern


def literal_shapley_values(score, x, background):
    """Return what each column adds to the mean score when it joins, as a mean over all orders of joining."""
    orders = list(itertools.permutations(range(len(x))))
    total = np.zeros((score(background).shape[1], len(x)))
    for order in orders:
        mixtures = background.copy()
        for column in order:
            before = score(mixtures).mean(axis=0)
            mixtures[:, column] = x[column]
            total[:, column] += score(mixtures).mean(axis=0) - before
    return total / len(orders)


@pytest.mark.parametrize("n_background", [1, 3])
def test_shapley_values_are_means_over_all_orders(explain, n_background):
    rows = np.random.default_rng(1).standard_normal((5, 4))
    classifier = make_classifier((4, 6, 3))
    background = rows[2 : 2 + n_background]
    values = explain.shapley_values(classifier.decision_function, rows[:2], background)
    literal = [literal_shapley_values(classifier.decision_function, x, background) for x in rows[:2]]
    np.testing.assert_allclose(values, literal, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("hidden", [(5,), (5, 4), (4, 4, 3)])
def test_the_largest_step_is_where_the_first_mixture_leaves_the_region(explain, hidden):
    coefs, intercepts = make_layers((4, *hidden, 1))
    rng = np.random.default_rng(1)
    X, D = rng.standard_normal((2, 20, 4))
    steps = explain.largest_steps(coefs, intercepts, X, D)
    assert np.isfinite(steps).sum() > 10
    members = np.array(list(itertools.product([0, 1], repeat=4)))
    for x, d, step in zip(X, D, steps, strict=True):
        own = pattern_of(coefs, intercepts, x)
        if np.isfinite(step):
            inside, outside = (x + part * step * d * members for part in (1 - 1e-6, 1 + 1e-6))
            assert all(pattern_of(coefs, intercepts, mixture) == own for mixture in inside)
            assert any(pattern_of(coefs, intercepts, mixture) != own for mixture in outside)
        else:
            assert all(pattern_of(coefs, intercepts, mixture) == own for mixture in x + 1e6 * d * members)


@pytest.mark.parametrize("sizes", [(4, 6, 1), (4, 5, 4, 3)])
def test_with_a_background_in_the_region_the_shapley_values_are_those_of_the_linear_model(explain, sizes):
    classifier = make_classifier(sizes)
    rows, others = np.random.default_rng(1).standard_normal((2, 10, 4))
    backgrounds = explain.make_backgrounds(classifier, rows, others)
    assert (backgrounds != rows).all()
    exact = explain.coefficients(classifier, rows) * (rows - backgrounds)[:, np.newaxis]
    values = [
        explain.shapley_values(classifier.decision_function, rows[[i]], backgrounds[[i]])[0] for i in range(len(rows))
    ]
    assert (exact != 0).any(axis=(1, 2)).sum() > 5
    np.testing.assert_allclose(values, exact, rtol=1e-10, atol=1e-13)


def test_errors_are_relative_to_the_largest_value_of_a_row(explain):
    exact = np.array([[[1.0, -4.0]], [[0.0, 0.0]], [[0.0, 0.0]]])
    values = np.array([[[2.0, -4.5]], [[0.0, 0.0]], [[0.0, 1.0]]])
    assert explain.relative_errors(values, exact).tolist() == [0.25, 0.0, np.inf]


def test_the_one_that_begins_changes(explain):
    log = []
    works = {name: lambda name=name: log.append(name) for name in "abc"}

    def measure(work):
        work()
        return float(len(log))

    seconds = explain.take_turns(works, 3, measure)
    assert log == list("abcbcacab")
    assert {name: times.tolist() for name, times in seconds.items()} == {
        "a": [1.0, 6.0, 8.0],
        "b": [2.0, 4.0, 9.0],
        "c": [3.0, 5.0, 7.0],
    }


def test_a_missing_library_is_named(explain, monkeypatch):
    monkeypatch.setattr(explain, "MISSING", "shap")
    monkeypatch.setattr(explain, "parse", lambda: None)
    with pytest.raises(SystemExit, match=r"needs shap: pip install 'skrelu\[benchmark\]'"):
        explain.main()


def test_the_background_is_the_farthest_point_that_the_steps_allow(explain):
    classifier = make_classifier((3, 5, 1))
    rows, others = np.random.default_rng(1).standard_normal((2, 6, 3))
    for x, background in zip(rows, explain.make_backgrounds(classifier, rows, others), strict=True):
        distances = []
        for other in others:
            step = explain.largest_steps(
                classifier.coefs_, classifier.intercepts_, x[np.newaxis], (other - x)[np.newaxis]
            )
            distances.append(np.linalg.norm(other - x) * min(1, 0.9 * step[0]))
        assert np.linalg.norm(background - x) == pytest.approx(max(distances), rel=1e-12)
