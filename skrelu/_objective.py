"""The objective and its gradient: a sum over row blocks, divided by the total weight, plus the penalty.

    F(theta) / S = 1/S sum_i s_i loss(f(x_i), y_i) + alpha / (2 S) sum_l ||W_l||_F^2,    S = sum_i s_i

This is the one place where the network and the loss meet.
"""

from collections.abc import Sequence
from copy import copy

import numpy as np
from scipy import sparse

from skrelu._blocks import RowBlocks, choose_block_rows
from skrelu._loss import Loss
from skrelu._network import Network, Workspace, score_rows, trace_rows
from skrelu._penalty import Penalty
from skrelu._terms import PrioritySample, Terms
from skrelu._threads import Team, count_threads
from skrelu._typing import Array, Parameters, Rows


class Objective:
    """F / S as a function of the flat parameter vector.

    Parameters
    ----------
    network : Network
    loss : Loss
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        float32 is computed in float32, anything else in float64; blocks are summed in float64 either way.
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        As the loss encodes them.
    team : Team
        Who computes the blocks.
    sample_weight : ndarray of shape (n_samples,) or None
        Finite, not negative, not all zero.
    alpha : float or ndarray of shape (n_parameters,)
        The penalty of all weights, or of each parameter.
    selection : ndarray of int or None
        The rows to use, all if None.
    """

    @np.errstate(all="ignore")
    def __init__(
        self,
        network: Network,
        loss: Loss,
        X: Rows,
        targets: Array,
        *,
        team: Team,
        sample_weight: Array | None = None,
        alpha: float | Parameters = 0.0,
        selection: Array | None = None,
    ) -> None:
        if selection is not None:
            targets = targets[selection]
            sample_weight = None if sample_weight is None else sample_weight[selection]
        self.network = network
        self.loss = loss
        self.team = team
        self.targets = targets
        if sample_weight is None:
            self.sample_weight = None
            self._sum = float(len(targets))
            self.total_weight = self._sum
        else:
            # Relative to the largest one, so that neither the sum nor a weighted slope overflows.
            largest = sample_weight.max()
            self.sample_weight = sample_weight / largest
            self._sum = float(self.sample_weight.sum())
            self.total_weight = float(largest) * self._sum
        self._decay: Array | None = None
        if not isinstance(alpha, float):
            self._decay = alpha / self.total_weight
        elif alpha:
            self._decay = Penalty(network, "shared").per_parameter(np.array([alpha])) / self.total_weight
        self.dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
        max_rows = choose_block_rows(network.layer_sizes, X, len(targets))
        self._blocks = RowBlocks(X, max_rows=max_rows, selection=selection)
        self._workspaces = _workspaces(network, self._blocks, self.dtype, team)

    @property
    def n_rows(self) -> int:
        return self._blocks.n_rows

    def take(self, numbers: Array) -> tuple[Rows, Array, Array]:
        """Return a few rows in float64, their targets and their weights."""
        # In the units of `total_weight`, which alpha is weighed against.
        weights = np.ones(len(numbers)) if self.sample_weight is None else self.sample_weight[numbers]
        return self._blocks.take(numbers), self.targets[numbers], weights * (self.total_weight / self._sum)

    def with_alpha(self, alpha: Parameters) -> "Objective":
        """Return the same sum over the same blocks, in the same workspaces, with another penalty of each parameter."""
        other = copy(self)
        other._decay = alpha / self.total_weight
        return other

    @property
    def precision(self) -> float:
        """The least fall of the value that is told from noise.

        A row's loss is rounded to about the epsilon of the dtype, but the sum is taken in float64 and most of that
        averages out: docs/decisions/0002 has the measurements.
        """
        return float(np.finfo(self.dtype.type).eps) / 16

    @np.errstate(all="ignore")
    def __call__(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return F / S and its gradient, both in float64; either may be infinite or NaN where scores overflow."""
        gradient = np.zeros(self.network.n_parameters)
        losses = [0.0] * len(self._blocks)
        layers = self.network.layers(parameters.astype(self.dtype, copy=False))

        def compute(member: int, block: int) -> None:
            rows, workspace, losses[block] = self._block_loss(layers, member, block)
            self.network.backward(layers, rows, workspace, workspace.scores)

        def merge(member: int, block: int) -> None:
            np.add(gradient, self._workspaces[member].flat_gradient, out=gradient)

        self.team.each_block(len(self._blocks), compute, merge)
        gradient /= self._sum
        value = sum(losses) / self._sum
        if self._decay is not None:
            pull = self._decay * parameters
            gradient += pull
            value += 0.5 * float(pull @ parameters)
        return value, gradient

    def value(self, parameters: Parameters) -> float:
        """Return F / S alone, for the price of a forward pass."""
        value = self.mean_loss(parameters)
        return value if self._decay is None else value + 0.5 * float(self._decay * parameters @ parameters)

    @np.errstate(all="ignore")
    def mean_loss(self, parameters: Parameters) -> float:
        """Return the weighted mean of the losses, without the penalty."""
        losses = [0.0] * len(self._blocks)
        layers = self.network.layers(parameters.astype(self.dtype, copy=False))

        def compute(member: int, block: int) -> None:
            _, _, losses[block] = self._block_loss(layers, member, block)

        self.team.each_block(len(self._blocks), compute, _nothing)
        return sum(losses) / self._sum

    @np.errstate(all="ignore")
    def sample_terms(self, parameters: Parameters, n_terms: int, seed: int, weight_scale: float = 1.0) -> Terms:
        """Return all terms of the curvature if they are at most `n_terms`, else that many, drawn by squared length.

        The length of a term (i, k) is that of its derivative by the last layer, s_i ||l_ik||^2 (1 + ||z_{i,L-1}||^2),
        which one forward pass tells. The same seed draws from the same random numbers at every point. The slopes are
        those for weights over `weight_scale`.
        """
        layers = self.network.layers(parameters.astype(self.dtype, copy=False))
        n_outputs = self.network.layer_sizes[-1]
        sample = PrioritySample(n_terms)
        chosen: dict[int, tuple[Array, Array, Array]] = {}

        def compute(member: int, block: int) -> None:
            where, rows, workspace, weights = self._forward(layers, member, block)
            lengths = self.loss.curvature_lengths(workspace.scores).astype(np.float64)
            last = rows if len(layers) == 1 else workspace.inputs[-1]
            lengths *= _squared_lengths(last)[:, np.newaxis]
            if weights is not None:
                lengths *= weights[:, np.newaxis]
            numbers = np.arange(where.start * n_outputs, where.stop * n_outputs)
            chosen[block] = sample.choose(numbers, lengths.ravel(), np.random.default_rng((seed, block)))

        def merge(member: int, block: int) -> None:
            sample.add(chosen.pop(block))

        self.team.each_block(len(self._blocks), compute, merge)
        numbers, inclusion = sample.result()
        rows, outputs = np.divmod(numbers, n_outputs)
        X, _, weights = self.take(rows)
        _, scores = trace_rows(self.network.layers(parameters), X)
        slopes = (
            self.loss.curvature_columns(scores, outputs) * np.sqrt(weights / weight_scale / inclusion)[:, np.newaxis]
        )
        return Terms(X, slopes, inclusion, numbers)

    def _block_loss(self, layers: list[Array], member: int, block: int) -> tuple[Rows, Workspace, float]:
        """Run the forward pass; leave the slopes of the loss in the scores of the workspace."""
        where, rows, workspace, weights = self._forward(layers, member, block)
        return rows, workspace, self.loss.value_and_slopes(workspace.scores, self.targets[where], weights)

    def _forward(self, layers: list[Array], member: int, block: int) -> tuple[slice, Rows, Workspace, Array | None]:
        """Compute the scores of a block; return its place, its rows, the workspace and its weights."""
        where = self._blocks.rows(block)
        workspace = self._workspaces[member].rows(where.stop - where.start)
        rows = self._blocks.load(block, workspace.inputs[0])
        self.network.forward(layers, rows, workspace)
        return where, rows, workspace, None if self.sample_weight is None else self.sample_weight[where]


def _squared_lengths(rows: Rows) -> Array:
    """Return ||(z, 1)||^2 of each row; dense rows hold the one."""
    if sparse.issparse(rows):
        return 1 + np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


# Products of fewer multiply-adds are done by one thread of BLAS anyway, so it need not be held to one.
_SERIAL_WORK = 8192
_FEW_ROWS = 16  # for which copying the weights into one vector would cost more than the products


@np.errstate(all="ignore")
def compute_scores(coefs: Sequence[Array], intercepts: Sequence[Array], X: Rows, n_jobs: int | None) -> Array:
    """Return the scores of all rows of X, of shape (n_samples, n_outputs), in the wider dtype of X and weights."""
    if X.shape[0] * max(coef.size for coef in coefs) < _SERIAL_WORK:
        return score_rows(coefs, intercepts, X)
    if X.shape[0] <= _FEW_ROWS:
        with Team(1):
            return score_rows(coefs, intercepts, X)
    network, parameters = Network.of(coefs), Network.join(coefs, intercepts)
    dtype = np.result_type(X.dtype, parameters.dtype)
    layers = network.layers(parameters.astype(dtype, copy=False))
    blocks = RowBlocks(X, max_rows=choose_block_rows(network.layer_sizes, X, X.shape[0]))
    scores = np.empty((X.shape[0], network.layer_sizes[-1]), dtype=dtype)
    with Team(count_threads(n_jobs)) as team:
        workspaces = _workspaces(network, blocks, dtype, team, forward_only=True)

        def compute(member: int, block: int) -> None:
            where = blocks.rows(block)
            workspace = workspaces[member].rows(where.stop - where.start)
            scores[where] = network.forward(layers, blocks.load(block, workspace.inputs[0]), workspace)

        team.each_block(len(blocks), compute, _nothing)
    return scores


def _workspaces(
    network: Network, blocks: RowBlocks, dtype: np.dtype, team: Team, *, forward_only: bool = False
) -> list[Workspace]:
    return [
        Workspace(
            network,
            blocks.max_rows,
            dtype,
            copies_rows=not blocks.is_sparse,
            forward_only=forward_only,
        )
        for _ in range(min(team.n_threads, len(blocks)))
    ]


def _nothing(member: int, block: int) -> None:
    """Merge nothing: the block's result already lies where it belongs."""
