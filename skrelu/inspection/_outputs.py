"""The output that a display explains: one class or one label, and its score."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skrelu._core.arrays import Array
from skrelu._data.labels import Labels

# The first two colours of `LinearRegionsDisplay`: orange where the probability is high, or for the output; blue where
# it is low, or against the output.
COLOR_FOR, COLOR_AGAINST = "#ffa90e", "#3f90da"


@dataclass(frozen=True)
class Output:
    """One of the labels, and its score.

    Of two classes it is the log-odds: that of the first one is minus the score of the network. Of several classes only
    differences of scores have a meaning, so it is the class's score less the mean over the classes. Of multilabel
    targets it is the label's own log-odds.

    Attributes
    ----------
    labels : Labels
    number : int
        The position in `labels.classes`.
    """

    labels: Labels
    number: int

    @classmethod
    def choose(cls, labels: Labels, output: Any, scores: Array) -> "Output":
        """Return the output with the label that the user gave.

        None means the second of two classes, otherwise the label whose score is the largest in most of the rows, with
        scores of shape (n_samples, n_outputs).
        """
        if output is not None:
            return cls(labels, _find_label(output, labels))
        if labels.n_outputs == 1:
            return cls(labels, 1)
        return cls(labels, int(np.bincount(scores.argmax(axis=1), minlength=labels.n_outputs).argmax()))

    @property
    def label(self) -> Any:
        return self.labels.classes[self.number]

    @property
    def is_log_odds(self) -> bool:
        """Whether the score alone determines the probability."""
        return self.labels.n_outputs == 1 or self.labels.is_multilabel

    @property
    def score_name(self) -> str:
        return (
            f"log-odds of {self.label}" if self.is_log_odds else f"score of {self.label} less the mean of all classes"
        )

    def select(self, values: Array) -> Array:
        """Return the score of this output, or its coefficients, from those of all outputs along the axis 1."""
        if self.labels.n_outputs == 1:
            return values[:, 0] if self.number == 1 else -values[:, 0]
        chosen: Array = values[:, self.number]
        return chosen if self.labels.is_multilabel else chosen - values.mean(axis=1)

    def probability(self, scores: Array) -> Array:
        """Return the probability of the label, of shape (n_samples,), from scores of shape (n_samples, n_outputs)."""
        with np.errstate(all="ignore"):  # it may underflow to 0
            found: Array = self.labels.loss.probabilities(self.labels.per_class(scores))[:, self.number]
        return found


def _find_label(label: Any, labels: Labels) -> int:
    known = labels.classes.tolist()
    found = [number for number, other in enumerate(known) if np.ndim(label) == 0 and other == label]
    if not found:
        raise ValueError(f"output must be one of the labels {known}, or None, got {label!r}.")
    return found[0]
