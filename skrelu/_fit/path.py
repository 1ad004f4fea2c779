"""A path of fits, one for each penalty, each from the solution of the one before."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array
from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team, count_threads
from skrelu._data.moments import measure_columns
from skrelu._data.order import in_canonical_order, is_small, rank_rows
from skrelu._data.table import Table
from skrelu._fit.callbacks import FitTask
from skrelu._fit.course import Run
from skrelu._fit.descent import Limits
from skrelu._fit.outcome import Outcome
from skrelu._fit.problem import LocalProblem, Problem
from skrelu._fit.search import Search
from skrelu._fit.strategy import FixedAlpha


@dataclass(frozen=True)
class PathTable:
    """A table for paths of fits; its rows are ranked once for all folds and alphas.

    Parameters
    ----------
    table : Table
    network : Network
    ranks : ndarray of shape (n_samples,) or None
        The ranks of the rows of all training sets that are small enough to be put in order.
    standardizes : bool
        Whether each fit standardises the columns by its own training rows.
    """

    table: Table
    network: Network
    ranks: Array | None
    standardizes: bool = False

    @classmethod
    def of(
        cls, table: Table, network: Network, training_sets: list[Array], *, standardizes: bool = False
    ) -> "PathTable":
        """Rank the rows of the whole table and of training sets, given by row numbers, if they are to be ordered."""
        # One at a time: the weights of a training set have an entry for each row of the table.
        numbers = [rows.numbers() for rows in map(table.weighed, [None, *training_sets]) if is_small(rows)]
        ranks = rank_rows(table.weighed(), np.unique(np.concatenate(numbers))) if numbers else None
        return cls(table, network, ranks, standardizes)

    def problem(self, numbers: Array | None = None) -> Problem:
        """Return the problem of the rows of these numbers; None means all rows."""
        training = in_canonical_order(self.table.weighed(numbers), merge=True, ranks=self.ranks)
        standardization = None
        if self.standardizes:
            class_weights = self.table.relative_class_weights(training)
            standardization = measure_columns(training, class_weights, count_threads(None))
        return LocalProblem(self.network, self.table.labels, standardization, training, None)


def fit_path(
    problem: Problem,
    alphas: Array,
    seed: int,
    limits: Limits,
    *,
    last_task: FitTask | None = None,
    verbose: bool = False,
) -> Iterator[Run]:
    """Fit at each alpha in turn, and yield the runs; the data are cut into blocks once.

    Parameters
    ----------
    problem : Problem
    alphas : ndarray of shape (n_alphas,)
    seed : int
        Determines the start of the first fit.
    limits : Limits
        The limits of each fit.
    last_task : FitTask or None
        The task of the last fit, which callbacks watch. They do not watch the other fits.
    verbose : bool
        Whether the last fit prints a line for each iterate.

    Raises
    ------
    KeyboardInterrupt
        If a fit without a task is interrupted.
    """
    team = Team(count_threads(None))
    datafits, start = None, problem.start(np.random.RandomState(seed))
    for number, alpha in enumerate(alphas):
        task = last_task if number == len(alphas) - 1 else None
        strategy = FixedAlpha(Penalty.of(problem.network, "shared", alpha), None)
        with team:
            datafits = datafits or problem.datafits(team)
            search = Search(
                problem,
                strategy,
                datafits,
                limits,
                task or FitTask.unwatched(),
                verbose=verbose and task is not None,
            )
            run = search.run([start])
        if run.outcome is Outcome.INTERRUPTED and task is None:
            raise KeyboardInterrupt
        yield run
        # In the dtype of the data, as the model is kept.
        start = run.kept.parameters.astype(problem.dtype).astype(np.float64)
