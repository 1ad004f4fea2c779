"""The search for the weights: one descent from each start; the best one is kept."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from skrelu._attributes import describe_network
from skrelu._callbacks import FitTask, IterateTasks
from skrelu._course import Run
from skrelu._datafit import Datafit
from skrelu._descent import Descent, Limits
from skrelu._monitor import Monitor
from skrelu._outcome import Outcome
from skrelu._problem import Problem
from skrelu._solver import NotFiniteError
from skrelu._typing import Parameters


def search(
    problem: Problem,
    datafits: tuple[Datafit, Datafit | None],
    starts: Iterable[Parameters],
    limits: Limits,
    *,
    task: FitTask,
    n_init: int = 1,
    verbose: bool = False,
) -> Run:
    """Descend from each start and return the best run.

    Parameters
    ----------
    problem : Problem
    datafits : tuple of Datafit
        Those of the problem.
    starts : iterable of ndarray of shape (n_parameters,)
        `n_init` of them.
    limits : Limits
        Of each descent.
    task : FitTask
        The task of the whole fit. Its subtasks are the iterates of the only start, or else one task for each start,
        whose subtasks are the iterates.
    n_init : int
    verbose : bool

    Raises
    ------
    ValueError
        If the objective or the validation loss is not finite at a start, or the weights found overflow in the dtype of
        the data.
    KeyboardInterrupt
        If it comes before any point has been evaluated; a later one ends the run.
    """
    try:
        best = _best_run(problem, datafits, starts, limits, task, n_init, verbose)
    except NotFiniteError as error:
        raise ValueError(f"A fit cannot begin, as {error}: {problem.describe_scale()}") from error
    with np.errstate(all="ignore"):
        if not np.isfinite(best.kept.parameters.astype(problem.training.X.dtype)).all():
            raise ValueError(f"The fitted weights overflow: {problem.describe_scale()}")
    return best


def _best_run(
    problem: Problem,
    datafits: tuple[Datafit, Datafit | None],
    starts: Iterable[Parameters],
    limits: Limits,
    task: FitTask,
    n_init: int,
    verbose: bool,
) -> Run:
    best: Run | None = None
    for number, start in enumerate(starts):
        start_task = task
        if n_init > 1:
            start_task = task.subtask("start", max_subtasks=limits.max_iter)
            start_task.begin()
        tasks = IterateTasks(start_task, partial(describe_network, problem), start)
        monitor = Monitor(
            validate=None if datafits[1] is None else datafits[1].value,
            n_iter_no_change=limits.n_iter_no_change,
            tol=limits.tol,
            verbose=verbose,
            name=f"start {number}, iterate",
        )
        try:
            run = _descend(problem, datafits[0], start, Descent(limits, monitor, tasks))
        except KeyboardInterrupt:
            if best is None:
                raise
            run = replace(best, outcome=Outcome.INTERRUPTED)
        tasks.close()
        if best is None or _is_better(problem, run, best):
            best = run
        wants_stop = run.outcome is Outcome.CALLBACK
        if n_init > 1:
            wants_stop |= start_task.end(partial(describe_network, problem, run.kept.parameters))
        if run.outcome is Outcome.INTERRUPTED:
            return replace(best, outcome=Outcome.INTERRUPTED)
        if wants_stop:
            return best
    assert best is not None, "n_init is at least 1"
    return best


def _is_better(problem: Problem, run: Run, other: Run) -> bool:
    if run.score is None or other.score is None:
        return problem.strategy.prefers(run, other)
    return run.score > other.score


def _descend(problem: Problem, datafit: Datafit, start: Parameters, descent: Descent) -> Run:
    """Descend from one start, pick the iterate to keep, and measure the evidence there."""
    strategy, monitor = problem.strategy, descent.monitor
    course = strategy.descend(descent, datafit, start)
    assert course.solution is not None, "a descent has a solution"
    outcome, kept, penalty, score, scores = course.solution.outcome, course.solution.iterate, course.penalty, None, None
    if monitor.validate is not None:
        assert monitor.best is not None, "the monitor has seen the start at least"
        kept, score, scores = monitor.best, monitor.best_score, monitor.validation_scores
        penalty = course.penalty_at(kept)
    measurement = None
    try:
        measurement = strategy.measure(datafit, kept, penalty, course)
    except FloatingPointError:
        outcome = Outcome.CURVATURE if outcome.is_converged else outcome
    except KeyboardInterrupt:
        outcome = Outcome.INTERRUPTED
    return Run(
        kept=kept,
        score=score,
        loss_curve=monitor.loss_curve,
        validation_scores=scores,
        n_evaluations=descent.n_evaluations,
        outcome=outcome,
        penalty=penalty,
        rounds=course.rounds,
        measurement=measurement,
    )
