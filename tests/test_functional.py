"""`loss_and_gradient` against everything independent of it: literal sums, differences, scikit-learn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skrelu import loss_and_gradient
from tests import literal
from tests.problems import KINDS, make_problem, relative_error

ARCHITECTURES = [(), (4,), (5, 4), (3, 6, 2), (4, 3, 3, 2)]


def literal_answer(problem, sample_weight=None, alpha=0.0):
    """Return the literal loss and its gradients in the shapes of `coefs` and `intercepts`."""
    loss, W_grads, b_grads = literal.loss_and_gradient(
        problem.W, problem.intercepts, problem.X, problem.targets, sample_weight, alpha
    )
    return loss, [grad.T for grad in W_grads], b_grads


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_equations_a_and_b_row_by_row(kind, hidden, weighted, container):
    problem = make_problem(kind, hidden)
    weights = np.random.RandomState(3).rand(len(problem.X)) if weighted else None
    expected = literal_answer(problem, weights, alpha=0.7)
    y = container(problem.y) if kind == "multilabel" else problem.y
    loss, coef_grads, intercept_grads = loss_and_gradient(
        problem.coefs, problem.intercepts, container(problem.X), y, sample_weight=weights, alpha=0.7
    )
    assert_allclose(loss, expected[0], rtol=1e-12)
    assert [grad.shape for grad in coef_grads] == [coef.shape for coef in problem.coefs]
    assert relative_error(coef_grads, expected[1]) < 1e-12
    assert relative_error(intercept_grads, expected[2]) < 1e-12


@pytest.mark.parametrize("hidden", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_central_differences(kind, hidden):
    problem = make_problem(kind, hidden)
    shapes = [np.shape(part) for part in problem.coefs + problem.intercepts]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])

    def unravel(flat):
        parts = [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
        return parts[: len(problem.coefs)], parts[len(problem.coefs) :]

    def loss(flat):
        return loss_and_gradient(*unravel(flat), problem.X, problem.y, alpha=0.3)[0]

    flat = np.concatenate([part.ravel() for part in problem.coefs + problem.intercepts])
    _, coef_grads, intercept_grads = loss_and_gradient(
        problem.coefs, problem.intercepts, problem.X, problem.y, alpha=0.3
    )
    gradient = np.concatenate([part.ravel() for part in coef_grads + intercept_grads])
    assert relative_error([gradient], [literal.central_differences(loss, flat)]) < 1e-7


@pytest.mark.parametrize("kind", KINDS)
def test_units_exactly_at_zero_follow_the_equations(kind):
    """Integers make many pre-activations exactly 0; pos(0) = 0 decides, in the package as in the equations."""
    problem = make_problem(kind, (6, 5), n_samples=40)
    rng = np.random.RandomState(1)
    problem.X = rng.randint(-1, 2, size=problem.X.shape).astype(float)
    problem.coefs = [rng.randint(-1, 2, size=coef.shape).astype(float) for coef in problem.coefs]
    problem.intercepts = [rng.randint(-1, 2, size=intercept.shape).astype(float) for intercept in problem.intercepts]
    at_zero = problem.X @ problem.coefs[0] + problem.intercepts[0] == 0
    assert at_zero.mean() > 0.1
    expected = literal_answer(problem)
    _, coef_grads, intercept_grads = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, problem.y)
    assert relative_error(coef_grads, expected[1]) < 1e-12
    assert relative_error(intercept_grads, expected[2]) < 1e-12


@pytest.mark.parametrize("scale", [30.0, 100.0])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_ten_thousand_are_summed_right(kind, scale):
    problem = make_problem(kind, (4,), scale=scale)
    scores = [literal.score(problem.W, problem.intercepts, x) for x in problem.X]
    assert 1e3 < np.abs(scores).max() < 1e6
    expected = literal_answer(problem)
    loss, coef_grads, intercept_grads = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, problem.y)
    assert_allclose(loss, expected[0], rtol=1e-12)
    assert relative_error(coef_grads, expected[1]) < 1e-12
    assert relative_error(intercept_grads, expected[2]) < 1e-12


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_objective_and_gradient_are_those_of_mlpclassifier(kind, weighted):
    """MLPClassifier divides by the total weight, and its objective is taken here at our weights."""
    alpha = 0.9
    problem = make_problem(kind, (6, 4), n_samples=50, scale=0.5)
    weights = np.random.RandomState(3).rand(50) if weighted else None
    mlp = MLPClassifier((6, 4), alpha=alpha, solver="lbfgs", max_iter=1, random_state=0)
    with np.errstate(all="ignore"), pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        mlp.fit(problem.X, problem.y)
    mlp.coefs_ = [coef.copy() for coef in problem.coefs]
    mlp.intercepts_ = [intercept.copy() for intercept in problem.intercepts]
    y = mlp._label_binarizer.transform(problem.y).astype(float)
    activations = [problem.X, *(np.empty((50, n)) for n in (6, 4, y.shape[1]))]
    deltas = [np.empty_like(activation) for activation in activations[1:]]
    coef_grads = [np.empty_like(coef) for coef in mlp.coefs_]
    intercept_grads = [np.empty_like(intercept) for intercept in mlp.intercepts_]
    loss, coef_grads, intercept_grads = mlp._backprop(
        problem.X, y, weights, activations, deltas, coef_grads, intercept_grads
    )
    ours = loss_and_gradient(
        problem.coefs, problem.intercepts, problem.X, problem.y, sample_weight=weights, alpha=alpha
    )
    total = 50 if weights is None else weights.sum()
    assert_allclose(ours[0] / total, loss, rtol=1e-12)
    assert relative_error([grad / total for grad in ours[1]], coef_grads) < 1e-12
    assert relative_error([grad / total for grad in ours[2]], intercept_grads) < 1e-12


def test_weights_repeat_rows_and_zero_removes_them():
    problem = make_problem("multiclass")
    weights = np.random.RandomState(0).randint(0, 4, size=len(problem.X))
    repeats = np.repeat(np.arange(len(problem.X)), weights)
    weighted = loss_and_gradient(
        problem.coefs, problem.intercepts, problem.X, problem.y, sample_weight=weights, alpha=1.0
    )
    repeated = loss_and_gradient(problem.coefs, problem.intercepts, problem.X[repeats], problem.y[repeats], alpha=1.0)
    assert_allclose(weighted[0], repeated[0], rtol=1e-13)
    assert relative_error(weighted[1], repeated[1]) < 1e-13


def test_it_is_a_sum_over_samples():
    problem = make_problem("binary")
    whole = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, problem.y)
    parts = [
        loss_and_gradient(problem.coefs, problem.intercepts, x[np.newaxis], [label])
        for x, label in zip(problem.X, problem.y, strict=True)
    ]
    assert_allclose(whole[0], sum(part[0] for part in parts), rtol=1e-13)
    assert relative_error(whole[1], [sum(grads) for grads in zip(*(part[1] for part in parts), strict=True)]) < 1e-13


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1), ("a", "b"), (False, True), (3, 7)])
def test_any_two_labels_in_sorted_order(labels):
    problem = make_problem("binary")
    expected = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, problem.y)
    y = np.array(labels)[problem.y]
    assert loss_and_gradient(problem.coefs, problem.intercepts, problem.X, y)[0] == expected[0]
    assert loss_and_gradient(problem.coefs, problem.intercepts, problem.X, y[:, np.newaxis])[0] == expected[0]


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_single_label_of_a_known_pair_is_enough(sign):
    problem = make_problem("binary")
    y = np.full(len(problem.X), sign)
    loss, *_ = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, y)
    scores = [literal.score(problem.W, problem.intercepts, x)[0] for x in problem.X]
    assert_allclose(loss, sum(literal.binary_loss(score, sign) for score in scores))


def test_float32_rows_give_float64_sums():
    problem = make_problem("multiclass", n_samples=500)
    expected = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, problem.y)
    loss, coef_grads, _ = loss_and_gradient(problem.coefs, problem.intercepts, problem.X.astype(np.float32), problem.y)
    assert coef_grads[0].dtype == np.float64
    assert_allclose(loss, expected[0], rtol=1e-5)
    assert 0 < relative_error(coef_grads, expected[1]) < 1e-5


def test_arguments_are_left_as_they_were():
    problem = make_problem("multilabel")
    before = [part.copy() for part in [*problem.coefs, *problem.intercepts, problem.X, problem.y]]
    _, coef_grads, _ = loss_and_gradient(problem.coefs, problem.intercepts, problem.X, problem.y, alpha=1.0)
    coef_grads[0][:] = np.nan
    for part, old in zip([*problem.coefs, *problem.intercepts, problem.X, problem.y], before, strict=True):
        assert_allclose(part, old, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefs": []}, "one array per layer, got 0 and 3"),
        ({"coefs": [np.ones((3, 5)), np.ones((4, 4)), np.ones((4, 3))]}, r"coefs\[1\] must have 5 rows"),
        ({"coefs": [np.ones(3), np.ones((5, 4)), np.ones((4, 3))]}, r"coefs\[0\] must have shape"),
        ({"intercepts": [np.ones(5), np.ones(4), np.ones(2)]}, r"intercepts\[2\] must have shape \(3,\)"),
        ({"X": np.ones((13, 2))}, "X has 2 features, but coefs"),
        ({"X": np.full((13, 3), np.nan)}, "X contains NaN"),
        ({"y": np.arange(12)}, "inconsistent numbers of samples"),
        ({"y": np.full(13, 3)}, r"class indices 0\.\.2"),
        ({"y": np.full((13, 3), 2)}, "indicator"),
        ({"y": np.ones((13, 2))}, r"y of shape \(13, 2\) does not fit 3"),
        ({"sample_weight": -np.ones(13)}, "sample_weight must not be negative"),
        ({"alpha": True}, "alpha must be"),
        ({"alpha": 1j}, "alpha must be"),
        ({"coefs": [np.full((3, 5), np.nan), np.ones((5, 4)), np.ones((4, 3))]}, r"coefs\[0\] .*NaN"),
        ({"coefs": [np.ones((3, 5)) * 1j, np.ones((5, 4)), np.ones((4, 3))]}, r"coefs\[0\] .*Complex"),
        ({"coefs": [[["a"]], np.ones((5, 4)), np.ones((4, 3))]}, r"coefs\[0\] must be an array of finite numbers"),
        ({"alpha": -1.0}, "alpha must be"),
        ({"alpha": np.nan}, "alpha must be"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    problem = make_problem("multiclass")
    arguments = {"coefs": problem.coefs, "intercepts": problem.intercepts, "X": problem.X, "y": problem.y} | changes
    with pytest.raises(ValueError, match=message):
        loss_and_gradient(**arguments)


@pytest.mark.parametrize("y", [np.arange(13), np.full(13, 5)])
def test_one_output_takes_two_labels(y):
    problem = make_problem("binary")
    with pytest.raises(ValueError, match="two labels"):
        loss_and_gradient(problem.coefs, problem.intercepts, problem.X, y)


@pytest.mark.parametrize(
    ("kind", "label"), [("binary", int), ("binary", bool), ("multiclass", int), ("multilabel", int)]
)
def test_labels_of_dtype_object(kind, label):
    problem = make_problem(kind)
    y = np.unique(problem.y, return_inverse=True)[1].reshape(problem.y.shape)
    objects = np.empty(y.shape, dtype=object)
    objects.flat = [label(value) for value in y.flat]
    layers = problem.coefs, problem.intercepts, problem.X
    expected, result = loss_and_gradient(*layers, y), loss_and_gradient(*layers, objects)
    assert result[0] == expected[0]
    for parts, expected_parts in zip(result[1:], expected[1:], strict=True):
        for part, expected_part in zip(parts, expected_parts, strict=True):
            assert_allclose(part, expected_part, rtol=0)
    objects.flat = [complex(value) for value in y.flat]
    with pytest.raises(TypeError, match=r"y must hold .* got complex"):
        loss_and_gradient(*layers, objects)
