"""The data term of rows in memory or in a file: a sum over row blocks. It may be a part of a larger sum."""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, Inputs, Parameters, Rows
from skrelu._core.blocks import RowBlocks, choose_block_rows
from skrelu._core.data_term import DataTerm
from skrelu._core.losses import Loss
from skrelu._core.network import Network, Workspace
from skrelu._core.standardization import Standardization
from skrelu._core.terms import PrioritySample, RowRandomness
from skrelu._core.threads import Team
from skrelu._core.weights import RelativeWeights

_MAX_RING_VALUES = 2**18  # of all gradients in the ring

# Of a mean from 0, in deviations. Beyond, scores of rows that are not centred would lose too many digits.
_MAX_DISTANCE = {"float64": 2.0**10, "float32": 2.0**3}


class Workspaces:
    """The arrays for the passes over blocks: one workspace for each thread, and a ring of gradients.

    They are kept from one data term to the next if these have the same network, dtype, and kind of rows.
    """

    def __init__(self) -> None:
        self._workspaces: list[Workspace] = []
        self._ring: list[tuple[Array, list[Array]]] = []
        self._max_rows = 0

    def of_blocks(
        self, network: Network, blocks: RowBlocks, dtype: np.dtype, n_threads: int
    ) -> tuple[list[Workspace], list[tuple[Array, list[Array]]]]:
        """Return a workspace for each thread, of the blocks' size at least, and the ring."""
        n_members = min(n_threads, len(blocks))
        if blocks.max_rows > self._max_rows:
            self._workspaces, self._max_rows = [], blocks.max_rows
        while len(self._workspaces) < n_members:
            self._workspaces.append(Workspace(network, self._max_rows, dtype, copies_rows=not blocks.is_sparse))
        # One gradient for each block if they are small, else two or more for each thread.
        n_places = 1
        if n_members > 1:
            n_places = min(len(blocks), max(2 * n_members, _MAX_RING_VALUES // network.n_parameters))
        while len(self._ring) < n_places:
            flat = np.empty(network.n_parameters, dtype)
            self._ring.append((flat, network.layers(flat)))
        return self._workspaces[:n_members], self._ring[:n_places]


class Datafit(DataTerm):
    """C / S as a function of the flat parameter vector, or the part of it that some of the rows add.

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
    weights : RelativeWeights or None
        In place of `sample_weight` and `weight_unit`, the weights of rows that are a part of all rows. Then values and
        gradients are their parts of those of all rows.
    randomness : RowRandomness or None
        The random numbers by which rows and terms are drawn, if these rows are a part of all rows.
    workspaces : Workspaces or None
        Arrays to use; None means new ones.
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
        weights: RelativeWeights | None = None,
        randomness: RowRandomness | None = None,
        workspaces: Workspaces | None = None,
    ) -> None:
        if selection is not None:
            targets = targets[selection]
            sample_weight = None if sample_weight is None else sample_weight[selection]
        if weights is None:
            weights = RelativeWeights.of(sample_weight, len(targets), weight_unit)
        dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        super().__init__(network, loss, weights, dtype, len(targets))
        self._team = team
        self._targets = targets
        self._standardization = self._of_blocks = standardization
        max_rows = choose_block_rows(network.layer_sizes, X, len(targets))
        center = factor = None
        if standardization is not None and not sparse.issparse(X):
            if max_rows >= len(targets):  # a single block, which is loaded once
                center, factor, self._of_blocks = standardization.center, standardization.factor, None
            elif standardization.distance > _MAX_DISTANCE[self.dtype.name]:
                center, self._of_blocks = standardization.center, standardization.without_center()
        self._blocks = RowBlocks(X, max_rows=max_rows, selection=selection, center=center, factor=factor)
        self._randomness = randomness or RowRandomness(self.n_rows, len(self._blocks))
        workspaces = workspaces or Workspaces()
        self._workspaces, self._ring = workspaces.of_blocks(network, self._blocks, self.dtype, team.n_threads)

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
        gradient /= self._weights.sum
        if self._of_blocks is not None:
            self._of_blocks.pull_back(self.network.layers(gradient)[0])
        return sum(losses) / self._weights.sum, gradient

    def value(self, parameters: Parameters) -> float:
        """Return C / S without its gradient: this takes a forward pass only."""
        losses = [0.0] * len(self._blocks)
        layers = self._layers(parameters)

        def compute(member: int, block: int) -> None:
            _, _, losses[block] = self._block_loss(layers, member, block)

        self._team.each_block(len(self._blocks), compute)
        return sum(losses) / self._weights.sum

    def take(self, numbers: Array) -> tuple[Inputs, Array, Array]:
        """Return a few rows in float64, their targets and their weights s_i."""
        rows = self._blocks.take(numbers)
        if self._standardization is not None:
            rows = self._standardization.rows(rows)
        return rows, self._targets[numbers], self._weights.take(numbers)

    def draw_rows(self, parameters: Parameters, n_rows: int, seed: int) -> tuple[PrioritySample, float]:
        """Return the drawn rows of `sample_rows`, and C / S of all rows."""
        layers = self._layers(parameters)
        losses = [0.0] * len(self._blocks)

        def weigh(member: int, block: int) -> Array:
            _, workspace, losses[block] = self._block_loss(layers, member, block)
            return np.sqrt(np.abs(workspace.scores).sum(axis=1, dtype=np.float64))

        return self._sample(n_rows, seed, weigh), sum(losses) / self._weights.sum

    def draw_terms(self, parameters: Parameters, n_terms: int, seed: int) -> PrioritySample:
        """Return the drawn terms of `sample_terms`, by their numbers."""
        layers = self._layers(parameters)

        def weigh(member: int, block: int) -> Array:
            _, rows, workspace, weights = self._forward(layers, member, block)
            norms = self.loss.root_squared_norms(workspace.scores).astype(np.float64)
            norms *= self._squared_norms(rows if len(layers) == 1 else workspace.inputs[-1])[:, np.newaxis]
            if weights is not None:
                norms *= weights[:, np.newaxis]
            return norms.ravel()

        return self._sample(n_terms, seed, weigh)

    def _sample(self, n_items: int, seed: int, weigh: Callable[[int, int], Array]) -> PrioritySample:
        """Draw items by `PrioritySample`. `weigh` takes a thread's number and a block's and returns its items' weights.

        Every block has the same number of items for each row.
        """
        sample = PrioritySample(n_items)
        chosen: dict[int, tuple[Array, Array, Array]] = {}

        def compute(member: int, block: int) -> None:
            weights = weigh(member, block)
            where = self._blocks.place(block)
            n_per_row = len(weights) // (where.stop - where.start)
            numbers = np.arange(where.start * n_per_row, where.stop * n_per_row)
            chosen[block] = sample.choose(numbers, weights, self._randomness.uniforms(seed, where, n_per_row))

        def merge(block: int) -> None:
            sample.add(chosen.pop(block))

        self._team.each_block(len(self._blocks), compute, merge, n_ahead=len(self._ring))
        return sample

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
        weights = self._weights.relative
        return where, rows, workspace, None if weights is None else weights[where]

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
