"""One search per start, each watched by its monitor; the best one is kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from skrelu._monitor import IterateTasks, Monitor
from skrelu._objective import Objective
from skrelu._solver import Iterate, Outcome, minimize
from skrelu._typing import Parameters


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters that a search needs, named as on the estimator."""

    max_iter: int
    max_fun: int
    tol: float
    n_iter_no_change: float
    n_init: int
    verbose: int


@dataclass(frozen=True)
class Run:
    """A search that has ended.

    Attributes
    ----------
    kept : Iterate
        The best iterate: of the highest validation score, else of the lowest objective.
    score : float or None
        Its validation score (minus the log-loss in nats), None without validation.
    """

    kept: Iterate
    score: float | None
    loss_curve: list[float]
    validation_scores: list[float] | None
    n_iter: int
    n_evaluations: int
    outcome: Outcome

    def is_better_than(self, other: "Run") -> bool:
        if self.score is None or other.score is None:
            return self.kept.value < other.kept.value
        return self.score > other.score


def fit_from(
    starts: Iterable[Parameters],
    objective: Objective,
    validation: Objective | None,
    settings: Settings,
    *,
    context: Any,
    estimator: Any,
    describe: Callable[[Parameters], dict[str, Any]],
    data: dict[str, Any],
) -> Run:
    """Search from each start and return the best run.

    Parameters
    ----------
    starts : iterable of ndarray of shape (n_parameters,)
        `settings.n_init` of them.
    objective, validation : Objective
        What is minimised; what is watched, if anything.
    settings : Settings
    context : sklearn.callback.CallbackContext
        The task of the whole fit. Its subtasks are the iterates of the only start, or else one task for each start,
        whose subtasks are the iterates.
    estimator, describe, data
        For the hooks, see `IterateTasks`.

    Raises
    ------
    NotFiniteError
        If the objective or the validation loss is not finite at a start.
    KeyboardInterrupt
        If it comes before any point has been evaluated; a later one ends the run.
    """
    best: Run | None = None
    for number, start in enumerate(starts):
        run_context = context
        if settings.n_init > 1:
            run_context = context.subcontext(task_name="start", max_subtasks=settings.max_iter)
            run_context.call_on_fit_task_begin(estimator=estimator, **data)
        tasks = IterateTasks(run_context, estimator, describe, data, start)
        try:
            run = _search(start, objective, validation, settings, tasks, f"start {number}, iterate")
        except KeyboardInterrupt:
            if best is None:
                raise
            run = replace(best, outcome=Outcome.INTERRUPTED)
        tasks.close()
        if best is None or run.is_better_than(best):
            best = run
        wants_stop = run.outcome is Outcome.CALLBACK
        if settings.n_init > 1:
            wants_stop |= run_context.call_on_fit_task_end(
                estimator=estimator, **data, reconstruction_attributes=lambda kept=run.kept: describe(kept.parameters)
            )
        if run.outcome is Outcome.INTERRUPTED:
            return replace(best, outcome=Outcome.INTERRUPTED)
        if wants_stop:
            return best
    assert best is not None, "settings.n_init is at least 1"
    return best


def _search(
    start: Parameters,
    objective: Objective,
    validation: Objective | None,
    settings: Settings,
    tasks: IterateTasks,
    name: str,
) -> Run:
    monitor = Monitor(
        validate=None if validation is None else validation.mean_loss,
        n_iter_no_change=settings.n_iter_no_change,
        tol=settings.tol,
        tasks=tasks,
        verbose=bool(settings.verbose),
        name=name,
    )

    def evaluate(parameters: Parameters) -> tuple[float, Parameters]:
        tasks.begin()
        return objective(parameters)

    solution = minimize(
        evaluate,
        start,
        max_iter=settings.max_iter,
        max_fun=settings.max_fun,
        tol=settings.tol,
        value_tol=objective.precision,
        on_iterate=monitor,
    )
    assert monitor.best is not None, "the monitor has seen the start at least"
    return Run(
        kept=monitor.best,
        score=None if validation is None else monitor.best_score,
        loss_curve=monitor.loss_curve,
        validation_scores=None if validation is None else monitor.validation_scores,
        n_iter=solution.iterate.number,
        n_evaluations=solution.n_evaluations,
        outcome=solution.outcome,
    )
