"""The scores of new rows, for the methods of prediction, and the forward pass over their blocks."""

from collections.abc import Callable, Sequence

import numpy as np

from skrelu._core.arrays import Array, Rows
from skrelu._core.blocks import RowBlocks, choose_block_rows
from skrelu._core.network import Network, Workspace, score_rows
from skrelu._core.threads import Team, count_threads

Keep = Callable[[slice, Workspace], None]

# BLAS computes a product of fewer multiply-adds in one thread anyway, so it need not be held to one thread.
_MIN_THREADED_MULTIPLY_ADDS = 8192
_MAX_ROWS_WITHOUT_BLOCKS = 16  # so few that a copy of the weights into one vector would cost more than the products


@np.errstate(all="ignore")
def compute_scores(coefs: Sequence[Array], intercepts: Sequence[Array], X: Rows, n_jobs: int | None) -> Array:
    """Return the scores of all rows of X, of shape (n_samples, n_outputs), in the wider of the dtypes of X and weights.

    `n_jobs` is the number of threads, as in the estimators.
    """
    if X.shape[0] * max(coef.size for coef in coefs) < _MIN_THREADED_MULTIPLY_ADDS:
        return score_rows(coefs, intercepts, X)
    if X.shape[0] <= _MAX_ROWS_WITHOUT_BLOCKS:
        with Team(1):
            return score_rows(coefs, intercepts, X)
    scores = np.empty((X.shape[0], coefs[-1].shape[1]), dtype=np.result_type(X.dtype, *coefs, *intercepts))

    def keep(where: slice, workspace: Workspace) -> None:
        scores[where] = workspace.scores

    forward_blocks(coefs, intercepts, X, keep, dtype=scores.dtype, n_jobs=n_jobs)
    return scores


def forward_blocks(
    coefs: Sequence[Array], intercepts: Sequence[Array], X: Rows, keep: Keep, *, dtype: np.dtype, n_jobs: int | None
) -> None:
    """Call `keep(where, workspace)` after the forward pass of each block of rows, in several threads.

    `where` are the positions of the block's rows, and `workspace` holds (z_l, 1) of every layer and the scores in
    `dtype`. `n_jobs` is the number of threads, as in the estimators.
    """
    network = Network.of(coefs)
    layers = network.layers(Network.join(coefs, intercepts).astype(dtype, copy=False))
    blocks = RowBlocks(X, max_rows=choose_block_rows(network.layer_sizes, X, X.shape[0]))
    with Team(count_threads(n_jobs)) as team:
        workspaces = [
            Workspace(network, blocks.max_rows, dtype, copies_rows=not blocks.is_sparse, forward_only=True)
            for _ in range(min(team.n_threads, len(blocks)))
        ]

        def compute(member: int, block: int) -> None:
            where = blocks.place(block)
            workspace = workspaces[member].part(where.stop - where.start)
            network.forward(layers, blocks.load(block, workspace.inputs[0]), workspace)
            keep(where, workspace)

        team.each_block(len(blocks), compute)
