"""What the displays of local models share: the output that they explain, and the labels beside their axes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from numbers import Integral
from typing import Any

import numpy as np

from skrelu._core.arrays import Array
from skrelu._data.labels import Labels
from skrelu.inspection._plotting import CHARACTER_WIDTH, size_in_points

# Orange where the probability is high, or for the output; blue where
# it is low, or against the output.
COLOR_FOR, COLOR_AGAINST = "#ffa90e", "#3f90da"

MIN_CHARACTERS, _MAX_CHARACTERS = 20, 30  # of a line of a label
_MIN_FONT_SIZE = 6.0  # points
_LINE_HEIGHT = 1.25  # of the font size
_LABEL_SHARE = 0.55  # the width of labels, as a fraction of that of the axes before they are drawn
_NARROW = 3.0  # inches
_MIN_SHARED = 6  # characters; a shorter beginning or end that all names share stays


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
            return cls(labels, find_label(output, labels, "output", or_none=", or None"))
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


def find_label(label: Any, labels: Labels, name: str, or_none: str = "") -> int:
    """Return the position of a label in `labels.classes`; raise a ValueError naming the parameter if it has none."""
    known = labels.classes.tolist()
    found = [number for number, other in enumerate(known) if np.ndim(label) == 0 and other == label]
    if not found:
        raise ValueError(f"{name} must be one of the labels {known}{or_none}, got {label!r}.")
    return found[0]


def check_count(count: Any, name: str) -> None:
    if isinstance(count, bool) or not isinstance(count, Integral) or int(count) < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {count!r}.")


def fit_labels(ax: Any, n_rows: int, n_lines: int = 2) -> tuple[float, int]:
    """Return the font size of labels beside the axes so that `n_lines` fit in a row, and the characters of a line."""
    width, height = size_in_points(ax)
    usual = ax.yaxis.get_major_ticks(1)[0].label1.get_fontsize()
    font_size = max(min(usual, height / (n_rows * n_lines * _LINE_HEIGHT), width / MIN_CHARACTERS), _MIN_FONT_SIZE)
    n_characters = int(_LABEL_SHARE * width / (CHARACTER_WIDTH * font_size))
    return font_size, min(max(n_characters, MIN_CHARACTERS), _MAX_CHARACTERS)


def is_narrow(ax: Any) -> bool:
    """Return whether labels beside the axes leave little room for other ones."""
    return bool(ax.get_window_extent().width < _NARROW * ax.figure.dpi)


def align_right(*labels: Any) -> None:
    """Let labels of narrow axes end with the axes: names on their left make room for them on that side only."""
    for label in labels:
        label.set(x=1.0, horizontalalignment="right")


def distinct_parts(names: Iterable[Any], n_characters: int) -> list[str]:
    """Return names without the beginning and the end that all of them share, if one is much longer than a line."""
    texts = [" ".join(str(name).split()) for name in names]
    longest, shortest = max(map(len, texts), default=0), min(map(len, texts), default=0)
    if len(texts) < 2 or longest <= 1.5 * n_characters:
        return texts
    n_first, n_last = _count_shared(texts), _count_shared([text[::-1] for text in texts])
    if n_first + n_last >= shortest:
        return texts
    return [
        ("…" if n_first else "") + text[n_first : len(text) - n_last].strip() + ("…" if n_last else "")
        for text in texts
    ]


def _count_shared(texts: list[str]) -> int:
    """Return the length of the words with which all texts begin; 0 if it is short."""
    shared = "".join(letters[0] for letters in takewhile(lambda found: len(set(found)) == 1, zip(*texts, strict=False)))
    words = re.match(r".*[\s_\-/.:]", shared)
    return len(words[0]) if words and len(words[0]) >= _MIN_SHARED else 0


def shorten(name: Any, n_characters: int) -> str:
    """Return a name without its middle if it is long: names often differ at one of their ends."""
    text = " ".join(str(name).split())
    if len(text) <= n_characters:
        return text
    n_last = (n_characters - 1) // 2
    return f"{text[: n_characters - 1 - n_last]}…{text[len(text) - n_last :]}"
