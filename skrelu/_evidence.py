"""Alpha chosen by the evidence: from the training data alone, while the network is fitted.

At the minimum of F = C + 1/2 sum_g alpha_g ||W_g||^2, with A = G + diag(alpha) (see `_curvature`), Laplace's integral
over the weights gives

    log evidence = -F - 1/2 log|I + K|

and it is stationary in alpha_g where alpha_g ||W_g||^2 = gamma_g, the number of well-determined weights of the group.
So rounds of (1) a few iterations of L-BFGS, (2) gamma at the point reached, (3) alpha_g <- gamma_g / ||W_g||^2 lead to
a fixed point; then L-BFGS goes on to the minimum for that alpha.

D. J. C. MacKay, 'The Evidence Framework Applied to Classification Networks', Neural Computation 4, 1992.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from skrelu._curvature import Curvature
from skrelu._leave_one_out import leave_one_out_loss
from skrelu._objective import Objective
from skrelu._penalty import Penalty
from skrelu._solver import Outcome, Solution
from skrelu._typing import Array, Parameters

# docs/decisions/0007 has the measurements behind these.
_ITERATIONS_PER_ROUND = 10  # with many, a weak first alpha would overfit before it is corrected
_MOST_ROUNDS = 40
_CLOSE = 0.1  # the mean change of log alpha that ends the rounds
_PSEUDO_WEIGHTS = 1.0  # how much a group's alpha is drawn towards that of all
_FEW_TERMS, _FIRST_TERMS, _MOST_TERMS = 1000, 500, 2000
_MOST_SPENT = 0.35  # of the terms: the sample is doubled if more of them are explained by the network
_WEAKER = 4.0  # where the penalty outweighs the loss, this fraction of the alphas is tried
_CLEARLY = 0.95  # and kept if it lowers the leave-one-out loss so far, at least
_LEAST_ALPHA, _MOST_ALPHA = 1e-30, 1e30  # alpha has a unit, one over that of a weight squared
_MOST_OUTPUTS = 100  # for which weaker penalties are tried: leave-one-out needs their covariances

# descend(objective, start, number of the start, max_iter, max_fun)
Descend = Callable[[Objective, Parameters, int, int, int], Solution]


@dataclass(frozen=True)
class Measure:
    """What the curvature tells at one point.

    Attributes
    ----------
    alphas : ndarray of shape (n_groups,)
        The penalties in force, on the scale of the training weights.
    gammas : ndarray of shape (n_groups,)
        The well-determined weights of each group.
    log_evidence : float
        In nats.
    curvature : Curvature
    """

    alphas: Array
    gammas: Array
    log_evidence: float
    curvature: Curvature


@dataclass
class Course:
    """The rounds of a search: alphas in force from which iterate on, and what was measured at the end of each.

    `final` is what was measured at the point that is kept, if it was.
    """

    iterates: list[int] = field(default_factory=list)
    alphas: list[Array] = field(default_factory=list)
    measured_at: list[int] = field(default_factory=list)
    measures: list[tuple[Array, float, float]] = field(default_factory=list)  # alphas, gamma, log evidence
    final: Measure | None = None

    def begin(self, iterate: int, alphas: Array) -> None:
        self.iterates.append(iterate)
        self.alphas.append(alphas)

    def note(self, iterate: int, measure: Measure) -> None:
        self.measured_at.append(iterate)
        self.measures.append((measure.alphas, float(measure.gammas.sum()), measure.log_evidence))

    def alphas_at(self, iterate: int) -> Array:
        """Return the alphas under which an iterate was found."""
        return self.alphas[max(int(np.searchsorted(self.iterates, iterate)) - 1, 0)]


@dataclass(frozen=True)
class Evidence:
    """Measures the curvature and chooses the alphas.

    Parameters
    ----------
    penalty : Penalty
    weight_scale : float
        What the training weights, and the alphas with them, were multiplied by.
    n_terms : int or None
        The most terms of the curvature. None takes all of 1000 or fewer; of more it draws 500, and twice as many, up
        to 2000, while the network explains too large a share of them.
    seed : int
        Decides which.
    """

    penalty: Penalty
    weight_scale: float
    n_terms: int | None
    seed: int

    @np.errstate(all="ignore")
    def measure(
        self,
        objective: Objective,
        parameters: Parameters,
        alphas: Array,
        n_terms: int,
        *,
        share: float = 0.0,
        n_corrections: int = 2,
    ) -> Measure:
        """Measure the curvature at a point.

        Raises
        ------
        FloatingPointError
            If it is not finite.
        """
        # On the caller's scale, to the bit, whatever the weights were multiplied by for the fit.
        terms = objective.sample_terms(parameters, n_terms, self.seed, self.weight_scale)
        if not len(terms.numbers):
            raise FloatingPointError("no row carries curvature: all are certain to the last digit")
        by_layer = self.penalty.by_layer(alphas / self.weight_scale)
        layers = objective.network.layers(parameters)
        try:
            curvature = Curvature(layers, terms, by_layer, share=share, n_corrections=n_corrections)
        except np.linalg.LinAlgError as error:
            raise FloatingPointError(str(error)) from error
        gammas = self.penalty.group(curvature.effective_parameters(by_feature=self.penalty.divides_features))
        value = objective.with_alpha(self.penalty.per_parameter(alphas)).value(parameters)
        log_evidence = -value * objective.total_weight / self.weight_scale - 0.5 * curvature.log_determinant
        if not (np.isfinite(gammas).all() and np.isfinite(log_evidence)):
            raise FloatingPointError("the curvature is not finite")
        return Measure(alphas, np.maximum(gammas, 0), log_evidence, curvature)

    def measure_well(self, objective: Objective, parameters: Parameters, alphas: Array) -> Measure:
        """Measure with as many terms as the data ask for and a correction that has settled."""
        n_terms, share = self.first_n_terms(objective), 0.0
        while True:
            measure = self.measure(objective, parameters, alphas, n_terms, share=share, n_corrections=4)
            share = measure.curvature.share
            larger = self.next_n_terms(n_terms, share)
            if larger == n_terms:
                return measure
            n_terms = larger

    def first_n_terms(self, objective: Objective) -> int:
        """Return how many terms to begin with: all of them if they are few."""
        if self.n_terms is not None:
            return self.n_terms
        n_all = objective.n_rows * objective.network.layer_sizes[-1]
        return _FEW_TERMS if n_all <= _FEW_TERMS else _FIRST_TERMS

    def next_n_terms(self, n_terms: int, share: float) -> int:
        """Return how many terms to take after a sample whose mean leverage was `share`."""
        wants_more = self.n_terms is None and share > _MOST_SPENT
        return min(2 * n_terms, _MOST_TERMS) if wants_more else n_terms

    def update(self, measure: Measure, parameters: Parameters) -> Array:
        """Return alpha_g = gamma_g / ||W_g||^2, drawn towards the alpha of all weights.

        A feature's alpha, (gamma_g + a) / (||W_g||^2 + a / alpha), has a prior worth a = 1 weight at the alpha of
        all. Later layers keep that alpha where features have their own: relu lets scale wander between layers, and
        free alphas follow it.
        """
        squares = self.penalty.squared_norms(parameters)
        shared = _bounded(measure.gammas.sum() / squares.sum())
        if self.penalty.grouping == "shared":
            return np.array([shared * self.weight_scale])
        alphas = _bounded((measure.gammas + _PSEUDO_WEIGHTS) / (squares + _PSEUDO_WEIGHTS / shared))
        if self.penalty.divides_features:
            alphas[-1] = shared
        return alphas * self.weight_scale

    def search(
        self,
        descend: Descend,
        objective: Objective,
        start: Parameters,
        alphas: Array,
        max_iter: int,
        max_fun: int,
        *,
        weakens: bool,
    ) -> tuple[Solution, Course]:
        """Fit the network and choose the alphas.

        Parameters
        ----------
        descend : callable
            (objective, start, number of the start, max_iter, max_fun) -> Solution.
        objective : Objective
        start : ndarray of shape (n_parameters,)
        alphas : ndarray of shape (n_groups,)
            Where to begin. Weak ones let a network learn before it is reined in; strong ones end at dead units.
        max_iter, max_fun : int
            For all rounds together; half of the iterations at most are spent before the alphas are settled.
        weakens : bool
            Whether to look for weaker alphas in the end, see `_weaken`; no held-out rows must tell what to keep then.

        Returns
        -------
        solution : Solution
            Of the round that is kept, with the evaluations of all.
        course : Course
        """
        course = Course()
        solution: Solution | None = None
        try:
            for reached in self._rounds(descend, objective, start, alphas, max_iter, max_fun, course):
                solution = reached
            assert solution is not None, "there is a round at least"
            if weakens and solution.outcome.status == 0 and objective.network.layer_sizes[-1] <= _MOST_OUTPUTS:
                return self._weaken(descend, objective, solution, course, max_iter, max_fun)
        except KeyboardInterrupt:
            if solution is None:
                raise
            return replace(solution, outcome=Outcome.INTERRUPTED), course
        return solution, course

    def _rounds(
        self,
        descend: Descend,
        objective: Objective,
        parameters: Parameters,
        alphas: Array,
        max_iter: int,
        max_fun: int,
        course: Course,
    ) -> Iterator[Solution]:
        """Yield the solution of each round; the last one is the minimum for the alphas settled on."""
        n_terms, share = self.first_n_terms(objective), 0.0
        number, n_evaluations = 0, 0
        is_close = is_last = False
        while True:
            penalised = objective.with_alpha(self.penalty.per_parameter(alphas))
            n_iter = max_iter - number if is_last else min(_ITERATIONS_PER_ROUND, max_iter - number)
            solution = descend(penalised, parameters, number, n_iter, max_fun - n_evaluations)
            course.begin(number, alphas)
            parameters, number = solution.iterate.parameters, solution.iterate.number
            n_evaluations += solution.n_evaluations
            solution = replace(solution, n_evaluations=n_evaluations)
            if solution.outcome in _FINAL or is_last:
                unsettled = solution.outcome.status == 0 and not is_close
                yield replace(solution, outcome=Outcome.ALPHA) if unsettled else solution
                return
            if number >= max_iter or n_evaluations >= max_fun:
                yield replace(solution, outcome=Outcome.MAX_ITER if number >= max_iter else Outcome.MAX_FUN)
                return
            yield solution
            try:
                measure = self.measure(objective, parameters, alphas, n_terms, share=share)
            except FloatingPointError:  # the fit goes on at these alphas; its last measure tells the caller
                is_close = is_last = True
                continue
            course.note(number, measure)
            share = measure.curvature.share
            n_terms = self.next_n_terms(n_terms, share)
            updated = self.update(measure, parameters)
            # With less than one weight determined, alpha may go to infinity and nothing changes any more.
            change = np.abs(np.log(updated / alphas)) @ measure.gammas / max(measure.gammas.sum(), 1.0)
            is_close = bool(change < _CLOSE)
            is_last = is_close or 2 * number >= max_iter or len(course.alphas) == _MOST_ROUNDS
            alphas = updated

    def _weaken(
        self, descend: Descend, objective: Objective, solution: Solution, course: Course, max_iter: int, max_fun: int
    ) -> tuple[Solution, Course]:
        """Try weaker penalties as long as the penalty outweighs the loss, and keep them while they are better.

        On clean tables the fixed point penalises too much: it takes the curvature as given, while with surer scores it
        would vanish. There a fit at a quarter of the alphas is kept if the leave-one-out loss is clearly lower and
        the evidence higher; the one tells what the other leaves open.
        """
        n_evaluations, number = solution.n_evaluations, solution.iterate.number
        kept: _Judgement | None = None
        try:
            while number < max_iter and n_evaluations < max_fun:
                if not self._penalty_outweighs_loss(objective, solution.iterate.parameters, course.alphas[-1]):
                    break
                kept = kept or self._judge(objective, solution.iterate.parameters, course.alphas[-1])
                course.final = kept.measure
                alphas = course.alphas[-1] / _WEAKER
                weaker = objective.with_alpha(self.penalty.per_parameter(alphas))
                trial = descend(weaker, solution.iterate.parameters, number, max_iter - number, max_fun - n_evaluations)
                number, n_evaluations = trial.iterate.number, n_evaluations + trial.n_evaluations
                solution = replace(solution, n_evaluations=n_evaluations)
                if trial.outcome.status != 0:
                    stops = trial.outcome in (Outcome.CALLBACK, Outcome.INTERRUPTED)
                    return replace(solution, outcome=trial.outcome) if stops else solution, course
                judged = self._judge(objective, trial.iterate.parameters, alphas)
                if not judged.is_better_than(kept):
                    break
                kept, solution = judged, replace(trial, n_evaluations=n_evaluations)
                course.begin(number, alphas)
                course.note(number, judged.measure)
                course.final = judged.measure
        except KeyboardInterrupt:
            return replace(solution, outcome=Outcome.INTERRUPTED), course
        except FloatingPointError:
            pass
        return solution, course

    def _penalty_outweighs_loss(self, objective: Objective, parameters: Parameters, alphas: Array) -> bool:
        penalty = 0.5 * float(alphas @ self.penalty.squared_norms(parameters)) / objective.total_weight
        return penalty > objective.mean_loss(parameters)

    def _judge(self, objective: Objective, parameters: Parameters, alphas: Array) -> "_Judgement":
        measure = self.measure_well(objective, parameters, alphas)
        try:
            left_out = leave_one_out_loss(objective, parameters, measure.curvature, self.weight_scale, self.seed)
        except ValueError as error:  # of linear algebra, where something is not finite
            raise FloatingPointError(str(error)) from error
        return _Judgement(measure, left_out)


@dataclass(frozen=True)
class _Judgement:
    """What speaks for a fit."""

    measure: Measure
    left_out_loss: float

    def is_better_than(self, other: "_Judgement") -> bool:
        return (
            self.left_out_loss < _CLEARLY * other.left_out_loss
            and self.measure.log_evidence > other.measure.log_evidence
        )


_FINAL = {Outcome.CALLBACK, Outcome.INTERRUPTED, Outcome.EARLY_STOPPING, Outcome.MAX_FUN, Outcome.OVERFLOW}


def _bounded(alphas: Array) -> Array:
    return np.clip(np.nan_to_num(alphas, nan=1.0), _LEAST_ALPHA, _MOST_ALPHA)
