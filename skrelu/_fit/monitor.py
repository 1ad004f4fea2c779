"""The monitor of a descent: objective and validation score of each iterate, the best iterate, the reason to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from skrelu._core.arrays import Parameters
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate, NotFiniteError


@dataclass
class Monitor:
    """Watches one descent.

    Parameters
    ----------
    validate : callable or None
        Takes a parameter vector and returns the mean loss of the validation rows (nats).
    n_iter_no_change : float
        The descent stops after more than this number of iterates in a row without progress: a rise of the validation
        score or, without validation, a fall of the objective, by `tol`.
    tol : float
    verbose : bool
        Whether to print a line for each iterate.
    name : str
        The first words of that line.

    Attributes
    ----------
    loss_curve : list of float
        The objective after each iterate.
    validation_scores : list of float
        Minus the validation loss after each iterate; empty without `validate`.
    best : Iterate
        The iterate to keep: that of the highest validation score or, without validation, the latest, which has the
        lowest objective.
    best_score : float
        The validation score of `best`, or without validation minus its objective.
    """

    validate: Callable[[Parameters], float] | None
    n_iter_no_change: float
    tol: float
    verbose: bool
    name: str
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best: Iterate | None = None
    best_score: float = -np.inf
    _n_without_change: int = 0
    _began: float = field(default_factory=perf_counter)

    def watch(self, iterate: Iterate) -> Outcome | None:
        """Record an iterate; return the reason why the descent should end, None if it should go on."""
        if iterate.is_start and iterate.number > 0:  # a point recorded before, with another penalty
            if self.validate is None:
                self.best, self.best_score, self._n_without_change = iterate, -iterate.value, 0
            return None
        score = -iterate.value
        if self.validate is not None:
            score = -self.validate(iterate.parameters)
            score = score if np.isfinite(score) else -np.inf  # the network's scores overflow on validation rows
        if iterate.is_start and not np.isfinite(score):
            raise NotFiniteError("the validation loss is not finite at the starting point")
        if not iterate.is_start:
            self.loss_curve.append(iterate.value)
            if self.validate is not None:
                self.validation_scores.append(score)
            self._n_without_change = 0 if score >= self.best_score + self.tol else self._n_without_change + 1
        if self.best is None or score > self.best_score or self.validate is None:
            self.best, self.best_score = iterate, score
        if self.verbose:
            print(self._line(iterate, score), flush=True)
        if self._n_without_change > self.n_iter_no_change:
            return Outcome.PROGRESS if self.validate is None else Outcome.EARLY_STOPPING
        return None

    def _line(self, iterate: Iterate, score: float) -> str:
        parts = [
            f"{self.name} {iterate.number:4d}",
            f"loss {iterate.value:.6f}",
            f"gradient {np.abs(iterate.gradient).max():.2e}",
        ]
        if self.validate is not None:
            parts.append(f"validation {score:.6f}")
        parts.append(f"{perf_counter() - self._began:.2f} s")
        return "  ".join(parts)
