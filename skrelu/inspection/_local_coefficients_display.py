"""The picture of local coefficients: many columns side by side, or one column along its values."""

from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skrelu._core.arrays import Array, MatrixLike, Rows
from skrelu._core.scores import compute_scores
from skrelu.inspection._explained import TRANSFORMED, Columns, Explained
from skrelu.inspection._local_models import region_models
from skrelu.inspection._outputs import (
    COLOR_AGAINST,
    COLOR_FOR,
    Output,
    align_right,
    check_count,
    distinct_parts,
    fit_labels,
    is_narrow,
    shorten,
)
from skrelu.inspection._plotting import import_pyplot, label_axis, size_in_points, wrap_name
from skrelu.inspection._space import find_column, list_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["parallel", "profile"]

_MIDDLE = "#9a9a9a"
_HISTOGRAM_SHARE = 0.15  # of the height of the axes
_N_BINS = 40
_POINTS_AREA = 3e4  # of all points, in square points


class LocalCoefficientsDisplay:
    """Picture of the coefficients of the linear models that a network is around the rows of X.

    With `kind='parallel'` there is a line for each of the activation regions with the most rows. It passes through the
    coefficients of the columns, the most important column at the top. Lines are thicker the more rows the region has,
    and have the colour of the mean probability of its rows. Where the lines lie together the network acts like one
    logistic regression.

    With `kind='profile'` there is a point for each row: the coefficient of one column against its value. The histogram
    below shows how the rows are spread.

    `from_estimator` makes the picture of a fitted model. As in scikit-learn's displays, the data are stored as
    attributes, and `plot` can be called again, with another `ax`, kind, feature or style.

    Parameters
    ----------
    coef : ndarray of shape (n_regions, n_columns)
        The coefficients of each region (nats for one unit of the column), the region with the most rows first.
    region : ndarray of shape (n_samples,)
        The number of each row's region.
    rows : {ndarray, sparse matrix} of shape (n_samples, n_columns)
        The rows in the columns of `coef`.
    probabilities : ndarray of shape (n_samples,)
        The probability of `output` for each row.
    names : ndarray of shape (n_columns,)
        The full names of the columns.
    output : label or None, default=None
        The class or the label that the coefficients belong to.
    score_name : str, default="score"
        What the score is, for the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure that contains them.
    columns_ : ndarray of int
        The numbers of the columns that are drawn: from top to bottom, or the one along which the profile is.
    lines_ : matplotlib LineCollection or None
        The lines of the regions, the region with the most rows last, on top; None in a profile.
    points_ : matplotlib PathCollection
        The coefficients on the lines, or the rows of a profile.
    histogram_ : matplotlib BarContainer or None
        The number of rows along the column of a profile; otherwise None.
    colorbar_ : matplotlib Colorbar
        The scale of the probability.

    See Also
    --------
    local_linear_models : The coefficients of each row.
    local_feature_importance : How much each column matters, over many rows.
    sklearn.inspection.PartialDependenceDisplay : The mean response along a column, for any model.

    Notes
    -----
    With more than two classes the score of a class is that of the network less the mean over all classes, as only
    differences of scores have a meaning. With predictive='laplace' scores and probabilities are those before
    moderation.

    References
    ----------
    A. Sudjianto, W. Knauth, R. Singh, Z. Yang and A. Zhang, 'Unwrapping the black box of deep ReLU networks:
    interpretability, diagnostics, and simplification', arXiv 2011.04041, 2020.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import LocalCoefficientsDisplay
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> display = LocalCoefficientsDisplay.from_estimator(classifier, X)
    >>> display = display.plot(kind="profile", feature="worst area")
    >>> display.ax_.get_xlabel()
    'worst area'
    >>> plt.close("all")
    """

    def __init__(
        self,
        *,
        coef: Array,
        region: Array,
        rows: Rows,
        probabilities: Array,
        names: Array,
        output: Any = None,
        score_name: str = "score",
    ) -> None:
        self.coef = coef
        self.region = region
        self.rows = rows
        self.probabilities = probabilities
        self.names = names
        self.output = output
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        classifier: Any,
        X: MatrixLike,
        *,
        kind: Kind = "parallel",
        feature: int | str | None = None,
        n_regions: int = 20,
        max_display: int = 15,
        output: Any = None,
        columns: Columns = "auto",
        standardize: bool | None = None,
        ax: "Axes | None" = None,
        line_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the local coefficients of a fitted classifier.

        Parameters
        ----------
        classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
            A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of
            these.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows as `classifier.predict` takes them. Regions, deviations and importances are those of these rows, so
            give many.
        kind : {'parallel', 'profile'}, default='parallel'
            'parallel' draws the coefficients of many columns, a line for each region. 'profile' draws those of one
            column against its values, a point for each row.
        feature : int or str, default=None
            The column of a profile, by number or by name. None means the most important one. Only with
            `kind='profile'`.
        n_regions : int, default=20
            The largest number of regions that are drawn with `kind='parallel'`: those with the most rows.
        max_display : int, default=15
            The largest number of columns that are drawn with `kind='parallel'`: the most important ones, by the mean
            over all rows of the squared coefficient times the column's variance.
        output : label, default=None
            The class whose score is explained, as in `classes_`; for multilabel targets the number of the label. None
            means the second of two classes, otherwise the class or label with the largest score in most rows of X.
        columns : {'auto', 'original', 'transformed'}, default='auto'
            For a pipeline, the columns that the coefficients belong to. 'original': the columns of X that enter as
            numbers, through linear steps such as scalers, and the features that an encoder or another step makes of the
            other columns. 'transformed': the features that the last step gets, named by `get_feature_names_out`.
            'auto': those of X if the steps can be followed, otherwise the transformed ones.
        standardize : bool, default=None
            Whether coefficients are multiplied by the standard deviation of the column in X. None means yes for
            `kind='parallel'`, where columns of different units stand together, and no for `kind='profile'`.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        line_kwargs, scatter_kwargs : dict or None, default=None
            Passed to `matplotlib.collections.LineCollection` for the regions, and to `matplotlib.axes.Axes.scatter` for
            the points.

        Returns
        -------
        display : LocalCoefficientsDisplay

        Raises
        ------
        TypeError, ValueError
            If the classifier is of another kind, if X, `output` or another parameter does not fit, or if
            `columns='original'` and a step cannot be followed.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        explained = Explained.of(classifier, columns)
        names = explained.base_names
        _check(kind, feature, n_regions, max_display, names)
        Z = explained.rows(X)
        coef, _, groups, _ = region_models(explained, Z, of_base=True)
        scores = compute_scores(*explained.network[:2], Z, explained.n_jobs)
        chosen = Output.choose(explained.network.labels, output, scores)
        display = cls(
            coef=chosen.select(coef),
            region=groups.region,
            rows=explained.base_rows(X, Z),
            probabilities=chosen.probability(scores),
            names=names,
            output=chosen.label,
            score_name=chosen.score_name,
        )
        return display.plot(
            ax,
            kind=kind,
            feature=feature,
            n_regions=n_regions,
            max_display=max_display,
            standardize=standardize,
            line_kwargs=line_kwargs,
            scatter_kwargs=scatter_kwargs,
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        kind: Kind = "parallel",
        feature: int | str | None = None,
        n_regions: int = 20,
        max_display: int = 15,
        standardize: bool | None = None,
        line_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the coefficients.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        kind : {'parallel', 'profile'}, default='parallel'
            'parallel' draws the coefficients of many columns, a line for each region. 'profile' draws those of one
            column against its values, a point for each row.
        feature : int or str, default=None
            The column of a profile, by number or by name. None means the most important one. Only with
            `kind='profile'`.
        n_regions : int, default=20
            The largest number of regions that are drawn with `kind='parallel'`: those with the most rows.
        max_display : int, default=15
            The largest number of columns that are drawn with `kind='parallel'`: the most important ones.
        standardize : bool, default=None
            Whether coefficients are multiplied by the standard deviation of the column in X. None means yes for
            `kind='parallel'` and no for `kind='profile'`.
        line_kwargs, scatter_kwargs : dict or None, default=None
            Passed to `matplotlib.collections.LineCollection` for the regions, and to `matplotlib.axes.Axes.scatter` for
            the points.

        Returns
        -------
        display : LocalCoefficientsDisplay

        Raises
        ------
        ValueError
            If a parameter does not fit.
        ImportError
            If matplotlib is missing.
        """
        plt = import_pyplot(type(self).__name__)
        _check(kind, feature, n_regions, max_display, self.names)
        is_parallel = kind == "parallel"
        deviations = _deviations(self.rows)
        if standardize is None:
            standardize = is_parallel
        if standardize and not deviations.any():
            raise ValueError(
                "standardize must be False for these rows: all rows of X are equal, so the deviations of the columns "
                "are 0."
            )
        order = np.argsort(-self._importances(deviations), kind="stable")
        if is_parallel:
            self.columns_ = order[:max_display]
        else:
            self.columns_ = order[:1] if feature is None else np.array([_find_feature(feature, self.names)])
        coef = self.coef[:, self.columns_] * (deviations[self.columns_] if standardize else 1.0)
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        if ax is None:
            height = max(3.2, 1.6 + 0.32 * len(self.columns_)) if is_parallel else 4.8
            _, ax = plt.subplots(figsize=(6.4, height), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: Any = None
        self.histogram_: Any = None
        line_kwargs, scatter_kwargs = line_kwargs or {}, scatter_kwargs or {}
        colormap = LinearSegmentedColormap.from_list("probability", [COLOR_AGAINST, _MIDDLE, COLOR_FOR])
        style: dict[str, Any] = {"cmap": colormap, "norm": Normalize(0, 1)}
        style |= {name: given[name] for given in (line_kwargs, scatter_kwargs) for name in style if name in given}
        narrow = is_narrow(ax)
        self.colorbar_ = self.figure_.colorbar(ScalarMappable(**style), ax=ax, location="bottom" if narrow else "right")
        title = [f"{self.score_name} (nats)"]
        if is_parallel:
            title.append(self._draw_regions(ax, coef[:n_regions], style, line_kwargs, scatter_kwargs))
        else:
            self._draw_profile(ax, coef[self.region, 0], style, scatter_kwargs)
        self._set_title(ax, title, "right" if narrow else "center")
        unit = "one standard deviation" if standardize else "one unit"
        label_axis(ax, "x" if is_parallel else "y", f"change of the score for {unit}")
        mean = "mean " if is_parallel else ""
        label_axis(self.colorbar_.ax, "x" if narrow else "y", f"{mean}probability of {self.output}")
        if narrow:
            align_right(ax.xaxis.label, self.colorbar_.ax.xaxis.label)
        return self

    def _importances(self, deviations: Array) -> Array:
        """Return the importance of each column, as `local_feature_importance` defines it."""
        shares = np.bincount(self.region, minlength=len(self.coef)) / len(self.region)
        importances: Array = shares @ np.square(self.coef * deviations)
        return importances

    def _draw_regions(
        self, ax: Any, coef: Array, style: dict[str, Any], line_kwargs: dict[str, Any], scatter_kwargs: dict[str, Any]
    ) -> str:
        """Draw the lines, and return in words how much of X they show."""
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import LineCollection

        n_shown, n_columns = coef.shape
        counts = np.bincount(self.region, minlength=len(self.coef))
        means = np.bincount(self.region, self.probabilities, len(self.coef))[:n_shown] / counts[:n_shown]
        counts = counts[:n_shown]
        widths = 0.6 + 4 * np.sqrt(counts / len(self.region))
        # The region with the most rows comes last, on top.
        coef, means, widths = coef[::-1], means[::-1], widths[::-1]
        segments: Any = np.stack((coef, np.broadcast_to(np.arange(n_columns), coef.shape)), axis=2)
        given: dict[str, Any] = {"linewidth": widths, "alpha": 0.8, "zorder": 2, "capstyle": "round", **style}
        self.lines_ = LineCollection(segments, **(given | normalize_kwargs(line_kwargs, LineCollection)))
        if not {"color", "colors", "edgecolor"} & set(line_kwargs):
            self.lines_.set_array(means)
        ax.add_collection(self.lines_)
        given = {"c": np.repeat(means, n_columns), "s": np.repeat(2 * widths**2, n_columns), "zorder": 3, **style}
        self.points_ = _scatter(ax, segments.reshape(-1, 2), given, scatter_kwargs)
        ax.axvline(0, color="0.3", linewidth=0.8, zorder=1)
        ax.set_ylim(n_columns - 0.5, -0.5)
        self._name_columns(ax)
        if n_shown < len(self.coef):
            share = 100 * counts.sum() / len(self.region)
            percent = f"{share:.1g}" if share < 1 else f"{min(share, 99):.0f}"
            return f"{n_shown} of {len(self.coef)} regions, {percent}% of the rows"
        return f"{n_shown} regions, all rows" if n_shown > 1 else "one region, all rows"

    def _name_columns(self, ax: Any) -> None:
        n_columns = len(self.columns_)
        (font_size, fitting), (smaller, n_characters) = (fit_labels(ax, n_columns, n_lines) for n_lines in (1, 2))
        names = distinct_parts(self.names[self.columns_], fitting)
        longest = max(map(len, names))
        font_size *= min(fitting / longest, 1)
        if font_size >= smaller:
            labels = [wrap_name(name, longest, 1) for name in names]
        else:
            font_size = smaller
            labels = [wrap_name(shorten(name, 2 * n_characters - 8), n_characters, 2) for name in names]
        ax.set_yticks(np.arange(n_columns), labels, fontsize=font_size)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", color="0.85", linewidth=0.8, zorder=0)
        ax.set_axisbelow(True)

    def _set_title(self, ax: Any, lines: list[str], place: str) -> None:
        font_size = 0.95 * ax.yaxis.label.get_fontsize()
        n_characters = int(size_in_points(ax)[0] / (0.55 * font_size))
        ax.set_title("\n".join(wrap_name(line, n_characters) for line in lines), fontsize=font_size, loc=place)

    def _draw_profile(self, ax: Any, coef: Array, style: dict[str, Any], scatter_kwargs: dict[str, Any]) -> None:
        column = self.columns_[0]
        values = self.rows[:, [column]]
        values = (values.toarray() if sparse.issparse(values) else values)[:, 0].astype(np.float64)
        size = np.clip(_POINTS_AREA / len(values), 4, 30)
        given: dict[str, Any] = {"c": self.probabilities, "s": size, "alpha": 0.7, "linewidth": 0, "zorder": 3}
        self.points_ = _scatter(ax, np.column_stack((values, coef)), given | style, scatter_kwargs)
        low, high = min(coef.min(), 0.0), max(coef.max(), 0.0)
        extent = (high - low) or 1.0
        ax.set_ylim(low - (0.1 + 1.2 * _HISTOGRAM_SHARE) * extent, high + 0.1 * extent)
        ax.axhline(0, color="0.3", linewidth=0.8, zorder=1)
        counts, edges = np.histogram(values, bins=_N_BINS)
        self.histogram_ = ax.bar(
            edges[:-1],
            _HISTOGRAM_SHARE * counts / counts.max(),
            np.diff(edges),
            align="edge",
            color="0.85",
            transform=ax.get_xaxis_transform(),
            zorder=0,
        )
        label_axis(ax, "x", self.names[column])


def _scatter(ax: Any, points: Array, style: dict[str, Any], given: dict[str, Any]) -> Any:
    """Draw points; a colour that the user gives replaces the colours of the probabilities."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.collections import PathCollection

    given = normalize_kwargs(given, PathCollection)
    if {"c", "color", "facecolor"} & set(given):
        style = {name: value for name, value in style.items() if name not in ("c", "cmap", "norm")}
    return ax.scatter(*points.T, **(style | given))


def _check(kind: Any, feature: Any, n_regions: Any, max_display: Any, names: Array) -> None:
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be 'parallel' or 'profile', got {kind!r}.")
    if feature is not None:
        if kind != "profile":
            raise ValueError(f"feature must be None unless kind='profile', got {feature!r}.")
        _find_feature(feature, names)
    check_count(n_regions, "n_regions")
    check_count(max_display, "max_display")


def _find_feature(feature: Any, names: Array) -> int:
    plain = np.array([str(name).removesuffix(TRANSFORMED) for name in names], dtype=object)
    try:
        return find_column(feature, plain, "feature")
    except ValueError as error:
        raise ValueError(f"feature must be one of {list_names(names)}, or its number, got {feature!r}.") from error


def _deviations(rows: Rows) -> Array:
    """Return the standard deviation of each column."""
    if not sparse.issparse(rows):
        return np.asarray(rows.std(axis=0, dtype=np.float64))
    _, variances = mean_variance_axis(rows.astype(np.float64), axis=0)
    return np.sqrt(variances)
