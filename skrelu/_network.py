"""The ReLU network: layer sizes, one flat parameter vector, and the two passes over a block of rows.

With z_0 = x and z_l = relu(W_l z_{l-1} + b_l), the score is f = W_L z_{L-1} + b_L. Layer l is ONE matrix
A_l = [W_l | b_l]^T of shape (n_l + 1, m_l) acting on (z_{l-1}, 1); the flat vector holds A_1, ..., A_L one after the
other, each in C order, so `coefs_[l - 1]` is all its rows but the last and `intercepts_[l - 1]` is the last one.

Only the slope of the loss is missing here: `Network.backward` gets it as r = dC/df from outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse

from skrelu._typing import Array, Parameters, Rows


class Workspace:
    """The arrays that one pass over a block of at most `max_rows` rows needs, made once and used for every block.

    Attributes
    ----------
    inputs : list of ndarray of shape (n_rows, n_l + 1)
        (z_{l-1}, 1) for l = 1..L. The column of ones is written when the workspace is made and survives every pass.
        For sparse blocks, which are multiplied as they are, `inputs[0]` has no columns.
    deltas : list of ndarray of shape (n_rows, n_l + 1)
        r P_l(x) for the layer below, with a column for the bias that is computed and not used; `deltas[0]` has no
        columns.
    scores : ndarray of shape (n_rows, n_outputs)
    gradient : list of ndarray of shape (n_l + 1, m_l)
        Views of `flat_gradient`, which every block overwrites.
    """

    def __init__(self, network: "Network", max_rows: int, dtype: np.dtype, *, sparse_rows: bool) -> None:
        widths = network.layer_sizes[:-1]
        self.inputs: list[Array] = [np.ones((max_rows, width + 1), dtype=dtype) for width in widths]
        self.deltas: list[Array] = [np.empty((max_rows, width + 1), dtype=dtype) for width in widths]
        if sparse_rows:
            self.inputs[0] = np.empty((max_rows, 0), dtype=dtype)
        self.deltas[0] = np.empty((max_rows, 0), dtype=dtype)
        self.scores: Array = np.empty((max_rows, network.layer_sizes[-1]), dtype=dtype)
        self.flat_gradient: Array = np.empty(network.n_parameters, dtype=dtype)
        self.gradient = network.layers(self.flat_gradient)
        self._views = {max_rows: self}

    def rows(self, n_rows: int) -> "Workspace":
        """Return the first `n_rows` rows of this workspace as a workspace of their own."""
        if n_rows not in self._views:
            view = object.__new__(Workspace)
            view.inputs = [array[:n_rows] for array in self.inputs]
            view.deltas = [array[:n_rows] for array in self.deltas]
            view.scores = self.scores[:n_rows]
            view.flat_gradient = self.flat_gradient
            view.gradient = self.gradient
            self._views[n_rows] = view
        return self._views[n_rows]


@dataclass(frozen=True)
class Network:
    """A fully connected ReLU network with a linear output.

    Parameters
    ----------
    layer_sizes : tuple of int
        (n_features, *hidden_layer_sizes, n_outputs): L + 1 sizes for L affine layers.
    """

    layer_sizes: tuple[int, ...]

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """The shapes (n_l + 1, m_l) of A_1, ..., A_L."""
        return [(n_in + 1, n_out) for n_in, n_out in pairwise(self.layer_sizes)]

    @cached_property
    def n_parameters(self) -> int:
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    def has_hidden_layers(self) -> bool:
        return len(self.layer_sizes) > 2

    def layers(self, parameters: Array) -> list[Array]:
        """Return A_1, ..., A_L as views of the flat vector."""
        ends = np.cumsum([0] + [rows * columns for rows, columns in self.shapes])
        return [
            parameters[start:end].reshape(shape)
            for (start, end), shape in zip(pairwise(ends), self.shapes, strict=True)
        ]

    def split(self, parameters: Array) -> tuple[list[Array], list[Array]]:
        """Return (coefs, intercepts) as views: coefs[l] of shape (n_l, m_l), intercepts[l] of shape (m_l,)."""
        layers = self.layers(parameters)
        return [layer[:-1] for layer in layers], [layer[-1] for layer in layers]

    @staticmethod
    def join(coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
        """Return the flat vector of `split`'s parts."""
        return np.concatenate(
            [np.vstack([coef, intercept]).ravel() for coef, intercept in zip(coefs, intercepts, strict=True)]
        )

    def initial_parameters(self, random_state: np.random.RandomState) -> Parameters:
        """Draw starting weights and biases; zeros without a hidden layer, where the objective is convex.

        Uniform in +-sqrt(6 / (n_l + m_l)), the choice of Glorot and Bengio, 'Understanding the difficulty of training
        deep feedforward neural networks', AISTATS 2010, which MLPClassifier makes too.
        """
        parameters = np.zeros(self.n_parameters)
        if self.has_hidden_layers:
            for layer, sizes in zip(self.layers(parameters), pairwise(self.layer_sizes), strict=True):
                bound = np.sqrt(6 / sum(sizes))
                layer[...] = random_state.uniform(-bound, bound, layer.shape)
        return parameters

    def forward(self, layers: Sequence[Array], block: Rows, workspace: Workspace) -> Array:
        """Compute the scores of a block of rows, leaving (z_l, 1) of every layer in the workspace.

        Parameters
        ----------
        layers : sequence of ndarray of shape (n_l + 1, m_l)
            In the workspace's dtype.
        block : {ndarray of shape (n_rows, n_features + 1), CSR matrix of shape (n_rows, n_features)}
            (x, 1) in `workspace.inputs[0]`, or x if it is sparse.
        workspace : Workspace of n_rows rows

        Returns
        -------
        scores : ndarray of shape (n_rows, n_outputs)
            `workspace.scores`.
        """
        inputs = workspace.inputs
        outputs = [z[:, :-1] for z in inputs[1:]] + [workspace.scores]
        for l, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
            if l > 0:
                np.maximum(inputs[l], 0, out=inputs[l])  # relu; max(1, 0) leaves the ones alone
                np.matmul(inputs[l], layer, out=output)
            elif sparse.issparse(block):
                np.add(block @ layer[:-1], layer[-1], out=output)
            else:
                np.matmul(block, layer, out=output)
        return workspace.scores

    def backward(self, layers: Sequence[Array], block: Rows, workspace: Workspace, slopes: Array) -> None:
        """Compute the gradient of the block's loss into `workspace.gradient`, after `forward` on the same block.

        delta_l, one row per sample, is r P_l(x): delta_L = r, and delta_{l-1} = (delta_l W_l) diag(pos(z_{l-1})).
        With it equations (a) and (b) are one product per layer, over all samples of the block:
        [grad W_l | grad b_l]^T = (z_{l-1}, 1)^T delta_l.
        """
        inputs, delta = workspace.inputs, slopes
        for l in range(len(layers) - 1, -1, -1):
            gradient = workspace.gradient[l]
            if l == 0 and sparse.issparse(block):
                gradient[:-1] = block.T @ delta
                np.sum(delta, axis=0, out=gradient[-1])
                return
            np.matmul(inputs[l].T, delta, out=gradient)
            if l > 0:
                np.sign(inputs[l], out=inputs[l])  # pos(z), which is 0 at 0; z itself is no longer needed
                np.matmul(delta, layers[l].T, out=workspace.deltas[l])
                workspace.deltas[l] *= inputs[l]
                delta = workspace.deltas[l][:, :-1]
