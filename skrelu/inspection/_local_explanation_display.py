"""The picture of one prediction: the parts of its score, column by column."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from scipy.special import expit

from skrelu._core.arrays import Array, MatrixLike
from skrelu.inspection._contributions import contributions_of
from skrelu.inspection._explained import Columns, Explained
from skrelu.inspection._outputs import (
    COLOR_AGAINST,
    COLOR_FOR,
    MIN_CHARACTERS,
    Output,
    align_right,
    check_count,
    distinct_parts,
    fit_labels,
    is_narrow,
    shorten,
)
from skrelu.inspection._plotting import import_pyplot, label_axis, size_in_points, wrap_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HALF_BAR = 0.35  # of the distance between bars
_AXES_SHARE = 0.6  # the width that the axes keep beside labels, as a fraction of that before they are drawn
_TICK_WIDTH = 45.0  # points
# In the order in which they are taken.
_ROUND_PROBABILITIES = (
    np.array([0.5, 0.1, 0.9, 0.01, 0.99, 0.001, 0.999, 0.0001, 0.9999]),
    *(np.arange(1, n) / n for n in (10, 20, 100, 1000)),
)


class LocalExplanationDisplay:
    """Picture of one prediction: the exact parts of its score, from that of a reference to that of the row.

    In its activation region the network is a linear function. So the score of a row is the score of a reference under
    the row's linear model, plus coef_j (x_j - reference_j) for each column j. The picture shows this sum from top to
    bottom. The largest parts come first, and the smallest are summed as 'other'.

    `from_estimator` makes the picture of a fitted model. As in scikit-learn's displays, the data are stored as
    attributes, and `plot` can be called again, with another `ax` or style.

    Parameters
    ----------
    contributions : ndarray of shape (n_columns,)
        The part of each column in the score (nats).
    base : float
        The score of the reference under the row's linear model (nats).
    score : float
        The score of the row: `base` plus the sum of the contributions (nats).
    names : ndarray of shape (n_columns,)
        The full names of the columns.
    values : ndarray of shape (n_columns,)
        The values of the columns in the row.
    output : label or None, default=None
        The class or the label that the score belongs to.
    score_name : str, default="score"
        What the score is, for the axis.
    base_probability, probability : float or None, default=None
        The probability of `output` at the reference, under the row's linear model, and at the row.
    is_log_odds : bool, default=False
        Whether the sigmoid of a score is the probability of `output`. Then an axis of probabilities is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure that contains them.
    bars_ : matplotlib BarContainer
        The parts that are drawn, from top to bottom.
    connectors_ : matplotlib LineCollection
        The lines from the end of each part to the next one.
    ends_ : matplotlib Line2D
        The marks of the score of the reference, above, and of the row, below.
    amounts_axis_ : matplotlib SecondaryAxis
        The axis with the amount of each part, on the right.
    probability_axis_ : matplotlib SecondaryAxis or None
        The axis of probabilities; None if `is_log_odds` is False.

    See Also
    --------
    local_linear_models : The linear model of each row.
    local_feature_importance : How much each column matters, over many rows.

    Notes
    -----
    With more than two classes the score of a class is that of the network less the mean over all classes, as only
    differences of scores have a meaning. Contributions and `base` are centred in the same way.

    With predictive='laplace' scores and probabilities are those before moderation.

    References
    ----------
    A. Sudjianto, W. Knauth, R. Singh, Z. Yang and A. Zhang, 'Unwrapping the black box of deep ReLU networks:
    interpretability, diagnostics, and simplification', arXiv 2011.04041, 2020.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import LocalExplanationDisplay
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> display = LocalExplanationDisplay.from_estimator(classifier, X.iloc[0])
    >>> total = display.base + display.contributions.sum()
    >>> bool(np.isclose(total, classifier.decision_function(X.iloc[[0]])[0]))
    True
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        contributions: Array,
        base: float,
        score: float,
        names: Array,
        values: Array,
        output: Any = None,
        score_name: str = "score",
        base_probability: float | None = None,
        probability: float | None = None,
        is_log_odds: bool = False,
    ) -> None:
        self.contributions = contributions
        self.base = base
        self.score = score
        self.names = names
        self.values = values
        self.output = output
        self.score_name = score_name
        self.base_probability = base_probability
        self.probability = probability
        self.is_log_odds = is_log_odds

    @classmethod
    def from_estimator(
        cls,
        classifier: Any,
        x: MatrixLike,
        *,
        reference: MatrixLike | None = None,
        output: Any = None,
        max_display: int = 10,
        columns: Columns = "auto",
        ax: "Axes | None" = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the parts of the score of one row.

        Parameters
        ----------
        classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
            A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of
            these.
        x : {array-like, sparse matrix} of shape (n_features,) or (1, n_features)
            One row, also a data frame with one row, or a row of a pandas frame as `frame.iloc[0]` gives it.
        reference : {array-like, sparse matrix} of shape (n_rows, n_features) or (n_features,), default=None
            Rows whose mean is the reference. None means the mean of the training rows if the classifier knows it
            (`feature_mean_`), otherwise the row whose features are 0.
        output : label, default=None
            The class whose score is explained, as in `classes_`; for multilabel targets the number of the label. None
            means the second of two classes, otherwise the class or label with the largest score for x.
        max_display : int, default=10
            The largest number of parts that are drawn. If there are more columns, the last part is the sum of the
            smallest.
        columns : {'auto', 'original', 'transformed'}, default='auto'
            For a pipeline, the columns that the parts belong to. 'original': the columns of X; parts of features that
            come from the same column, as after an encoder, are summed. 'transformed': the features that the last step
            gets. 'auto': the columns of X if the steps can be followed, otherwise the transformed ones.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        bar_kwargs : dict or None, default=None
            Passed to `matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : LocalExplanationDisplay

        Raises
        ------
        TypeError, ValueError
            If the classifier is of another kind, if x is not one row, if x, `reference` or `output` does not fit, or if
            `columns='original'` and a step cannot be followed.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        check_count(max_display, "max_display")
        explained = Explained.of(classifier, columns)
        row = _read_rows(x, "x")
        if row.shape[0] != 1:
            raise ValueError(f"x must be one row, got {row.shape[0]} rows.")
        with _naming("x"):
            contributions, base, scores = contributions_of(explained, row)
        chosen = Output.choose(explained.network.labels, output, scores)
        if reference is not None:
            with _naming("reference"):
                contributions, base, scores = contributions_of(explained, row, _read_rows(reference, "reference"))
        display = cls(
            contributions=chosen.select(contributions)[0],
            base=float(chosen.select(base)[0]),
            score=float(chosen.select(scores)[0]),
            names=explained.names,
            values=_values_of(explained, row),
            output=chosen.label,
            score_name=chosen.score_name,
            base_probability=float(chosen.probability(base)[0]),
            probability=float(chosen.probability(scores)[0]),
            is_log_odds=chosen.is_log_odds,
        )
        return display.plot(ax, max_display=max_display, bar_kwargs=bar_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, max_display: int = 10, bar_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Draw the parts of the score.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        max_display : int, default=10
            The largest number of parts that are drawn. If there are more columns, the last part is the sum of the
            smallest.
        bar_kwargs : dict or None, default=None
            Passed to `matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : LocalExplanationDisplay

        Raises
        ------
        ValueError
            If `max_display` is not a positive integer.
        ImportError
            If matplotlib is missing.
        """
        plt = import_pyplot(type(self).__name__)
        check_count(max_display, "max_display")
        shown = np.argsort(-np.abs(self.contributions), kind="stable")
        n_other = 0 if len(shown) <= max_display else len(shown) - max_display + 1
        shown, others = shown[: len(shown) - n_other], shown[len(shown) - n_other :]
        parts = self.contributions[shown]
        if n_other:
            parts = np.append(parts, self.contributions[others].sum())
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 1.2 + 0.38 * (len(parts) + 2)), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_parts(ax, parts, bar_kwargs or {})
        self._label_parts(ax, parts, shown, n_other)
        self._label_scores(ax)
        return self

    def _draw_parts(self, ax: Any, parts: Array, given: dict[str, Any]) -> None:
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import LineCollection
        from matplotlib.patches import Rectangle

        places = np.arange(1, len(parts) + 1)
        ends = self.base + np.concatenate(([0.0], np.cumsum(parts)))
        colors = [COLOR_FOR if part > 0 else COLOR_AGAINST for part in parts]
        style: dict[str, Any] = {"color": colors, "height": 2 * _HALF_BAR, "zorder": 2}
        self.bars_ = ax.barh(places, parts, left=ends[:-1], **(style | normalize_kwargs(given, Rectangle)))
        (self.ends_,) = ax.plot(
            [self.base, self.score], [0, len(parts) + 1], linestyle="none", marker="D", color="0.2", zorder=3
        )
        tops = np.arange(len(ends)) + np.where(np.arange(len(ends)) > 0, _HALF_BAR, 0.0)
        bottoms = np.arange(1, len(ends) + 1) - np.where(np.arange(1, len(ends) + 1) < len(ends), _HALF_BAR, 0.0)
        segments: Any = np.stack((np.column_stack((ends, tops)), np.column_stack((ends, bottoms))), axis=1)
        self.connectors_ = ax.add_collection(LineCollection(segments, colors="0.4", linewidths=0.8, zorder=1))
        low, high = ends.min(), ends.max()
        margin = 0.06 * (high - low) or 0.5
        ax.set_xlim(low - margin, high + margin)
        ax.set_ylim(len(parts) + 1.6, -0.6)
        if low < 0 < high:
            ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)

    def _label_parts(self, ax: Any, parts: Array, shown: Array, n_other: int) -> None:
        """Write the names and the values of the columns on the left, and the amounts on the right."""
        font_size, n_characters = fit_labels(ax, len(parts) + 2)
        names = distinct_parts(self.names[shown], n_characters)
        labels = [_say_column(name, value, n_characters) for name, value in zip(names, self.values[shown], strict=True)]
        if n_other:
            labels.append(f"other ({n_other} column{'s' if n_other > 1 else ''})")
        ends = [
            text if probability is None else f"{text}\nprobability {_say_probability(probability)}"
            for text, probability in (("reference", self.base_probability), ("this row", self.probability))
        ]
        places = np.arange(len(parts) + 2)
        ax.set_yticks(places, [ends[0], *labels, ends[1]])
        ax.tick_params(axis="y", length=0, labelsize=font_size)
        n_decimals = _count_decimals(np.array([self.base, self.score, *parts]))
        amounts = [f"{part:+.{n_decimals}f}" for part in parts]
        amounts = [f"{self.base:.{n_decimals}f}", *amounts, f"{self.score:.{n_decimals}f}"]
        self.amounts_axis_ = ax.secondary_yaxis("right")
        self.amounts_axis_.set_yticks(places, [amount.replace("-", "\N{MINUS SIGN}") for amount in amounts])
        self.amounts_axis_.tick_params(axis="y", length=0, labelsize=font_size)

    def _label_scores(self, ax: Any) -> None:
        label_axis(ax, "x", f"{self.score_name} (nats)")
        if is_narrow(ax):
            align_right(ax.xaxis.label)
        n_ticks = max(int(_AXES_SHARE * size_in_points(ax)[0] / _TICK_WIDTH), 2)
        ax.locator_params(axis="x", nbins=n_ticks + 1)
        self.probability_axis_ = None
        if self.is_log_odds:
            scores, names = _probability_ticks(ax.get_xlim(), n_ticks)
            self.probability_axis_ = ax.secondary_xaxis("top")
            self.probability_axis_.set_xticks(scores, names)
            label_axis(self.probability_axis_, "x", f"probability of {self.output}")
            if is_narrow(ax):
                align_right(self.probability_axis_.xaxis.label)


def _say_probability(probability: float) -> str:
    """Return a probability in percent, with more digits near 0 and 1."""
    rare = min(probability, 1 - probability)
    if rare < 5e-5:
        return "<0.01%" if probability < 0.5 else ">99.99%"
    return f"{100 * probability:.{2 if rare < 0.001 else 1 if rare < 0.0995 else 0}f}%"


def _probability_ticks(limits: tuple[float, float], n_ticks: int) -> tuple[Array, list[str]]:
    """Return the log-odds within the limits of at most `n_ticks` + 1 round probabilities, and their names."""
    chosen: list[float] = []
    low, high = limits
    apart = (high - low) / n_ticks
    for probabilities in _ROUND_PROBABILITIES:
        if len(chosen) > 2:
            break
        for score in np.log(probabilities) - np.log1p(-probabilities):
            if low <= score <= high and all(abs(score - other) >= apart for other in chosen):
                chosen.append(float(score))
    if not chosen:
        middle = (low + high) / 2
        return np.array([middle]), [_say_probability(float(expit(middle)))]
    return np.array(chosen), [f"{100 * probability:.4g}%" for probability in expit(chosen)]


def _say_column(name: Any, value: Any, n_characters: int) -> str:
    """Return 'name = value', in two lines if it is long."""
    text = f"= {_say_value(value)}"
    if len(text) > n_characters:
        return wrap_name(f"{shorten(name, n_characters // 2)} {text}", n_characters, 2)
    n_free = n_characters - len(text) - 1
    short = shorten(name, n_characters + n_free if n_free >= MIN_CHARACTERS // 2 else n_characters)
    lines = wrap_name(short, n_characters).split("\n")
    if len(lines) > 2 or (len(lines) == 2 and len(lines[1]) > n_free):  # a line has ended early
        short = shorten(name, n_characters)
        lines = [wrap_name(short, len(short))]
    is_beside = len(lines[-1]) <= n_free
    return "\n".join(lines) + (" " if is_beside else "\n") + text.replace("$", r"\$")


def _say_value(value: Any) -> str:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    number = float(value)
    is_whole = not np.isfinite(number) or number.is_integer() or abs(number) >= 1e4
    text = f"{number:.0f}" if is_whole and not 1e7 <= abs(number) < np.inf else f"{number:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _count_decimals(amounts: Array) -> int:
    """Return the decimals with which the largest amount has three digits."""
    largest = np.abs(amounts).max()
    return int(np.clip(2 - np.floor(np.log10(largest)), 0, 9)) if largest > 0 else 0


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the parameter in errors about rows, which otherwise speak of X."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name} does not fit: {error}") from error


def _read_rows(given: Any, name: str) -> Any:
    """Return rows in two dimensions; one dimension is one row."""
    if hasattr(given, "to_frame") and hasattr(given, "index"):  # a row of a pandas frame
        return given.to_frame().T.infer_objects()
    if not hasattr(given, "columns") and not sparse.issparse(given):
        table = np.asarray(given)
        if table.dtype.kind in "US" and not isinstance(given, np.ndarray):
            table = np.asarray(given, dtype=object)  # numbers stay numbers
        given = table
    if given.ndim not in (1, 2) if hasattr(given, "ndim") else False:
        raise ValueError(f"{name} must have one or two dimensions, got shape {given.shape}.")
    return given.reshape(1, -1) if len(given.shape) == 1 else given


def _values_of(explained: Explained, row: Any) -> Array:
    """Return the value of each column of the explanation in the one row."""
    table = explained.rows(row) if explained.columns == "transformed" else row
    names = explained.names
    if sparse.issparse(table):
        found: Any = table.toarray()[0]
    elif not hasattr(table, "columns"):
        found = np.asarray(table)[0]
    elif set(names) <= set(table.columns):
        found = [np.asarray(table[name])[0] for name in names]
    else:
        found = [np.asarray(getattr(table, "iloc", table)[:, number])[0] for number in range(len(names))]
    values = np.empty(len(names), dtype=object)
    values[:] = list(found)
    return values
