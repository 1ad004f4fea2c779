"""The scores of new rows, for the methods of prediction."""

from collections.abc import Sequence

import numpy as np

from skrelu._core.arrays import Array, Rows
from skrelu._core.blocks import RowBlocks, choose_block_rows
from skrelu._core.network import Network, Workspace, score_rows
from skrelu._core.threads import Team, count_threads

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
        workspaces = [
            Workspace(network, blocks.max_rows, dtype, copies_rows=not blocks.is_sparse, forward_only=True)
            for _ in range(min(team.n_threads, len(blocks)))
        ]

        def compute(member: int, block: int) -> None:
            where = blocks.rows(block)
            workspace = workspaces[member].rows(where.stop - where.start)
            scores[where] = network.forward(layers, blocks.load(block, workspace.inputs[0]), workspace)

        team.each_block(len(blocks), compute)
    return scores
