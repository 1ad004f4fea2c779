"""Records of a descent: a round, the course of all rounds so far, and the run, which is a completed descent."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skrelu._core.penalty import Penalty
from skrelu._fit.outcome import Outcome
from skrelu._fit.solver import Iterate, Solution
from skrelu._laplace.measurement import Measurement
from skrelu._laplace.moderation import Moderation


@dataclass(frozen=True)
class Round:
    """The iterations with one penalty.

    Attributes
    ----------
    first_iter : int
        The number of the iterate at which the round began.
    penalty : Penalty
    last_iter : int or None
        The number of the iterate at which the evidence was measured, None if it was not.
    gamma : float
        The number of well-determined weights at that iterate.
    log_evidence : float
    """

    first_iter: int
    penalty: Penalty
    last_iter: int | None = None
    gamma: float = np.nan
    log_evidence: float = np.nan

    def measured(self, last_iter: int, measurement: Measurement) -> "Round":
        return replace(self, last_iter=last_iter, gamma=measurement.gamma, log_evidence=measurement.log_evidence)


@dataclass
class Course:
    """The rounds of a descent so far, its latest solution, and the measurement there, None if there is none."""

    rounds: list[Round] = field(default_factory=list)
    solution: Solution | None = None
    measurement: Measurement | None = None

    def begin(self, round_: Round, solution: Solution) -> None:
        """Add a round, with its solution."""
        self.rounds.append(round_)
        self.solution = solution

    def end(self, outcome: Outcome) -> None:
        """Replace the outcome of the latest solution."""
        assert self.solution is not None, "a round comes first"
        self.solution = replace(self.solution, outcome=outcome)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the latest solution."""
        assert self.solution is not None, "a round comes first"
        return self.solution.outcome

    @property
    def penalty(self) -> Penalty:
        """The penalty of the latest solution."""
        return self.rounds[-1].penalty

    def penalty_at(self, iterate: Iterate) -> Penalty:
        """Return the penalty with which an iterate was found."""
        earlier = [round_.penalty for round_ in self.rounds if round_.first_iter < iterate.number]
        return earlier[-1] if earlier else self.rounds[0].penalty


@dataclass(frozen=True)
class Run:
    """A completed descent.

    Attributes
    ----------
    kept : Iterate
        The best iterate: that of the highest validation score or, without validation, of the lowest objective.
    score : float or None
        The validation score of that iterate (minus the log-loss in nats), None without validation.
    loss_curve : list of float
    validation_scores : list of float or None
    n_evaluations : int
    outcome : Outcome
    penalty : Penalty
        The penalty with which that iterate was found.
    measurement : Measurement or None
        The measurement at that iterate, if it was asked for and is finite.
    evidence_curve : dict or None
        The fitted attribute of that name.
    moderation : Moderation or None
        Chosen at that iterate, for the run that is kept; None if the curvature was not measured.
    """

    kept: Iterate
    score: float | None
    loss_curve: list[float]
    validation_scores: list[float] | None
    n_evaluations: int
    outcome: Outcome
    penalty: Penalty
    measurement: Measurement | None
    evidence_curve: dict[str, Any] | None
    moderation: Moderation | None = None

    @property
    def n_iter(self) -> int:
        return len(self.loss_curve)
