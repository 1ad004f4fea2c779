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
    """An accepted point, or the start of a search, which counts as no iteration."""

    number: int
    parameters: Parameters
    value: float
    gradient: Parameters
    is_start: bool = False


@dataclass(frozen=True)
class Solution:
    """The last accepted iterate and the reason why the search ended."""

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
        theta -> (F, grad F), any callable. Values that are not finite are allowed everywhere but at `start`.
    start : ndarray of shape (n_parameters,)
    max_iter, max_fun : int
        The most iterates and the most evaluations; the iterate under way is completed.
    tol : float
        Ends the search where max |grad F| <= tol.
    value_tol : float
        Ends the search where an iterate lowers F by no more than value_tol * max(|F|, 1).
    on_iterate : callable
        Called with the start and with every later iterate; an outcome ends the search.
    first_number : int
        The number of the start, where a search continues another one.

    Returns
    -------
    solution : Solution

    Raises
    ------
    NotFiniteError
        If the objective or its gradient at `start` is not finite.
    KeyboardInterrupt
        If it comes before `start` has been evaluated. A later one ends the search with what was reached.

    References
    ----------
    R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, 'A limited memory algorithm for bound constrained optimization', SIAM J.
    Scientific Computing 16, 1995; J. L. Morales and J. Nocedal, 'Remark on Algorithm 778', ACM TOMS 38, 2011.
    """
    search = _Search(objective, start, on_iterate, first_number)
    if search.stopped is not None:
        return search.solution(search.stopped)
    options = {
        # The pairs of steps and gradient changes kept. Twice as many save 9% of the iterates and cost 9% more time:
        # docs/decisions/0002 has the figures.
        "maxcor": 10,
        "gtol": tol,
        # scipy's default, 2.2e-9, ends fits early and calls it convergence. Just above the noise of one evaluation
        # the line search cannot tell up from down any more, so that is where to stop.
        "ftol": value_tol,
        # A trial step into overflow is shortened tenfold; scipy's default of 20 trials may not bring it back.
        "maxls": 50,
        "maxfun": max_fun,
        "maxiter": max_iter,
    }
    try:
        result = scipy_minimize(
            search.evaluate, start, jac=True, method="L-BFGS-B", callback=search.accept, options=options
        )
    except KeyboardInterrupt:
        return search.solution(Outcome.INTERRUPTED)
    return search.solution(search.outcome(result, tol, value_tol, max_iter))


class _Search:
    """What scipy calls back, and where the search is: the current iterate and the last point evaluated."""

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
        self.last_fall = np.inf  # of the value, relative, with the latest iterate
        self.n_evaluations = 1
        self.overflowed = False  # on the way from the iterate
        self.overflowed_before = False  # on the way to it
        self.stopped = on_iterate(self.iterate)

    def evaluate(self, parameters: Parameters) -> tuple[float, Parameters]:
        if self.n_evaluations == 1 and np.array_equal(parameters, self.last.parameters):
            return self.last.value, self.last.gradient  # scipy asks for the start again
        self.n_evaluations += 1
        value, gradient = self.objective(parameters)
        if not _is_finite(value, gradient):
            self.overflowed = True
            return self._valley_before(parameters)
        self.last = Iterate(self.iterate.number + 1, parameters.copy(), value, gradient)
        return value, gradient

    def _valley_before(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Answer a step d into overflow by a parabola along d whose minimum lies at a tenth of the step.

        It has the iterate's value and slope: q(t) = F + t g.d - 5 t^2 g.d, here at t = 1. Interpolating it, the line
        search tries 0.1 d next; an infinite value would make its interpolation NaN.
        """
        step = parameters - self.iterate.parameters
        slope = float(self.iterate.gradient @ step)
        direction = step / np.linalg.norm(step)
        bend = 10 * float(self.iterate.gradient @ direction)
        return self.iterate.value - 4 * slope, self.iterate.gradient - bend * direction

    def accept(self, intermediate_result: OptimizeResult) -> None:
        """Take the point evaluated last as the next iterate; scipy reads the argument's name to pass a result."""
        fall = self.iterate.value - self.last.value
        self.last_fall = fall / max(abs(self.last.value), 1)
        self.iterate = self.last
        self.overflowed_before, self.overflowed = self.overflowed, False
        self.stopped = self.on_iterate(self.iterate)
        if self.stopped is not None:
            raise StopIteration

    def outcome(self, result: OptimizeResult, tol: float, value_tol: float, max_iter: int) -> Outcome:
        """Say why scipy returned, from what happened rather than from its status, which is 99 after StopIteration."""
        if self.stopped is not None:
            return self.stopped
        if result.success and np.abs(self.iterate.gradient).max() <= tol:
            return Outcome.GRADIENT
        if self.overflowed or (result.success and self.overflowed_before):
            return Outcome.OVERFLOW
        # A line search may also fail for want of digits: after a fall as small as that it is no trouble.
        if result.success or (result.status == 2 and self.last_fall <= 1024 * value_tol):
            return Outcome.VALUE
        if result.status == 1:
            return Outcome.MAX_ITER if result.nit >= max_iter else Outcome.MAX_FUN
        return Outcome.LINE_SEARCH

    def solution(self, outcome: Outcome) -> Solution:
        return Solution(self.iterate, outcome, self.n_evaluations)


def _is_finite(value: float, gradient: Parameters) -> bool:
    # L-BFGS works with the squared norm of the gradient, so that has to be finite too.
    return isfinite(value) and isfinite(gradient @ gradient)
