"""One search per start, each watched by its monitor; the best one is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skrelu._evidence import Course, Measure
from skrelu._monitor import IterateTasks, Monitor
from skrelu._objective import Objective
from skrelu._problem import Problem
from skrelu._solver import Iterate, Outcome, Solution, minimize
from skrelu._threads import Team
from skrelu._typing import Array, Parameters


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
    alphas : ndarray of shape (n_groups,)
        The penalties under which it was found.
    course : Course or None
        How the evidence came to choose them, if it did.
    measure : Measure or None
        The curvature there, if it is wanted and finite.
    """

    kept: Iterate
    score: float | None
    loss_curve: list[float]
    validation_scores: list[float] | None
    n_iter: int
    n_evaluations: int
    outcome: Outcome
    alphas: Array
    course: Course | None
    measure: Measure | None

    def is_better_than(self, other: "Run") -> bool:
        if self.score is None or other.score is None:
            if self.course is not None and (self.measure or other.measure):
                if self.measure is None or other.measure is None:
                    return other.measure is None
                return self.measure.log_evidence > other.measure.log_evidence
            return self.kept.value < other.kept.value
        return self.score > other.score


def fit_from(
    problem: Problem,
    starts: Iterable[Parameters],
    team: Team,
    settings: Settings,
    *,
    context: Any,
    estimator: Any,
    data: dict[str, Any],
) -> Run:
    """Search from each start and return the best run.

    Parameters
    ----------
    problem : Problem
    starts : iterable of ndarray of shape (n_parameters,)
        `settings.n_init` of them.
    team : Team
        Who computes.
    settings : Settings
    context : sklearn.callback.CallbackContext
        The task of the whole fit. Its subtasks are the iterates of the only start, or else one task for each start,
        whose subtasks are the iterates.
    estimator, data
        For the hooks, see `IterateTasks`.

    Raises
    ------
    NotFiniteError
        If the objective or the validation loss is not finite at a start.
    KeyboardInterrupt
        If it comes before any point has been evaluated; a later one ends the run.
    """
    objective, validation = problem.objective(team), problem.validation_objective(team)
    best: Run | None = None
    for number, start in enumerate(starts):
        run_context = context
        if settings.n_init > 1:
            run_context = context.subcontext(task_name="start", max_subtasks=settings.max_iter)
            run_context.call_on_fit_task_begin(estimator=estimator, **data)
        tasks = IterateTasks(run_context, estimator, problem.describe, data, start)
        try:
            run = _search(problem, start, objective, validation, settings, tasks, f"start {number}, iterate")
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
                estimator=estimator,
                **data,
                reconstruction_attributes=lambda kept=run.kept: problem.describe(kept.parameters),
            )
        if run.outcome is Outcome.INTERRUPTED:
            return replace(best, outcome=Outcome.INTERRUPTED)
        if wants_stop:
            return best
    assert best is not None, "settings.n_init is at least 1"
    return best


def _search(
    problem: Problem,
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

    def descend(objective: Objective, start: Parameters, number: int, max_iter: int, max_fun: int) -> Solution:
        def evaluate(parameters: Parameters) -> tuple[float, Parameters]:
            tasks.begin()
            return objective(parameters)

        return minimize(
            evaluate,
            start,
            max_iter=max_iter,
            max_fun=max_fun,
            tol=settings.tol,
            value_tol=objective.precision,
            on_iterate=monitor,
            first_number=number,
        )

    alphas, evidence, course, measure = problem.alphas, problem.evidence, None, None
    if evidence is not None and problem.chooses_alpha:
        solution, course = evidence.search(
            descend, objective, start, alphas, settings.max_iter, settings.max_fun, weakens=validation is None
        )
    else:
        solution = descend(objective, start, 0, settings.max_iter, settings.max_fun)
    kept = solution.iterate
    if validation is not None:
        assert monitor.best is not None, "the monitor has seen the start at least"
        kept = monitor.best
    if course is not None:
        alphas = course.alphas[-1] if validation is None else course.alphas_at(kept.number)
    outcome = solution.outcome
    if evidence is not None:
        try:
            # As the model will be, in the dtype of the data.
            parameters = kept.parameters.astype(objective.dtype).astype(np.float64)
            if course is not None and np.array_equal(parameters, kept.parameters):
                measure = course.final
            measure = measure or evidence.measure_well(objective, parameters, alphas)
        except FloatingPointError:
            outcome = Outcome.CURVATURE if outcome.status == 0 else outcome
        except KeyboardInterrupt:
            outcome = Outcome.INTERRUPTED
    return Run(
        kept=kept,
        score=None if validation is None else monitor.best_score,
        loss_curve=monitor.loss_curve,
        validation_scores=None if validation is None else monitor.validation_scores,
        n_iter=len(monitor.loss_curve),
        n_evaluations=solution.n_evaluations,
        outcome=outcome,
        alphas=alphas,
        course=course,
        measure=measure,
    )
