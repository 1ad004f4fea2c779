"""Alpha chosen by the evidence, from the training rows alone, while the network is fitted.

A round is (1) some iterations of L-BFGS, (2) a measurement of gamma at the point reached, and (3) the update
alpha_g <- gamma_g / ||W_g||^2. The rounds become longer, and lead to a fixed point of the evidence. Then (4) L-BFGS
goes on to the minimum for that alpha, and (5) other candidates are compared with this one, see `candidates`.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array, Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.objective import Objective
from skrelu._fit.candidates import Candidates, is_at_rest, tol_factor
from skrelu._fit.course import Course, Round, Run
from skrelu._fit.descent import Descent
from skrelu._fit.outcome import Outcome
from skrelu._fit.strategy import Strategy
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.leave_one_out import MAX_OUTPUTS
from skrelu._laplace.measurement import Measurement

# docs/decisions/0007 has the measurements behind these.
_FIRST_ITERATIONS = 10  # of a round; with many more, a weak first alpha would overfit before it is corrected
_ITERATIONS_GROWTH = 1.4  # from one round to the next
_MAX_ROUNDS = 40

_FINAL_OUTCOMES = {Outcome.CALLBACK, Outcome.INTERRUPTED, Outcome.EARLY_STOPPING, Outcome.MAX_FUN, Outcome.OVERFLOW}


@dataclass(frozen=True)
class EvidenceRounds(Strategy):
    """Alpha is chosen by the evidence, from a weak penalty on.

    With a weak penalty the network learns before the penalty acts. A strong first penalty would lead to dead units.
    """

    evidence: Evidence

    def descend(self, descent: Descent, datafit: DataTerm, start: Parameters) -> Course:
        """Fit the network and choose alpha. The rounds end when half of `max_iter` iterations have been spent."""
        course = Course()
        try:
            previous = self._settle(descent, datafit, start, course)
            # With validation rows, their score decides which iterate is kept.
            is_judged = descent.monitor.validate is None and datafit.network.layer_sizes[-1] <= MAX_OUTPUTS
            if is_judged and course.outcome.is_converged:
                try:
                    Candidates(self.evidence, descent, datafit, course, previous).compare()
                except FloatingPointError:
                    return course  # it ends with the best candidate so far
        except KeyboardInterrupt:
            if course.solution is None:
                raise
            course.end(Outcome.INTERRUPTED)
        if course.outcome in (Outcome.MAX_ITER, Outcome.MAX_FUN) and course.rounds[0].last_iter is None:
            course.end(Outcome.NO_ROUND)
        return course

    def _settle(
        self, descent: Descent, datafit: DataTerm, parameters: Parameters, course: Course
    ) -> Measurement | None:
        """Make rounds until alpha has settled, then go on to the minimum: steps (1) to (4).

        Returns
        -------
        measurement : Measurement or None
            The last one, if there was any.
        """
        penalty, measurement = self.penalty, None
        n_iter: float = _FIRST_ITERATIONS
        is_settled = is_last = False
        while True:
            objective = Objective(datafit, penalty)
            began = descent.n_iter
            if is_last and course.solution is not None:
                solution = descent.run(objective, parameters, tol_factor=tol_factor(course.solution.iterate))
            else:
                solution = descent.run(objective, parameters, int(n_iter))
            course.begin(Round(began, penalty), solution)
            if solution.outcome in _FINAL_OUTCOMES or is_last:
                if solution.outcome.is_converged and not is_settled:
                    course.end(Outcome.ALPHA)
                return measurement
            if descent.spent is not None:
                course.end(descent.spent)
                return measurement
            parameters = solution.iterate.parameters
            try:
                measurement = self.evidence.measure_next(objective, parameters, solution.iterate.value, measurement)
            except FloatingPointError:  # the fit goes on with these alphas; `Search` reports it if it persists
                is_settled = is_last = True
                continue
            course.rounds[-1] = course.rounds[-1].measured(descent.n_iter, measurement)
            penalty = self.evidence.update(measurement, parameters)
            is_settled = is_at_rest(measurement, penalty)
            is_last = is_settled or 2 * descent.n_iter >= descent.limits.max_iter or len(course.rounds) == _MAX_ROUNDS
            n_iter *= _ITERATIONS_GROWTH

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
