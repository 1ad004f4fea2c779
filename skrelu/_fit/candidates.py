"""Candidates for alpha: fits with other penalties than that of the first fixed point, and the judge of them.

The rounds end at a point where alpha is about gamma_g / ||W_g||^2. There L-BFGS goes on to the minimum, and the network
changes on the way. So (1) alpha is updated again, and fitted, until weights and alpha rest together. The fixed point of
MacKay's update takes the curvature as constant, so the evidence need not be highest there. So (2) fits with half the
alphas are tried and, if none of these is kept, (3) fits with twice the alphas. A fit is kept only if it is judged
better than the one before.
"""

from dataclasses import dataclass

import numpy as np

from skrelu._core.arrays import Array
from skrelu._core.data_term import DataTerm
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._fit.course import Course, Round
from skrelu._fit.descent import Descent
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.leave_one_out import leave_one_out_loss
from skrelu._laplace.measurement import Measurement

# docs/decisions/0007 has the measurements behind these.
_ALPHA_TOLERANCE = 0.1  # alpha rests at a smaller mean change of log alpha
_ALPHA_FACTOR = 2.0  # between the alphas of two candidates
_MAX_HALVINGS = 20  # on separable rows each might be kept for ever
_MAX_RATIO = 0.97  # of the costs of two candidates, or of their left-out losses; above, the first one is kept
_EQUAL_EVIDENCE = 1.0  # nats; log evidences that differ by less are equal
_RELATIVE_TOL = 10.0  # times the objective: the part of `tol` to which a candidate is fitted, 1 at most


class Candidates:
    """A solution that the rounds have led to, and the fits that are compared with it.

    Parameters
    ----------
    evidence : Evidence
    descent : Descent
    datafit : DataTerm
    course : Course
        With a converged solution. Each fit that is kept is added to it.
    previous : Measurement or None
        The last measurement before that solution.
    """

    def __init__(
        self, evidence: Evidence, descent: Descent, datafit: DataTerm, course: Course, previous: Measurement | None
    ) -> None:
        self._evidence = evidence
        self._descent = descent
        self._datafit = datafit
        self._course = course
        self._is_cut = False  # whether a limit has prevented or ended a trial
        assert course.solution is not None, "the rounds come first"
        self._iterate = course.solution.iterate
        self._judgement = self._judge(course.penalty, self._iterate, previous)
        course.measurement = self._judgement.measurement

    def compare(self) -> None:
        """Compare the candidates; the course ends with the best one.

        Raises
        ------
        FloatingPointError
            If a candidate cannot be measured. The course then ends with the best one so far.
        """
        self._come_to_rest()
        n_halvings = 0
        # Weaker penalties only where there is little noise, so that the penalty outweighs the loss.
        while n_halvings < _MAX_HALVINGS and self._penalty_outweighs_loss() and self._scale(1 / _ALPHA_FACTOR):
            n_halvings += 1
        while n_halvings == 0 and self._scale(_ALPHA_FACTOR):
            pass

    def _come_to_rest(self) -> None:
        while True:
            measurement = self._judgement.measurement
            updated = self._evidence.update(measurement, self._iterate.parameters)
            if is_at_rest(measurement, updated):
                return
            if not self._try(updated.alphas):
                if self._is_cut:
                    self._course.end(Outcome.ALPHA)
                return

    def _scale(self, factor: float) -> bool:
        return self._try(factor * self._course.penalty.alphas)

    def _try(self, alphas: Array) -> bool:
        """Fit with these alphas; keep the fit if it is better. Return whether it was kept."""
        if not self._course.outcome.is_converged:
            return False
        if self._descent.spent is not None:
            self._is_cut = True
            return False
        penalty, began = self._course.penalty.with_alphas(alphas), self._descent.n_iter
        trial = self._descent.run(
            Objective(self._datafit, penalty), self._iterate.parameters, tol_factor=tol_factor(self._iterate)
        )
        if trial.outcome in (Outcome.CALLBACK, Outcome.INTERRUPTED):
            self._course.end(trial.outcome)
        self._is_cut = trial.outcome in (Outcome.MAX_ITER, Outcome.MAX_FUN)
        if not trial.outcome.is_converged:
            return False
        judgement = self._judge(penalty, trial.iterate, self._judgement.measurement)
        if not judgement.is_better_than(self._judgement):
            return False
        self._iterate, self._judgement = trial.iterate, judgement
        self._course.begin(Round(began, penalty).measured(self._descent.n_iter, judgement.measurement), trial)
        self._course.measurement = judgement.measurement
        return True

    def _judge(self, penalty: Penalty, iterate: Iterate, previous: Measurement | None) -> "Judgement":
        objective = Objective(self._datafit, penalty)
        measurement = self._evidence.measure_well(objective, iterate.parameters, iterate.value, previous)
        try:
            loss = leave_one_out_loss(self._datafit, iterate.parameters, measurement.curvature, self._evidence.seed)
        except ValueError as error:  # of linear algebra, where something is not finite
            raise FloatingPointError(str(error)) from error
        return Judgement(measurement, loss * self._datafit.total_weight)

    def _penalty_outweighs_loss(self) -> bool:
        penalty = Objective(self._datafit, self._course.penalty).penalty_value(self._iterate.parameters)
        return penalty > self._iterate.value - penalty


@dataclass(frozen=True)
class Judgement:
    """The figures that decide which of two fits is kept.

    Attributes
    ----------
    measurement : Measurement
    left_out_loss : float
        The sum of the losses (nats) of all rows, each left out.
    """

    measurement: Measurement
    left_out_loss: float

    @property
    def cost(self) -> float:
        """The sum of two estimates of what the labels cost (nats): minus the log evidence, and the left-out loss."""
        return self.left_out_loss - self.measurement.log_evidence

    def is_better_than(self, other: "Judgement") -> bool:
        if self.cost < _MAX_RATIO * other.cost:
            return True
        # Where all rows are certain, the evidence hardly depends on alpha, and the rows left out decide.
        is_weaker = self.measurement.penalty.alphas.sum() < other.measurement.penalty.alphas.sum()
        is_equal = self.measurement.log_evidence > other.measurement.log_evidence - _EQUAL_EVIDENCE
        return bool(is_weaker and is_equal and self.left_out_loss < _MAX_RATIO * other.left_out_loss)


def is_at_rest(measurement: Measurement, updated: Penalty) -> bool:
    """Return whether alpha would hardly change by an update, on the mean over the well-determined weights."""
    change = np.abs(np.log(updated.alphas / measurement.penalty.alphas)) @ measurement.gammas
    # If less than one weight is determined, alpha may go to infinity and the fit no longer changes.
    return bool(change / max(measurement.gamma, 1.0) < _ALPHA_TOLERANCE)


def tol_factor(iterate: Iterate) -> float:
    """Return the part of `tol` to which a candidate is fitted from an iterate: a small one if its objective is small.

    Where all rows are certain, the objective may be smaller than `tol`. Then its gradient is within `tol` far from the
    minimum, too.
    """
    return float(np.clip(_RELATIVE_TOL * iterate.value, np.finfo(float).eps, 1))
