"""Alpha chosen by the evidence, from the training rows alone, while the network is fitted.

A round is (1) a few iterations of L-BFGS, (2) a measurement of gamma at the point reached, and (3) the update
alpha_g <- gamma_g / ||W_g||^2. The rounds lead to a fixed point of the evidence. Then (4) L-BFGS goes on to the minimum
for that alpha. If the penalty outweighs the loss there, (5) weaker penalties are tried.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.datafit import Datafit
from skrelu._core.objective import Objective
from skrelu._fit.course import Course, Round, Run
from skrelu._fit.descent import Descent
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate
from skrelu._fit.strategy import Strategy
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.leave_one_out import leave_one_out_loss
from skrelu._laplace.measurement import Measurement

# docs/decisions/0007 has the measurements behind these.
_ITERATIONS_PER_ROUND = 10  # with many more, a weak first alpha would overfit before it is corrected
_MAX_ROUNDS = 40
_ALPHA_TOLERANCE = 0.1  # the rounds end at a smaller mean change of log alpha
_ALPHA_DIVISOR = 4.0  # divides the alphas where the penalty outweighs the loss
_MAX_LOSS_RATIO = 0.95  # of the leave-one-out losses with a weaker penalty and before it; above, it is not kept
_MAX_OUTPUTS = 100  # with more, weaker penalties are not tried: leave-one-out needs the covariances of all scores

_FINAL_OUTCOMES = {Outcome.CALLBACK, Outcome.INTERRUPTED, Outcome.EARLY_STOPPING, Outcome.MAX_FUN, Outcome.OVERFLOW}


@dataclass(frozen=True)
class EvidenceRounds(Strategy):
    """Alpha is chosen by the evidence, from a weak penalty on.

    With a weak penalty the network learns before the penalty acts. A strong first penalty would lead to dead units.
    """

    evidence: Evidence

    def descend(self, descent: Descent, datafit: Datafit, start: Parameters) -> Course:
        """Fit the network and choose alpha. The rounds end when half of `max_iter` iterations have been spent."""
        course = Course()
        try:
            self._settle(descent, datafit, start, course)
            assert course.solution is not None, "there is a round at least"
            # With validation rows, their score decides which iterate is kept.
            is_judged = descent.monitor.validate is None and datafit.network.layer_sizes[-1] <= _MAX_OUTPUTS
            if is_judged and course.solution.outcome.is_converged:
                self._weaken(descent, datafit, course)
        except KeyboardInterrupt:
            if course.solution is None:
                raise
            course.end(Outcome.INTERRUPTED)
        return course

    def _settle(self, descent: Descent, datafit: Datafit, parameters: Parameters, course: Course) -> None:
        """Make rounds until alpha has settled, then go on to the minimum: steps (1) to (4)."""
        penalty = self.penalty
        n_terms, mean_leverage = None, 0.0
        is_settled = is_last = False
        while True:
            objective = Objective(datafit, penalty)
            began = descent.n_iter
            solution = descent.run(objective, parameters, None if is_last else _ITERATIONS_PER_ROUND)
            course.begin(Round(began, penalty), solution)
            if solution.outcome in _FINAL_OUTCOMES or is_last:
                if solution.outcome.is_converged and not is_settled:
                    course.end(Outcome.ALPHA)
                return
            if descent.spent is not None:
                course.end(descent.spent)
                return
            parameters, value = solution.iterate.parameters, solution.iterate.value
            n_terms = n_terms or self.evidence.first_n_terms(objective)
            try:
                measurement = self.evidence.measure(
                    objective, parameters, n_terms, value=value, mean_leverage=mean_leverage
                )
            except FloatingPointError:  # the fit goes on with these alphas; `Search` reports it if it persists
                is_settled = is_last = True
                continue
            course.rounds[-1] = course.rounds[-1].measured(descent.n_iter, measurement)
            mean_leverage = measurement.curvature.mean_leverage
            n_terms = self.evidence.next_n_terms(n_terms, mean_leverage)
            updated = self.evidence.update(measurement, parameters)
            # If less than one weight is determined, alpha may go to infinity and the fit no longer changes.
            change = np.abs(np.log(updated.alphas / penalty.alphas)) @ measurement.gammas
            is_settled = bool(change / max(measurement.gammas.sum(), 1.0) < _ALPHA_TOLERANCE)
            is_last = is_settled or 2 * descent.n_iter >= descent.limits.max_iter or len(course.rounds) == _MAX_ROUNDS
            penalty = updated

    def _weaken(self, descent: Descent, datafit: Datafit, course: Course) -> None:
        """Try weaker penalties while the penalty outweighs the loss, and keep them while they are better, step (5).

        On tables with little noise the fixed point penalises too much: it takes the curvature as constant, although the
        curvature would vanish with more certain scores. A fit at a quarter of the alphas is kept if its leave-one-out
        loss is clearly lower and its evidence higher. Neither criterion is reliable alone.
        """
        kept: _Judgement | None = None
        try:
            while descent.spent is None:
                assert course.solution is not None, "the rounds come first"
                iterate, objective = course.solution.iterate, Objective(datafit, course.penalty)
                if not _penalty_outweighs_loss(objective, iterate):
                    break
                kept = kept or self._judge(objective, iterate)
                course.measurement = kept.measurement
                weaker = course.penalty.with_alphas(course.penalty.alphas / _ALPHA_DIVISOR)
                objective, began = Objective(datafit, weaker), descent.n_iter
                trial = descent.run(objective, iterate.parameters)
                if not trial.outcome.is_converged:
                    if trial.outcome in (Outcome.CALLBACK, Outcome.INTERRUPTED):
                        course.end(trial.outcome)
                    break
                judged = self._judge(objective, trial.iterate)
                if not judged.is_better_than(kept):
                    break
                kept = judged
                course.begin(Round(began, weaker).measured(descent.n_iter, judged.measurement), trial)
                course.measurement = judged.measurement
        except FloatingPointError:
            pass

    def _judge(self, objective: Objective, iterate: Iterate) -> "_Judgement":
        measurement = self.evidence.measure_well(objective, iterate.parameters, iterate.value)
        try:
            loss = leave_one_out_loss(objective.datafit, iterate.parameters, measurement.curvature, self.evidence.seed)
        except ValueError as error:  # of linear algebra, where something is not finite
            raise FloatingPointError(str(error)) from error
        return _Judgement(measurement, loss)

    def prefers(self, run: Run, other: Run) -> bool:
        """Prefer a run with a measurement, then the higher evidence; without measurements the lower objective."""
        if run.measurement is None and other.measurement is None:
            return run.kept.value < other.kept.value
        if run.measurement is None or other.measurement is None:
            return other.measurement is None
        return run.measurement.log_evidence > other.measurement.log_evidence

    def evidence_curve(self, rounds: list[Round]) -> dict[str, Array]:
        measured = [round_ for round_ in rounds if round_.last_iter is not None]
        alphas = [round_.penalty.alphas for round_ in measured]
        return {
            "n_iter": np.array([round_.last_iter for round_ in measured], dtype=np.intp),
            "alpha": np.reshape(alphas, (-1, len(self.penalty.alphas))),
            "n_effective_parameters": np.array([round_.gamma for round_ in measured]),
            "log_evidence": np.array([round_.log_evidence for round_ in measured]),
        }


@dataclass(frozen=True)
class _Judgement:
    """The results that decide whether a fit with a weaker penalty is kept."""

    measurement: Measurement
    leave_one_out_loss: float

    def is_better_than(self, other: "_Judgement") -> bool:
        return (
            self.leave_one_out_loss < _MAX_LOSS_RATIO * other.leave_one_out_loss
            and self.measurement.log_evidence > other.measurement.log_evidence
        )


def _penalty_outweighs_loss(objective: Objective, iterate: Iterate) -> bool:
    penalty = objective.penalty_value(iterate.parameters)
    return penalty > iterate.value - penalty
