"""scikit-learn's callback protocol. Only this file uses it and its private names.

Each iterate is a task. If there are several starts, each start is a task, and its iterates are subtasks. During a fit
nothing is written on the estimator, so the hooks receive the attributes of a fitted copy. docs/decisions/0005 has the
reasons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from sklearn.callback import CallbackSupportMixin
from sklearn.callback import with_callbacks as _with_callbacks

from skrelu._core.arrays import Parameters

__all__ = ["CallbackSupportMixin", "FitTask", "IterateTasks", "drop_callbacks", "with_callbacks"]

Describe = Callable[[Parameters], dict[str, Any]]
Fit = TypeVar("Fit", bound=Callable[..., Any])


def with_callbacks(fit: Fit) -> Fit:
    """Decorate `fit` with scikit-learn's `with_callbacks`, and keep its signature for type checkers."""
    return _with_callbacks(fit)


@dataclass
class FitTask:
    """A task of a fit, with the arguments of its hooks.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext or None
        None if no callback watches the fit.
    estimator : estimator
        The estimator on which the callbacks were set.
    data : dict
        X, y and metadata.
    describe : callable
        Takes a parameter vector and returns the attributes of a fitted copy with these parameters.
    """

    context: Any
    estimator: Any
    data: dict[str, Any]
    describe: Describe

    @classmethod
    def of_fit(
        cls, estimator: Any, X: Any, y: Any, sample_weight: Any, describe: Describe, *, max_subtasks: int
    ) -> Self:
        """Begin the task of a call of `fit`."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        context = estimator._init_callback_context(max_subtasks=max_subtasks)
        task = cls(context, estimator, {"X": X, "y": y, "metadata": metadata}, describe)
        task.begin()
        return task

    @classmethod
    def unwatched(cls) -> Self:
        return cls(None, None, {}, lambda parameters: {})

    def subtask(self, name: str, max_subtasks: int = 0) -> Self:
        if self.context is None:
            return self
        context = self.context.subcontext(task_name=name, max_subtasks=max_subtasks)
        return type(self)(context, self.estimator, self.data, self.describe)

    def begin(self) -> None:
        """Begin the task, before there is a point to describe."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin_at(self, parameters: Parameters) -> None:
        """Begin the task at a point."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(
                estimator=self.estimator, **self.data, reconstruction_attributes=partial(self.describe, parameters)
            )

    def end(self, attributes: dict[str, Any] | Callable[[], dict[str, Any]]) -> bool:
        """End the task with the attributes of a fitted copy, or a function that returns them.

        Returns True if a callback asks to stop.
        """
        if self.context is None:
            return False
        return bool(
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=attributes
            )
        )

    def end_at(self, parameters: Parameters) -> bool:
        """End the task at a point; return True if a callback asks to stop."""
        # A function, so that nothing is copied for callbacks that do not use the fitted estimator.
        return self.end(partial(self.describe, parameters))


class IterateTasks:
    """One task for each iterate.

    A task begins at the first evaluation of its iteration and ends at the iterate. So there are never more tasks than
    `max_iter`, and there is no task for an iteration that does not take place.

    Parameters
    ----------
    task : FitTask
        The iterates are its subtasks.
    start : ndarray of shape (n_parameters,)
    """

    def __init__(self, task: FitTask, start: Parameters) -> None:
        self._task = task
        self._latest = start
        self._open: FitTask | None = None

    def begin(self) -> None:
        """Begin the next task, from the latest iterate, unless one is open."""
        if self._open is None:
            self._open = self._task.subtask("iterate")
            self._open.begin_at(self._latest)

    def end(self, parameters: Parameters) -> bool:
        """End the open task with a new iterate; return True if a callback asks to stop."""
        assert self._open is not None, "an iterate follows an evaluation"
        self._latest = parameters
        task, self._open = self._open, None
        return task.end_at(parameters)

    def close(self) -> None:
        """End the open task of a descent that ended before the next iterate was found."""
        if self._open is not None:
            self.end(self._latest)


def drop_callbacks(state: dict[str, Any], *, is_fitted: bool) -> None:
    """Remove the callbacks and their contexts from an estimator's state.

    The callbacks of an unfitted estimator are kept, as they go to the workers of joblib that will fit it. The contexts
    belong to the fit that is under way, so the copy that a hook receives has none.
    """
    for name in ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown"):
        state.pop(name, None)
    if is_fitted:
        state.pop("_skl_callbacks", None)
