"""The search for the weights: one descent from each start, of which the best is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from skrelu._core.arrays import Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.penalty import Penalty
from skrelu._fit.callbacks import FitTask, IterateTasks
from skrelu._fit.course import Run
from skrelu._fit.descent import Descent, Limits
from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome
from skrelu._fit.problem import Problem
from skrelu._fit.solver import NotFiniteError, Solution
from skrelu._fit.strategy import Strategy
from skrelu._laplace.leave_one_out import choose_moderation

# The largest gradients, over `tol`, at which a descent may rest because the objective no longer falls: where it is
# smooth, and at a minimum that may lie on kinks of the ReLU. docs/decisions/0009 has the measurements.
_MAX_GRADIENT, _MAX_GRADIENT_ON_KINKS = 10.0, 1e4
_MIN_TOL = 1e-5  # a smaller `tol` asks for as much as the precision allows


@dataclass(frozen=True)
class Search:
    """A search for the weights of a problem.

    Parameters
    ----------
    problem : Problem
    strategy : Strategy
        The strategy that sets alpha.
    datafits : tuple of DataTerm
        The data terms of the training rows and of the validation rows, None without these.
    limits : Limits
        The limits of each descent.
    task : FitTask
        The task of the whole fit. With one start its subtasks are the iterates. With several starts it has one subtask
        for each start, whose subtasks are the iterates.
    verbose : bool
        Whether to print a line for each iterate.
    """

    problem: Problem
    strategy: Strategy
    datafits: tuple[DataTerm, DataTerm | None]
    limits: Limits
    task: FitTask
    verbose: bool = False

    def run(self, starts: Iterable[Parameters], n_init: int = 1) -> Run:
        """Descend from each of the `n_init` starts and return the best run.

        Raises
        ------
        ValueError
            If the objective or the validation loss is not finite at a start, or the fitted weights overflow in the
            dtype of the data.
        KeyboardInterrupt
            If Ctrl-C comes before any point has been evaluated. Later it ends the run.
        """
        scale_of = self.problem.describe_scale
        try:
            best = self._best_run(starts, n_init)
        except NotFiniteError as error:
            raise ValueError(f"A fit cannot begin, as {error}: {scale_of(self.strategy.penalty)}") from error
        with np.errstate(all="ignore"):
            if not np.isfinite(self.problem.as_kept(best.kept.parameters)).all():
                raise ValueError(f"The fitted weights overflow: {scale_of(self.strategy.penalty)}")
        return self._with_moderation(best)

    def _best_run(self, starts: Iterable[Parameters], n_init: int) -> Run:
        best: Run | None = None
        for number, start in enumerate(starts):
            task = self.task
            if n_init > 1:
                task = self.task.subtask("start", max_subtasks=self.limits.max_iter)
                task.begin()
            tasks = IterateTasks(task, start)
            try:
                run = self._descend(start, number, tasks)
            except KeyboardInterrupt:
                if best is None:
                    raise
                run = replace(best, outcome=Outcome.INTERRUPTED)
            tasks.close()
            if best is None or self._is_better(run, best):
                best = run
            wants_stop = run.outcome is Outcome.CALLBACK
            if n_init > 1:
                wants_stop |= task.end_at(run.kept.parameters)
            if run.outcome is Outcome.INTERRUPTED:
                return replace(best, outcome=Outcome.INTERRUPTED)
            if wants_stop:
                return best
        assert best is not None, "n_init is at least 1"
        return best

    def _with_moderation(self, run: Run) -> Run:
        """Return the run with its moderation, if its curvature was measured."""
        if run.measurement is None or self.strategy.evidence is None:
            return run
        datafit, _ = self.datafits
        parameters = run.kept.parameters.astype(datafit.dtype).astype(np.float64)  # as the model is kept
        seed = self.strategy.evidence.seed
        try:
            return replace(run, moderation=choose_moderation(datafit, parameters, run.measurement.curvature, seed))
        except KeyboardInterrupt:
            return replace(run, outcome=Outcome.INTERRUPTED)

    def _is_better(self, run: Run, other: Run) -> bool:
        if run.score is None or other.score is None:
            return self.strategy.prefers(run, other)
        return run.score > other.score

    def _descend(self, start: Parameters, number: int, tasks: IterateTasks) -> Run:
        """Descend from one start, pick the iterate to keep, and measure the evidence there."""
        datafit, validation = self.datafits
        monitor = Monitor(
            validate=None if validation is None else validation.value,
            n_iter_no_change=self.limits.n_iter_no_change,
            tol=self.limits.tol,
            verbose=self.verbose,
            name=f"start {number}, iterate",
        )
        descent = Descent(self.limits, monitor, tasks)
        course = self.strategy.descend(descent, datafit, start)
        assert course.solution is not None, "a descent has a solution"
        outcome, kept, penalty = (
            self._checked_outcome(course.solution, course.penalty),
            course.solution.iterate,
            course.penalty,
        )
        score, scores = None, None
        if validation is not None:
            assert monitor.best is not None, "the monitor has seen the start at least"
            kept, score, scores = monitor.best, monitor.best_score, monitor.validation_scores
            penalty = course.penalty_at(kept)
        measurement = None
        try:
            measurement = self.strategy.measure(datafit, kept, penalty, course)
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
            measurement=measurement,
            evidence_curve=self.strategy.evidence_curve(course.rounds),
        )

    def _checked_outcome(self, solution: Solution, penalty: Penalty) -> Outcome:
        """Return the outcome of a descent: a stall if the objective no longer fell, but its gradient is far above tol.

        On kinks of the ReLU the gradient says little. There, and after early stopping, the units of the columns decide.
        """
        outcome, problem = solution.outcome, self.problem
        if outcome not in (Outcome.VALUE, Outcome.PROGRESS, Outcome.EARLY_STOPPING):
            return outcome
        datafit, _ = self.datafits
        gradient = np.abs(solution.iterate.gradient) / max(self.limits.tol, _MIN_TOL)
        # Along a weight of a very large alpha the objective falls by less than its gradient suggests.
        reach = gradient / np.maximum(datafit.over_total_weight(penalty.per_parameter), 1)
        limit = _MAX_GRADIENT_ON_KINKS if problem.network.has_hidden_layers else _MAX_GRADIENT
        if outcome is Outcome.VALUE and reach.max() > limit:
            return Outcome.STALL
        return Outcome.STALL if gradient.max() > _MAX_GRADIENT and problem.differs_in_units else outcome
