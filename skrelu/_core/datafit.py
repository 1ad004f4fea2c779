"""The data term: a sum over row blocks, divided by the total weight.

    C(theta) / S = 1/S sum_i s_i loss(f(x_i), y_i),    S = sum_i s_i

Only this file uses both the network and the loss. It contains no penalty. For rows on a cluster or on a GPU one would
write another class with the same methods, and the files above this one would not change.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, Inputs, Parameters, Rows
from skrelu._core.blocks import RowBlocks, choose_block_rows
from skrelu._core.losses import Loss
from skrelu._core.network import Network, Workspace, trace_rows
from skrelu._core.standardization import Standardization
from skrelu._core.terms import PrioritySample, Terms
from skrelu._core.threads import Team

_MAX_RING_VALUES = 2**18  # of all gradients in the ring

# Of a mean from 0, in deviations. Beyond, scores of rows that are not centred would lose too many digits.
_MAX_DISTANCE = {"float64": 2.0**10, "float32": 2.0**3}


class Datafit:
    """C / S as a function of the flat parameter vector.

    Parameters
    ----------
    network : Network
    loss : Loss
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float32 is computed in float32, any other type in float64. The sum over the blocks is always in float64.
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        As the loss encodes them.
    team : Team
        The threads that compute the blocks.
    sample_weight : ndarray of shape (n_samples,) or None
        The weights s_i over `weight_unit`: finite, not negative, not all zero.
    weight_unit : float
        The unit of `sample_weight`. All results of this class are in the unit of s_i.
    selection : ndarray of int or None
        The numbers of the rows to use; None means all.
    standardization : Standardization or None
        If given, the network is that for standardised columns: the parameters of its first layer, their gradient, and
        the rows that are taken or drawn have these units.

    Attributes
    ----------
    n_rows : int
        The number of rows used.
    total_weight : float
        S; infinite if the sum overflows.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        X: Rows,
        targets: Array,
        *,
        team: Team,
        sample_weight: Array | None = None,
        weight_unit: float = 1.0,
        selection: Array | None = None,
        standardization: Standardization | None = None,
    ) -> None:
        if selection is not None:
            targets = targets[selection]
            sample_weight = None if sample_weight is None else sample_weight[selection]
        self.network = network
        self.loss = loss
        self._team = team
        self._targets = targets
        self._unit = weight_unit
        self._weights: Array | None = None
        self._sum = self._total = float(len(targets))
        if sample_weight is not None:
            # Divided by the largest weight, so that neither the sum nor a weighted slope overflows.
            largest = sample_weight.max()
            self._weights = sample_weight / largest
            self._sum = float(self._weights.sum())
            self._total = float(largest) * self._sum
        self.total_weight = self._unit * self._total
        self.dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        self._standardization = self._of_blocks = standardization
        max_rows = choose_block_rows(network.layer_sizes, X, len(targets))
        center = factor = None
        if standardization is not None and not sparse.issparse(X):
            if max_rows >= len(targets):  # a single block, which is loaded once
                center, factor, self._of_blocks = standardization.center, standardization.factor, None
            elif standardization.distance > _MAX_DISTANCE[self.dtype.name]:
                center, self._of_blocks = standardization.center, standardization.without_center()
        self._blocks = RowBlocks(X, max_rows=max_rows, selection=selection, center=center, factor=factor)
        self.n_rows = self._blocks.n_rows
        self._workspaces = [
            Workspace(network, self._blocks.max_rows, self.dtype, copies_rows=not self._blocks.is_sparse)
            for _ in range(min(team.n_threads, len(self._blocks)))
        ]
        flats = [np.empty(network.n_parameters, self.dtype) for _ in range(self._count_places())]
        self._ring = [(flat, network.layers(flat)) for flat in flats]  # gradients of blocks that are not merged yet

    def _count_places(self) -> int:
        """Return the number of gradients to hold: one for each block if they are small, else two or more per thread."""
        n_members = len(self._workspaces)
        if n_members == 1:
            return 1
        return min(len(self._blocks), max(2 * n_members, _MAX_RING_VALUES // self.network.n_parameters))

    @property
    def precision(self) -> float:
        """The smallest change of the value that is not due to rounding.

        The loss of a row is rounded to about the epsilon of the dtype. The sum is taken in float64, and most of these
        errors average out: docs/decisions/0002 has the measurements.
        """
        return float(np.finfo(self.dtype.type).eps) / 16

    def over_total_weight(self, figures: Array) -> Array:
        """Return figures divided by S, correct even if S itself overflows."""
        return figures / self._unit / self._total

    def value_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return C / S and its gradient in float64. Both may be infinite or NaN if scores overflow."""
        gradient = np.zeros(self.network.n_parameters)
        losses = [0.0] * len(self._blocks)
        layers = self._layers(parameters)

        def compute(member: int, block: int) -> None:
            rows, workspace, losses[block] = self._block_loss(layers, member, block)
            _, gradients = self._ring[block % len(self._ring)]
            self.network.backward(layers, rows, workspace, workspace.scores, gradients)

        def merge(block: int) -> None:
            flat, _ = self._ring[block % len(self._ring)]
            np.add(gradient, flat, out=gradient)

        self._team.each_block(len(self._blocks), compute, merge, n_ahead=len(self._ring))
        gradient /= self._sum
        if self._of_blocks is not None:
            self._of_blocks.pull_back(self.network.layers(gradient)[0])
        return sum(losses) / self._sum, gradient

    def value(self, parameters: Parameters) -> float:
        """Return C / S without its gradient: this takes a forward pass only."""
        losses = [0.0] * len(self._blocks)
        layers = self._layers(parameters)

        def compute(member: int, block: int) -> None:
            _, _, losses[block] = self._block_loss(layers, member, block)

        self._team.each_block(len(self._blocks), compute)
        return sum(losses) / self._sum

    def take(self, numbers: Array) -> tuple[Inputs, Array, Array]:
        """Return a few rows in float64, their targets and their weights s_i."""
        relative = np.ones(len(numbers)) if self._weights is None else self._weights[numbers]
        rows = self._blocks.take(numbers)
        if self._standardization is not None:
            rows = self._standardization.rows(rows)
        return rows, self._targets[numbers], relative * (self._total / self._sum) * self._unit

    def sample_rows(self, parameters: Parameters, n_rows: int, seed: int) -> tuple[Array, Array, float]:
        """Draw rows; the larger the root of s_i sum_k |dC_i/df_ik|, the more probably.

        So rows that the model is less certain of are drawn more often. The same seed gives the same random numbers at
        every point.

        Returns
        -------
        numbers : ndarray of shape (n_rows,)
            In ascending order. They are fewer than `n_rows` if fewer rows have a slope.
        inclusion : ndarray of shape (n_rows,)
            The probabilities of having been drawn.
        loss : float
            C / S of all rows.
        """
        layers = self._layers(parameters)
        losses = [0.0] * len(self._blocks)

        def weigh(member: int, block: int) -> Array:
            _, workspace, losses[block] = self._block_loss(layers, member, block)
            return np.sqrt(np.abs(workspace.scores).sum(axis=1, dtype=np.float64))

        numbers, inclusion = self._sample(n_rows, seed, weigh)
        return numbers, inclusion, sum(losses) / self._sum

    def sample_terms(self, parameters: Parameters, n_terms: int, seed: int) -> Terms:
        """Return all terms of the curvature if they are at most `n_terms`; otherwise draw `n_terms` of them.

        The larger its squared norm s_i ||l_ik||^2 (1 + ||z_{i,L-1}||^2), the more probably a term is drawn. This is the
        norm of the term's part for the last layer, which takes one forward pass. The same seed gives the same random
        numbers at every point.
        """
        layers = self._layers(parameters)

        def weigh(member: int, block: int) -> Array:
            _, rows, workspace, weights = self._forward(layers, member, block)
            norms = self.loss.root_squared_norms(workspace.scores).astype(np.float64)
            norms *= self._squared_norms(rows if len(layers) == 1 else workspace.inputs[-1])[:, np.newaxis]
            if weights is not None:
                norms *= weights[:, np.newaxis]
            return norms.ravel()

        numbers, inclusion = self._sample(n_terms, seed, weigh)
        samples, outputs = np.divmod(numbers, self.network.layer_sizes[-1])
        X, _, weights = self.take(samples)
        _, scores = trace_rows(self.network.layers(parameters), X)
        slopes = self.loss.root_columns(scores, outputs) * np.sqrt(weights / inclusion)[:, np.newaxis]
        return Terms(X, slopes, inclusion, numbers)

    def _sample(self, n_items: int, seed: int, weigh: Callable[[int, int], Array]) -> tuple[Array, Array]:
        """Draw items by `PrioritySample`. `weigh` takes a thread's number and a block's and returns its items' weights.

        Every block has the same number of items for each row.
        """
        sample = PrioritySample(n_items)
        chosen: dict[int, tuple[Array, Array, Array]] = {}

        def compute(member: int, block: int) -> None:
            weights = weigh(member, block)
            where = self._blocks.place(block)
            first = where.start * (len(weights) // (where.stop - where.start))
            numbers = np.arange(first, first + len(weights))
            chosen[block] = sample.choose(numbers, weights, np.random.default_rng((seed, block)))

        def merge(block: int) -> None:
            sample.add(chosen.pop(block))

        self._team.each_block(len(self._blocks), compute, merge, n_ahead=len(self._ring))
        return sample.result()

    def _block_loss(self, layers: list[Array], member: int, block: int) -> tuple[Rows, Workspace, float]:
        """Run the forward pass, and overwrite the workspace's scores with the slopes of the loss."""
        where, rows, workspace, weights = self._forward(layers, member, block)
        return rows, workspace, self.loss.value_and_slopes(workspace.scores, self._targets[where], weights)

    def _layers(self, parameters: Parameters) -> list[Array]:
        """Return the layers for the rows of the blocks, in their dtype."""
        layers = self.network.layers(parameters.astype(self.dtype, copy=False))
        if self._of_blocks is not None:
            layers[0] = self._of_blocks.to_given(self.network.layers(parameters)[0]).astype(self.dtype, copy=False)
        return layers

    def _forward(self, layers: list[Array], member: int, block: int) -> tuple[slice, Rows, Workspace, Array | None]:
        """Compute the scores of a block; return its positions, its rows, the workspace and its relative weights."""
        where = self._blocks.place(block)
        workspace = self._workspaces[member].part(where.stop - where.start)
        rows = self._blocks.load(block, workspace.inputs[0])
        self.network.forward(layers, rows, workspace)
        return where, rows, workspace, None if self._weights is None else self._weights[where]

    def _squared_norms(self, rows: Rows) -> Array:
        """Return ||(z, 1)||^2 of the inputs of the last layer; dense rows have a column of ones already."""
        if not self.network.has_hidden_layers and self._of_blocks is not None:
            if sparse.issparse(rows):
                return 1 + self._of_blocks.squared_norms(rows)
            rows = rows.copy()
            np.subtract(rows[:, :-1], self._of_blocks.center, out=rows[:, :-1], casting="same_kind")
            np.multiply(rows[:, :-1], self._of_blocks.factor, out=rows[:, :-1], casting="same_kind")
        if sparse.issparse(rows):
            return 1 + np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
        return np.einsum("ij,ij->i", rows, rows)
