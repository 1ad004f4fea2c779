"""L-BFGS: the one call of `scipy.optimize.minimize`, its options and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize

from skrelu._core.arrays import Parameters
from skrelu._fit.outcome import Outcome


class NotFiniteError(ArithmeticError):
    """The objective overflows at the starting point."""


@dataclass(frozen=True)
class Iterate:
    """An accepted point, or the start of a minimisation, which does not count as an iteration."""

    number: int
    parameters: Parameters
    value: float
    gradient: Parameters
    is_start: bool = False


@dataclass(frozen=True)
class Solution:
    """The last accepted iterate and the reason why the minimisation ended."""

    iterate: Iterate
    outcome: Outcome
    n_evaluations: int


@np.errstate(all="ignore")
def minimize(
    objective: Callable[[Parameters], tuple[float, Parameters]],
    start: Parameters,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    value_tol: float,
    on_iterate: Callable[[Iterate], Outcome | None],
    first_number: int = 0,
) -> Solution:
    """Minimize `objective` from `start` by L-BFGS-B without bounds.

    Parameters
    ----------
    objective : callable
        theta -> (F, grad F). Values that are not finite are allowed everywhere except at `start`.
    start : ndarray of shape (n_parameters,)
    max_iter, max_fun : int
        The maximum numbers of iterations and of evaluations; the iteration under way is completed.
    tol : float
        The minimisation ends where max |grad F| <= tol.
    value_tol : float
        The minimisation ends where an iterate lowers F by no more than value_tol * max(|F|, 1).
    on_iterate : callable
        Called with the start and with every later iterate. If it returns an outcome, the minimisation ends.
    first_number : int
        The number of the start, greater than 0 if a minimisation continues another one.

    Returns
    -------
    solution : Solution

    Raises
    ------
    NotFiniteError
        If the objective or its gradient at `start` is not finite.
    KeyboardInterrupt
        If Ctrl-C comes before `start` has been evaluated. Later it ends the minimisation, and the last iterate is
        returned.

    References
    ----------
    R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, 'A limited memory algorithm for bound constrained optimization', SIAM J.
    Scientific Computing 16, 1995; J. L. Morales and J. Nocedal, 'Remark on Algorithm 778', ACM TOMS 38, 2011.
    """
    minimization = _Minimization(objective, start, on_iterate, first_number)
    if minimization.stopped is not None:
        return minimization.solution(minimization.stopped)
    options = {
        # The number of pairs of steps and gradient changes. Twice as many save 9% of the iterations and cost 9% more
        # time: docs/decisions/0002 has the figures.
        "maxcor": 10,
        "gtol": tol,
        # scipy's default, 2.2e-9, ends fits early and reports convergence. Just above the rounding noise of one
        # evaluation the line search can no longer find a lower value, so a fit should stop there.
        "ftol": value_tol,
        # A trial step into overflow is shortened tenfold; scipy's default of 20 trials may be too few.
        "maxls": 50,
        "maxfun": max_fun,
        "maxiter": max_iter,
    }
    try:
        result = scipy_minimize(
            minimization.evaluate, start, jac=True, method="L-BFGS-B", callback=minimization.accept, options=options
        )
    except KeyboardInterrupt:
        return minimization.solution(Outcome.INTERRUPTED)
    return minimization.solution(minimization.outcome(result, tol, value_tol, max_iter))


class _Minimization:
    """The functions that scipy calls, and the state: the current iterate and the last point evaluated."""

    def __init__(
        self,
        objective: Callable[[Parameters], tuple[float, Parameters]],
        start: Parameters,
        on_iterate: Callable[[Iterate], Outcome | None],
        first_number: int,
    ) -> None:
        self.objective = objective
        self.on_iterate = on_iterate
        value, gradient = objective(start)
        if not _is_finite(value, gradient):
            raise NotFiniteError("the objective or its gradient is not finite at the starting point")
        self.last = Iterate(first_number, start.copy(), value, gradient, is_start=True)
        self.iterate = self.last
        self.last_fall = np.inf  # the relative fall of the value in the latest iteration
        self.n_evaluations = 1
        self.overflowed = False  # in the iteration under way
        self.overflowed_before = False  # in the latest iteration
        self.stopped = on_iterate(self.iterate)

    def evaluate(self, parameters: Parameters) -> tuple[float, Parameters]:
        if self.n_evaluations == 1 and np.array_equal(parameters, self.last.parameters):
            return self.last.value, self.last.gradient  # scipy asks for the start again
        self.n_evaluations += 1
        value, gradient = self.objective(parameters)
        if not _is_finite(value, gradient):
            self.overflowed = True
            return self._parabola_at(parameters)
        self.last = Iterate(self.iterate.number + 1, parameters.copy(), value, gradient)
        return value, gradient

    def _parabola_at(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Return value and gradient for a step d into overflow, from a parabola with its minimum at a tenth of d.

        The parabola along d has the value and the slope of the iterate: q(t) = F + t g.d - 5 t^2 g.d, here at t = 1.
        The line search interpolates it and tries 0.1 d next. With an infinite value its interpolation would be NaN.
        """
        step = parameters - self.iterate.parameters
        slope = float(self.iterate.gradient @ step)
        direction = step / np.linalg.norm(step)
        bend = 10 * float(self.iterate.gradient @ direction)
        return self.iterate.value - 4 * slope, self.iterate.gradient - bend * direction

    def accept(self, intermediate_result: OptimizeResult) -> None:
        """Accept the point evaluated last as the next iterate. scipy passes a result for an argument of this name."""
        fall = self.iterate.value - self.last.value
        self.last_fall = fall / max(abs(self.last.value), 1)
        self.iterate = self.last
        self.overflowed_before, self.overflowed = self.overflowed, False
        self.stopped = self.on_iterate(self.iterate)
        if self.stopped is not None:
            raise StopIteration

    def outcome(self, result: OptimizeResult, tol: float, value_tol: float, max_iter: int) -> Outcome:
        """Return the reason why scipy returned. Its status alone does not show it: it is 99 after StopIteration."""
        if self.stopped is not None:
            return self.stopped
        if result.success and np.abs(self.iterate.gradient).max() <= tol:
            return Outcome.GRADIENT
        if self.overflowed or (result.success and self.overflowed_before):
            return Outcome.OVERFLOW
        # A line search may also fail because of rounding. After a fall as small as this, that is convergence.
        if result.success or (result.status == 2 and self.last_fall <= 1024 * value_tol):
            return Outcome.VALUE
        if result.status == 1:
            return Outcome.MAX_ITER if result.nit >= max_iter else Outcome.MAX_FUN
        return Outcome.LINE_SEARCH

    def solution(self, outcome: Outcome) -> Solution:
        return Solution(self.iterate, outcome, self.n_evaluations)


def _is_finite(value: float, gradient: Parameters) -> bool:
    # L-BFGS uses the squared norm of the gradient, so that must be finite as well.
    return isfinite(value) and isfinite(gradient @ gradient)
