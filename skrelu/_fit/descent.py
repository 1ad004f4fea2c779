"""The descent from one start: minimisations by L-BFGS that share a budget, a monitor and the tasks of the callbacks."""

from dataclasses import dataclass
from functools import partial

from skrelu._core.arrays import Parameters
from skrelu._core.objective import Objective
from skrelu._fit.callbacks import IterateTasks
from skrelu._fit.monitor import Monitor
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate, Solution, minimize


@dataclass(frozen=True)
class Limits:
    """The hyper-parameters that end a descent, with the names that they have on the estimator."""

    max_iter: int
    max_fun: int
    tol: float
    n_iter_no_change: float


class Descent:
    """One or several minimisations by L-BFGS, within one budget of iterations and evaluations.

    Parameters
    ----------
    limits : Limits
    monitor : Monitor
    tasks : IterateTasks

    Attributes
    ----------
    n_iter : int
        The number of iterations so far.
    n_evaluations : int
        The number of evaluations of the objective so far.
    """

    def __init__(self, limits: Limits, monitor: Monitor, tasks: IterateTasks) -> None:
        self.limits = limits
        self.monitor = monitor
        self.n_iter = 0
        self.n_evaluations = 0
        self._tasks = tasks

    @property
    def spent(self) -> Outcome | None:
        """The limit that is reached, None if there is none."""
        if self.n_iter >= self.limits.max_iter:
            return Outcome.MAX_ITER
        return Outcome.MAX_FUN if self.n_evaluations >= self.limits.max_fun else None

    def run(
        self, objective: Objective, start: Parameters, n_iter: int | None = None, *, tol_factor: float = 1.0
    ) -> Solution:
        """Minimise an objective from a start, to `tol` times `tol_factor`.

        It takes at most `n_iter` iterations; None means all that are left.
        """
        tol = self.limits.tol * tol_factor
        if self.monitor.validate is None:  # otherwise it is the tolerance of the validation score
            self.monitor.tol = tol
        n_left = self.limits.max_iter - self.n_iter
        solution = minimize(
            partial(self._evaluate, objective),
            start,
            max_iter=n_left if n_iter is None else min(n_iter, n_left),
            max_fun=self.limits.max_fun - self.n_evaluations,
            tol=tol,
            value_tol=objective.precision,
            on_iterate=self._accept,
            first_number=self.n_iter,
        )
        self.n_iter = solution.iterate.number
        self.n_evaluations += solution.n_evaluations
        return solution

    def _evaluate(self, objective: Objective, parameters: Parameters) -> tuple[float, Parameters]:
        self._tasks.begin()
        return objective.value_and_gradient(parameters)

    def _accept(self, iterate: Iterate) -> Outcome | None:
        outcome = self.monitor.watch(iterate)
        if not iterate.is_start and self._tasks.end(iterate.parameters):
            return Outcome.CALLBACK
        return outcome
