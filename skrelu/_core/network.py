"""The ReLU network: layer sizes, one flat parameter vector, and the two passes over a block of rows.

With z_0 = x and z_l = relu(W_l z_{l-1} + b_l), the score is f = W_L z_{L-1} + b_L. Layer l is ONE matrix
A_l = [W_l | b_l]^T of shape (n_l + 1, m_l) that multiplies (z_{l-1}, 1). `intercepts_[l - 1]` is the last row of A_l,
`coefs_[l - 1]` all other rows. The flat vector holds A_1, ..., A_L one after the other, each in C order.

The loss is not defined here: `Network.backward` takes its slope r = dC/df as an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.sparse import issparse

from skrelu._core.arrays import Array, Inputs, Parameters, Rows


class Workspace:
    """The arrays for the passes over a block of at most `max_rows` rows, allocated once and used for every block.

    Without `copies_rows` there is no array for the inputs of the first layer, with `forward_only` none for the backward
    pass.

    Attributes
    ----------
    inputs : list of ndarray of shape (n_rows, n_l + 1)
        (z_{l-1}, 1) for l = 1..L. The column of ones is written once, and no pass changes it. Without `copies_rows`,
        `inputs[0]` has no columns.
    outputs : list of ndarray of shape (n_rows, m_l)
        The arrays that the layers write: views of `inputs`, and `scores`.
    deltas, is_active : list of ndarray of shape (n_rows, n_l + 1)
        The deltas of the layer below layer l, and pos(z) of its outputs. The last column belongs to the bias; it is
        computed and not used. The first arrays have no columns.
    zeros : list of ndarray of shape (n_rows, n_l + 1)
    scores : ndarray of shape (n_rows, n_outputs)
    """

    def __init__(
        self,
        network: "Network",
        max_rows: int,
        dtype: np.dtype,
        *,
        copies_rows: bool = True,
        forward_only: bool = False,
    ) -> None:
        n_features, *hidden, n_outputs = network.layer_sizes
        # There is no delta below layer 1. It needs an array of inputs only if rows are copied beside a column of ones.
        widths = [n_features if copies_rows else -1, *hidden]
        below = [-1, *hidden]
        self.inputs: list[Array] = [np.empty((max_rows, width + 1), dtype=dtype) for width in widths]
        for z in self.inputs:
            z[:, -1:] = 1
        # NumPy compares two arrays several times as fast as an array and a number.
        zeros = np.zeros(max_rows * (max(below) + 1), dtype=dtype)
        self.zeros: list[Array] = [zeros[: max_rows * (width + 1)].reshape(max_rows, width + 1) for width in below]
        self.scores: Array = np.empty((max_rows, n_outputs), dtype=dtype)
        self.outputs = [z[:, :-1] for z in self.inputs[1:]] + [self.scores]
        self._views = {max_rows: self}
        self.deltas: list[Array] = []
        self.is_active: list[Array] = []
        if not forward_only:
            self.deltas = [np.empty((max_rows, width + 1), dtype=dtype) for width in below]
            self.is_active = [np.empty((max_rows, width + 1), dtype=bool) for width in below]

    def part(self, n_rows: int) -> "Workspace":
        """Return a workspace of `n_rows` rows: views of the first rows of this one."""
        if n_rows not in self._views:
            view = object.__new__(Workspace)
            view.inputs = [array[:n_rows] for array in self.inputs]
            view.deltas = [array[:n_rows] for array in self.deltas]
            view.is_active = [array[:n_rows] for array in self.is_active]
            view.zeros = [array[:n_rows] for array in self.zeros]
            view.scores = self.scores[:n_rows]
            view.outputs = [array[:n_rows] for array in self.outputs]
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

    @classmethod
    def of(cls, coefs: Sequence[Array]) -> "Network":
        """Return the network that `coefs_` belong to."""
        return cls((coefs[0].shape[0], *(coef.shape[1] for coef in coefs)))

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

    @cached_property
    def _places(self) -> list[tuple[slice, tuple[int, int]]]:
        """The slice of each A_l in the flat vector, and its shape."""
        ends = np.cumsum([0] + [rows * columns for rows, columns in self.shapes]).tolist()
        return [(slice(*bounds), shape) for bounds, shape in zip(pairwise(ends), self.shapes, strict=True)]

    def layers(self, parameters: Array) -> list[Array]:
        """Return A_1, ..., A_L as views of the flat vector."""
        return [parameters[place].reshape(shape) for place, shape in self._places]

    def split(self, parameters: Array) -> tuple[list[Array], list[Array]]:
        """Return (coefs, intercepts) as views: coefs[l] of shape (n_l, m_l), intercepts[l] of shape (m_l,)."""
        layers = self.layers(parameters)
        return [layer[:-1] for layer in layers], [layer[-1] for layer in layers]

    @staticmethod
    def join(coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
        """Return the flat vector of coefs and intercepts, the inverse of `split`."""
        return np.concatenate([part.ravel() for pair in zip(coefs, intercepts, strict=True) for part in pair])

    def initial_parameters(self, random_state: np.random.RandomState) -> Parameters:
        """Draw starting weights and biases. Without a hidden layer the objective is convex, and they are zeros.

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
        """Compute the scores of a block of rows; keep (z_l, 1) of every layer in the workspace.

        Parameters
        ----------
        layers : sequence of ndarray of shape (n_l + 1, m_l)
            In the workspace's dtype.
        block : ndarray of shape (n_rows, n_features + 1), or {ndarray, CSR matrix} of shape (n_rows, n_features)
            (x, 1) if it is `workspace.inputs[0]`, otherwise x.
        workspace : Workspace of n_rows rows

        Returns
        -------
        scores : ndarray of shape (n_rows, n_outputs)
            `workspace.scores`.
        """
        inputs = workspace.inputs
        for l, (layer, output) in enumerate(zip(layers, workspace.outputs, strict=True)):
            if l > 0:
                np.maximum(inputs[l], workspace.zeros[l], out=inputs[l])  # relu; it does not change the column of ones
                np.matmul(inputs[l], layer, out=output)
            elif block is inputs[0]:
                np.matmul(block, layer, out=output)
            else:
                np.add(block @ layer[:-1], layer[-1], out=output)
        return workspace.scores

    def backward(
        self,
        layers: Sequence[Array],
        block: Rows,
        workspace: Workspace,
        slopes: Array,
        gradients: Sequence[Array],
    ) -> None:
        """Write the gradient of the block's loss into `gradients`, arrays of the shapes of `layers`.

        `forward` must have been called for the same block. delta_l = r P_l(x) has one row for each row of the block:
        delta_L = r, and delta_{l-1} = (delta_l W_l) diag(pos(z_{l-1})). With it equations (a) and (b) are one product
        per layer, over all rows of the block: [grad W_l | grad b_l]^T = (z_{l-1}, 1)^T delta_l.

        For a layer of one unit, such as the output for two classes, delta_l W_l = r w^T: each column is r times a
        number. Then only r diag(pos(z)) is formed. `scale` holds w, and multiplies the columns of the small arrays.
        """
        inputs, delta = workspace.inputs, slopes
        scale: Array | None = None
        for l in range(len(layers) - 1, -1, -1):
            gradient = gradients[l]
            if l == 0 and block is not inputs[0]:
                gradient[:-1] = block.T @ delta
                np.sum(delta, axis=0, out=gradient[-1])
            else:
                np.matmul(inputs[l].T, delta, out=gradient)
            layer = layers[l]
            if scale is not None:
                gradient *= scale
                layer = layer * scale
            if l > 0:
                is_active, below = workspace.is_active[l], workspace.deltas[l]
                np.greater(inputs[l], workspace.zeros[l], out=is_active)  # pos(z), which is 0 at 0
                if layer.shape[1] == 1:
                    np.multiply(is_active, delta, out=below)
                    scale = layer[:-1, 0]
                else:
                    np.matmul(delta, layer.T, out=below)
                    below *= is_active
                    scale = None
                delta = below[:, :-1]


