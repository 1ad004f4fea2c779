import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.network import Network, Workspace
from tests import literal
from tests.problems import make_problem


def run_passes(problem, slopes, *, kind="copied"):
    """Return scores and (coef, intercept) gradients of one block with the given slopes at the output."""
    network = Network((problem.X.shape[1], *(coef.shape[1] for coef in problem.coefs)))
    parameters = network.join(problem.coefs, problem.intercepts)
    workspace = Workspace(network, len(problem.X), np.dtype(float), copies_rows=kind == "copied")
    layers = network.layers(parameters)
    block = sparse.csr_array(problem.X) if kind == "sparse" else problem.X
    if kind == "copied":
        block = workspace.inputs[0]
        block[:, :-1] = problem.X
    scores = network.forward(layers, block, workspace).copy()
    gradient = np.empty(network.n_parameters)
    network.backward(layers, block, workspace, slopes, network.layers(gradient))
    return scores, network.split(gradient)


@pytest.mark.parametrize("kind", ["copied", "in place", "sparse"])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4), (3, 6, 2)])
def test_passes_are_the_literal_products(hidden, kind):
    problem = make_problem("multilabel", hidden)
    slopes = np.random.RandomState(1).randn(len(problem.X), 3)
    scores, (coef_grads, intercept_grads) = run_passes(problem, slopes, kind=kind)
    assert_allclose(scores, [literal.score(problem.W, problem.intercepts, x) for x in problem.X], rtol=1e-12)
    for l in range(1, len(hidden) + 2):
        inputs = [literal.layer_inputs(problem.W, problem.intercepts, x) for x in problem.X]
        deltas = [r @ literal.P(problem.W, z, l) for r, z in zip(slopes, inputs, strict=True)]
        by_bias = np.sum(deltas, axis=0)
        by_weight = sum(np.outer(delta, z[l - 1]) for delta, z in zip(deltas, inputs, strict=True))
        assert_allclose(intercept_grads[l - 1], by_bias, rtol=1e-9, atol=1e-12)
        assert_allclose(coef_grads[l - 1].T, by_weight, rtol=1e-9, atol=1e-12)


def test_the_slope_of_relu_at_zero_is_zero():
    problem = make_problem("binary", (4, 3))
    for coef, intercept in zip(problem.coefs[:-1], problem.intercepts[:-1], strict=True):
        coef[:, 0] = 0.0  # unit 0 of every hidden layer sits exactly at zero, for every row
        intercept[0] = 0.0
    _, (coef_grads, intercept_grads) = run_passes(problem, np.ones((len(problem.X), 1)))
    for coef_grad, intercept_grad in zip(coef_grads[:-1], intercept_grads[:-1], strict=True):
        assert_array_equal(coef_grad[:, 0], 0.0)
        assert intercept_grad[0] == 0.0
    assert np.abs(coef_grads[0]).max() > 0


def test_flat_vector_and_parts_are_views_of_each_other():
    network = Network((3, 4, 2))
    parameters = np.arange(network.n_parameters, dtype=float)
    coefs, intercepts = network.split(parameters)
    assert [coef.shape for coef in coefs] == [(3, 4), (4, 2)]
    assert [intercept.shape for intercept in intercepts] == [(4,), (2,)]
    assert_array_equal(network.join(coefs, intercepts), parameters)
    coefs[1][0, 0] = -1.0
    assert -1.0 in parameters


def test_a_smaller_block_uses_the_same_arrays():
    network = Network((2, 3, 1))
    workspace = Workspace(network, 10, np.dtype(float))
    part = workspace.part(4)
    assert part is workspace.part(4)
    assert workspace.part(10) is workspace
    assert all(np.shares_memory(a, b) for a, b in zip(part.inputs, workspace.inputs, strict=True))
    assert [z.shape for z in part.inputs] == [(4, 3), (4, 4)]


def test_starting_weights():
    network = Network((50, 40, 1))
    parameters = network.initial_parameters(np.random.RandomState(0))
    assert_array_equal(parameters, network.initial_parameters(np.random.RandomState(0)))
    bounds = [np.sqrt(6 / 90), np.sqrt(6 / 41)]
    for layer, bound in zip(network.layers(parameters), bounds, strict=True):
        assert 0.9 * bound < np.abs(layer).max() <= bound
    assert not Network((50, 1)).initial_parameters(np.random.RandomState(0)).any()
