"""Fits at one penalty after the other, each begun at the solution of the one before it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skrelu._core.arrays import Array, Rows
from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team, count_threads
from skrelu._data.labels import Labels
from skrelu._data.order import in_canonical_order, is_small, rank_rows
from skrelu._data.rows import WeightedRows, class_factors, weigh_rows
from skrelu._fit.callbacks import FitTask
from skrelu._fit.course import Run
from skrelu._fit.descent import Limits
from skrelu._fit.outcome import Outcome
from skrelu._fit.problem import Problem
from skrelu._fit.search import Search
from skrelu._fit.strategy import FixedAlpha


@dataclass(frozen=True)
class PathTable:
    """A table on which paths are fitted: checked, labelled and ranked once for all folds and alphas.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
    network : Network
    labels : Labels
    targets : ndarray
        As `labels` encodes them.
    sample_weight : ndarray of shape (n_samples,) or None
    class_weight : dict, 'balanced' or None
    ranks : ndarray of shape (n_samples,) or None
        Those of the rows of all folds that are small enough to be put in order.
    """

    X: Rows
    network: Network
    labels: Labels
    targets: Array
    sample_weight: Array | None
    class_weight: Any
    ranks: Array | None = None

    def ranked(self, training_sets: list[Array | None]) -> "PathTable":
        """Return the table with the ranks that these training sets need."""
        tables = [self._weighed(training_set) for training_set in training_sets]
        numbers = [table.numbers() for table in tables if is_small(table)]
        return replace(self, ranks=rank_rows(tables[0], np.unique(np.concatenate(numbers)))) if numbers else self

    def problem(self, numbers: Array | None) -> Problem:
        """Return the problem of the rows of these numbers, or of all; a number that comes twice counts twice."""
        training = in_canonical_order(self._weighed(numbers), merge=True, ranks=self.ranks)
        return Problem(self.network, self.labels, training, None)

    def _weighed(self, numbers: Array | None) -> WeightedRows:
        weights = self.sample_weight
        if numbers is not None:  # weights pick the rows: X is not copied
            weights = np.bincount(numbers, minlength=self.X.shape[0]).astype(np.float64)
            if self.sample_weight is not None:
                weights *= self.sample_weight
        factors = class_factors(self.labels, self.class_weight, self.targets, weights)
        return weigh_rows(self.X, self.labels, self.targets, factors, weights)


def fit_path(
    problem: Problem,
    alphas: Array,
    seed: int,
    limits: Limits,
    *,
    last_task: FitTask | None = None,
    verbose: bool = False,
) -> Iterator[Run]:
    """Fit at each alpha in turn, and yield the runs; the data are put into blocks once.

    Parameters
    ----------
    problem : Problem
    alphas : ndarray of shape (n_alphas,)
    seed : int
        Decides the start of the first fit.
    limits : Limits
        Of each fit.
    last_task : FitTask or None
        The task of the last fit, which callbacks watch. Nobody watches the other fits.
    verbose : bool
        Whether the last fit prints a line for each iterate.

    Raises
    ------
    KeyboardInterrupt
        If a fit before the last watched one is interrupted.
    """
    team = Team(count_threads(None))
    datafits, start = None, problem.network.initial_parameters(np.random.RandomState(seed))
    for number, alpha in enumerate(alphas):
        task = last_task if number == len(alphas) - 1 else None
        strategy = FixedAlpha(Penalty.of(problem.network, "shared", alpha), None)
        with team, np.errstate(all="ignore"):
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
        # As the model is kept: in the dtype of the data.
        start = run.kept.parameters.astype(problem.training.X.dtype).astype(np.float64)
