"""Strategies that set alpha: it is fixed here; in `rounds` the evidence chooses it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from skrelu._core.arrays import Parameters
from skrelu._core.data_term import DataTerm
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._fit.course import Course, Round, Run
from skrelu._fit.descent import Descent
from skrelu._fit.solver import Iterate
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.measurement import Measurement


@dataclass(frozen=True)
class Strategy(ABC):
    """A way to set alpha.

    Parameters
    ----------
    penalty : Penalty
        The first penalty.
    evidence : Evidence or None
        Measures the fitted model; None means no measurement.
    """

    penalty: Penalty
    evidence: Evidence | None

    @abstractmethod
    def descend(self, descent: Descent, datafit: DataTerm, start: Parameters) -> Course:
        """Fit the network from a start."""

    @abstractmethod
    def prefers(self, run: Run, other: Run) -> bool:
        """Return whether a run without validation is better than another."""

    @abstractmethod
    def evidence_curve(self, rounds: list[Round]) -> dict[str, Any] | None:
        """Return the fitted attribute `evidence_curve_`."""

    def measure(self, datafit: DataTerm, iterate: Iterate, penalty: Penalty, course: Course) -> Measurement | None:
        """Measure the model in the dtype of the data, as it will be kept; None if there is no `evidence`.

        Raises
        ------
        FloatingPointError
            If the curvature is not finite.
        """
        if self.evidence is None:
            return None
        parameters = iterate.parameters.astype(datafit.dtype).astype(np.float64)
        is_same = np.array_equal(parameters, iterate.parameters)
        if is_same and course.measurement is not None:
            return course.measurement
        return self.evidence.measure_well(Objective(datafit, penalty), parameters, iterate.value if is_same else None)


class FixedAlpha(Strategy):
    """Alpha is fixed by the caller."""

    def descend(self, descent: Descent, datafit: DataTerm, start: Parameters) -> Course:
        course = Course()
        course.begin(Round(0, self.penalty), descent.run(Objective(datafit, self.penalty), start))
        return course

    def prefers(self, run: Run, other: Run) -> bool:
        return run.kept.value < other.kept.value

    def evidence_curve(self, rounds: list[Round]) -> None:
        return None
