"""Outcome of a fit: the reason why it ended, and advice."""

from enum import Enum


class Outcome(Enum):
    """The reason why a fit ended, as (status, message, advice).

    The status is a number of scipy's: 0 converged, 1 a limit, 2 trouble, 99 stopped. The advice is empty if the fit
    ended as it was meant to.
    """

    GRADIENT = (0, "the gradient is within tol", "")
    VALUE = (0, "the objective no longer changes within the precision of the computation", "")
    PROGRESS = (0, "the objective fell by less than tol in more than n_iter_no_change iterations in a row", "")
    ALPHA = (
        1,
        "alpha had not come to rest after 40 rounds, or when max_iter or max_fun allowed no more",
        "Increase max_iter and max_fun, or choose another alpha_grouping.",
    )
    NO_ROUND = (
        1,
        "max_iter or max_fun was reached before the first measurement, so the evidence has not chosen alpha",
        "Increase max_iter and max_fun to a few hundred at least, or set alpha to a number.",
    )
    MAX_ITER = (
        1,
        "max_iter iterations were done",
        "Increase max_iter, or set alpha to a larger number.",
    )
    MAX_FUN = (
        1,
        "max_fun evaluations of the objective were done",
        "Increase max_fun, or set alpha to a larger number.",
    )
    LINE_SEARCH = (
        2,
        "the line search found no lower point",
        "Set alpha to a larger number; a larger tol would accept this point.",
    )
    STALL = (
        2,
        "the objective or the validation score no longer improves, although the gradient is far above tol",
        "Set alpha to a larger number; a larger tol would accept this point.",
    )
    CURVATURE = (
        2,
        "the curvature could not be measured, so alpha stayed where it was",
        "Rescale sample_weight, or set alpha to a number.",
    )
    OVERFLOW = (
        2,
        "the line search found no lower point, since the scores overflow ahead",
        "The last finite iterate is kept. Set alpha to a larger number.",
    )
    EARLY_STOPPING = (99, "the validation score stopped rising", "")
    CALLBACK = (99, "a callback asked to stop", "")
    INTERRUPTED = (99, "interrupted by the user", "")

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def message(self) -> str:
        return self.value[1]

    @property
    def advice(self) -> str:
        return self.value[2]

    @property
    def is_converged(self) -> bool:
        return self.status == 0

    @property
    def is_success(self) -> bool:
        """Whether the fit ended as it was meant to: at a minimum, by early stopping, or by a callback."""
        return self.is_converged or self in (Outcome.EARLY_STOPPING, Outcome.CALLBACK)