def trace_rows(layers: Sequence[Array], X: Inputs) -> tuple[list[Inputs], Array]:
    """Return z_0, ..., z_{L-1} and the scores of a few rows, as `Network.forward` but in new arrays."""
    inputs: list[Inputs] = [X]
    for layer in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ layer[:-1] + layer[-1], 0))
    return inputs, inputs[-1] @ layers[-1][:-1] + layers[-1][-1]


def trace_back(layers: Sequence[Array], inputs: Sequence[Inputs], slopes: Array) -> list[Array]:
    """Return delta_1, ..., delta_L, as `Network.backward` does, from the `inputs` that `trace_rows` returned.

    delta_l = r P_l(x). The derivative of r . f with respect to W_l^T is the outer product of z_{l-1} and delta_l. If r
    is a unit vector, this is a row of the Jacobian, which is never formed.
    """
    deltas = [slopes]
    for l in range(len(layers) - 1, 0, -1):
        deltas.append((deltas[-1] @ layers[l][:-1].T) * (inputs[l] > 0))
    return deltas[::-1]


def score_rows(coefs: Sequence[Array], intercepts: Sequence[Array], X: Rows) -> Array:
    """Return the scores of a few rows, as `Network.forward` but without a workspace."""
    z = X if issparse(X) else np.ascontiguousarray(X)  # the last bits of a product depend on the order in memory
    for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
        z = z @ coef
        z += intercept
        np.maximum(z, 0, out=z)
    return z @ coefs[-1] + intercepts[-1]
