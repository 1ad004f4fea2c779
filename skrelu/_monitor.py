"""What happens at each iterate: the record, the validation score, the best iterate, callbacks and the verbose line."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from skrelu._solver import Iterate, NotFiniteError, Outcome
from skrelu._typing import Parameters


class IterateTasks:
    """One task of scikit-learn's callback protocol per iterate.

    A task begins with the first evaluation on the way to its iterate and ends with the iterate, so there are never more
    tasks than `max_iter`, and none for an iteration that does not take place.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        The task whose subtasks the iterates are.
    estimator : estimator
        Passed on to the hooks.
    describe : callable
        From a parameter vector to the attributes that make a copy of the estimator ready to predict.
    data : dict
        X, y and metadata for the hooks.
    start : ndarray of shape (n_parameters,)
    """

    def __init__(
        self,
        context: Any,
        estimator: Any,
        describe: Callable[[Parameters], dict[str, Any]],
        data: dict[str, Any],
        start: Parameters,
    ) -> None:
        self._context = context
        self._estimator = estimator
        self._describe = describe
        self._data = data
        self._latest = start
        self._open: Any = None

    def begin(self) -> None:
        """Begin the next task, from the latest iterate, unless one is open."""
        if self._open is None:
            self._open = self._context.subcontext(task_name="iterate")
            self._open.call_on_fit_task_begin(estimator=self._estimator, **self._arguments())

    def end(self, parameters: Parameters) -> bool:
        """End the open task with a new iterate; True if a callback asks to stop."""
        self._latest = parameters
        task, self._open = self._open, None
        return bool(task.call_on_fit_task_end(estimator=self._estimator, **self._arguments()))

    def close(self) -> None:
        """End the task of a search that ended before its iterate was found."""
        if self._open is not None:
            self.end(self._latest)

    def _arguments(self) -> dict[str, Any]:
        # A function, so that nothing is copied for callbacks that do not ask for the fitted estimator.
        return {**self._data, "reconstruction_attributes": lambda: self._describe(self._latest)}


@dataclass
class Monitor:
    """Watches one search.

    Parameters
    ----------
    validate : callable or None
        From a parameter vector to the mean loss on held-out rows (nats).
    n_iter_no_change : float
        The search stops when more iterates in a row than this do not raise the validation score, or without
        validation lower the objective, by `tol`.
    tol : float
    tasks : IterateTasks
    verbose : bool
    name : str
        Begins each verbose line.

    Attributes
    ----------
    loss_curve : list of float
        The objective after each iterate.
    validation_scores : list of float
        Minus the validation loss after each iterate; empty without `validate`.
    best : Iterate
        The one to keep: that of the highest validation score, else the latest, which L-BFGS makes the lowest.
    best_score : float
        The validation score of `best`, or without validation minus its objective.
    """

    validate: Callable[[Parameters], float] | None
    n_iter_no_change: float
    tol: float
    tasks: IterateTasks
    verbose: bool
    name: str
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best: Iterate | None = None
    best_score: float = -np.inf
    _n_without_change: int = 0
    _began: float = field(default_factory=perf_counter)

    def __call__(self, iterate: Iterate) -> Outcome | None:
        """Record an iterate and say why the search should end, if it should."""
        if iterate.is_start and iterate.number > 0:  # a point that was seen, under another penalty
            if self.validate is None:
                self.best, self.best_score, self._n_without_change = iterate, -iterate.value, 0
            return None
        score = -iterate.value
        if self.validate is not None:
            score = -self.validate(iterate.parameters)
            score = score if np.isfinite(score) else -np.inf  # scores that overflow on the held-out rows
        is_start = iterate.is_start
        if is_start and not np.isfinite(score):
            raise NotFiniteError("the validation loss is not finite at the starting point")
        if not is_start:
            self.loss_curve.append(iterate.value)
            if self.validate is not None:
                self.validation_scores.append(score)
            self._n_without_change = 0 if score >= self.best_score + self.tol else self._n_without_change + 1
        if self.best is None or score > self.best_score or self.validate is None:
            self.best, self.best_score = iterate, score
        if self.verbose:
            print(self._line(iterate, score), flush=True)
        if not is_start and self.tasks.end(iterate.parameters):
            return Outcome.CALLBACK
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
