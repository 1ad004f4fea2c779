"""The picture of the activation regions in a plane of two columns."""

import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skrelu._core.arrays import Array, MatrixLike
from skrelu._core.scores import compute_scores
from skrelu._data.labels import Labels, check_indicator
from skrelu.inspection._arrangement import Borders, Regions, Window, find_borders, find_regions
from skrelu.inspection._explained import Columns, Explained, check_finite
from skrelu.inspection._outputs import COLOR_AGAINST, COLOR_FOR, find_label
from skrelu.inspection._plotting import import_pyplot, label_axis, size_in_points, wrap_name
from skrelu.inspection._space import Table, find_column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Ten colours that colour-blind readers can tell apart: M. A. Petroff, 'Accessible color sequences for data
# visualization', arXiv 2107.02270, 2021. scikit-learn draws classes in them too.
_COLORS = (
    COLOR_AGAINST,
    COLOR_FOR,
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_GREY = np.full(3, 0.45)
_MANY = 300  # polygons or points, which would hide the colours if they were not thinner or smaller
_WIDE = 300.0  # points: axes on which markers have their full size
# Font size, characters and lines of a class's name, from the most readable legend to the smallest.
_LEGENDS = ((10, 16, 2), (10, 16, 1), (8, 16, 1), (8, 10, 1))
_LEGEND_HEIGHT = 0.4  # of the axes


class LinearRegionsDisplay:
    """Picture of the activation regions of a network in the plane of two columns, with its decision boundary.

    A network of rectified linear units is a linear function in each region. In a plane the regions are convex polygons.
    They and the decision boundary are computed from the weights, so they are exact at every zoom.

    `from_estimator` makes the picture of a fitted model. As in scikit-learn's displays, the data are stored as
    attributes, and `plot` can be called again, with another `ax` or style.

    Parameters
    ----------
    polygons : list of ndarray of shape (n_vertices, 2)
        The vertices of each region, counter-clockwise, in the units of the two columns.
    pattern : ndarray of shape (n_regions, n_bytes), uint8
        The pattern of each region: for each hidden unit 1 where its input is positive, layer by layer, packed as by
        `numpy.packbits`.
    coef : ndarray of shape (n_regions, n_outputs, 2)
        The derivative of each score by the two columns (nats for one unit of the column).
    intercept : ndarray of shape (n_regions, n_outputs)
        The scores (nats) where both columns are 0, so that in a region they are `coef` times the columns plus this.
    boundary : ndarray of shape (n_segments, 2, 2)
        The ends of the line segments at which the label changes.
    boundary_labels : ndarray of shape (n_segments, 2)
        The positions in `classes` of the two labels that meet there, the smaller first; for multilabel targets twice
        that of the label that changes.
    probabilities : ndarray of shape (grid_resolution, grid_resolution, n_classes)
        The probability of each class in the middle of the cells of a grid over the window. The first axis goes along
        the second column.
    window : tuple of float
        The limits (low, high, low, high) of the first and the second column.
    classes : ndarray of shape (n_classes,)
        The labels, as in `classes_`.
    is_multilabel : bool, default=False
        Whether the classes are independent labels.
    class_of_interest : int or None, default=None
        The position in `classes` of the class whose probability is drawn; None means the second of two classes, and of
        several the most probable one at each place.
    points : ndarray of shape (n_samples, 2) or None, default=None
        Rows to be drawn, in the two columns.
    point_labels : ndarray of shape (n_samples,) or None, default=None
        The positions in `classes` of the labels of `points`. With multilabel targets and a class of interest 1 where a
        row has this label and otherwise 0; without one None.
    feature_names : sequence of two str, default=("x0", "x1")
        The names of the two columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure that contains them.
    image_ : matplotlib AxesImage or None
        The probabilities. None for multilabel targets without a class of interest.
    polygons_ : matplotlib PolyCollection
        The outlines of the regions.
    boundary_ : list of matplotlib LineCollection
        The decision boundary; for multilabel targets one for each label.
    points_ : list of matplotlib PathCollection
        The rows: one for each label that is drawn.
    colorbar_ : matplotlib Colorbar or None
        The scale of the probability if one class has its own.
    legend_ : matplotlib Legend or None
        The colours of the classes.

    See Also
    --------
    local_linear_models : The linear model of each row.
    sklearn.inspection.DecisionBoundaryDisplay : The predictions of any classifier, on a grid.

    References
    ----------
    G. Montufar, R. Pascanu, K. Cho and Y. Bengio, 'On the number of linear regions of deep neural networks', NeurIPS
    2014.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import make_moons
    >>> from skrelu import DeepLogisticClassifier
    >>> from skrelu.inspection import LinearRegionsDisplay
    >>> X, y = make_moons(noise=0.2, random_state=0)
    >>> classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    >>> display = LinearRegionsDisplay.from_estimator(classifier, X, y)
    >>> len(display.polygons) == len(display.coef)
    True
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        polygons: list[Array],
        pattern: Array,
        coef: Array,
        intercept: Array,
        boundary: Array,
        boundary_labels: Array,
        probabilities: Array,
        window: tuple[float, float, float, float],
        classes: Array,
        is_multilabel: bool = False,
        class_of_interest: int | None = None,
        points: Array | None = None,
        point_labels: Array | None = None,
        feature_names: tuple[str, str] = ("x0", "x1"),
    ) -> None:
        self.polygons = polygons
        self.pattern = pattern
        self.coef = coef
        self.intercept = intercept
        self.boundary = boundary
        self.boundary_labels = boundary_labels
        self.probabilities = probabilities
        self.window = window
        self.classes = classes
        self.is_multilabel = is_multilabel
        self.class_of_interest = class_of_interest
        self.points = points
        self.point_labels = point_labels
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        classifier: Any,
        X: MatrixLike,
        y: MatrixLike | None = None,
        features: tuple[int | str, int | str] = (0, 1),
        *,
        values: ArrayLike | Mapping[int | str, float] | None = None,
        columns: Columns = "auto",
        class_of_interest: Any = None,
        margin: float = 0.05,
        grid_resolution: int = 200,
        ax: "Axes | None" = None,
        polygon_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the regions of a fitted classifier.

        The window is the range of X in the two columns, and a margin. Colours are probabilities as of `predict_proba`.
        The decision boundary is that of the scores. With predictive='laplace' and more than two classes the moderated
        probabilities may choose another class close to it.

        Parameters
        ----------
        classifier : DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier or Pipeline
            A fitted classifier. An MLPClassifier must have the activation 'relu', and a pipeline must end in one of
            these.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows as `classifier.predict` takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            The labels of the rows. If they are given, the rows are drawn as points, also those whose other columns are
            far from the values of the plane.
        features : tuple of two int or str, default=(0, 1)
            The numbers or the names of the two columns.
        values : dict or array-like of shape (n_columns,), default=None
            The values of the other columns: a dictionary by the number or the name of the column, or one value for
            each column, where those of the two columns do not matter. None, and a column that a dictionary lacks, mean
            the column's median in X.
        columns : {'auto', 'original', 'transformed'}, default='auto'
            For a pipeline, the columns in which the plane lies. 'original': the columns of X, which needs steps that
            are linear in them, such as scalers. 'transformed': the features that the last step gets, named by
            `get_feature_names_out`. 'auto': those of X if possible, otherwise the transformed ones.
        class_of_interest : label, default=None
            The class whose probability is drawn, with the part of the decision boundary that belongs to it. None means
            the second of two classes. Of several classes the most probable one at each place gives the colour, stronger
            the more probable it is; of multilabel targets only the boundaries are drawn.
        margin : float, default=0.05
            What the window shows beyond the rows on each side, as a fraction of their range.
        grid_resolution : int, default=200
            The number of cells of the grid of probabilities, along each axis. Polygons and boundary need no grid.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        polygon_kwargs, line_kwargs, scatter_kwargs : dict or None, default=None
            Passed to `matplotlib.collections.PolyCollection` for the outlines of the regions, to
            `matplotlib.collections.LineCollection` for the decision boundary, and to `matplotlib.axes.Axes.scatter` for
            the rows.

        Returns
        -------
        display : LinearRegionsDisplay

        Raises
        ------
        TypeError, ValueError
            If the classifier is of another kind, or if X, y, a column, a value or another parameter does not fit.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        explained = Explained.of(classifier, columns, linear=True)
        labels = explained.network.labels
        chosen = _read_features(features, explained.names)
        _check_numbers(margin, grid_resolution)
        position = None if class_of_interest is None else find_label(class_of_interest, labels, "class_of_interest")
        rows = Table.of(explained, X).rows
        point_labels = None if y is None else _read_y(y, labels, len(rows), position)
        window = Window.around(rows, chosen, _read_values(values, rows, explained.names), margin)
        regions = find_regions(*window.restrict(*explained.inputs[:2]))
        check_finite(regions.scores, rows)
        borders = _find_borders(regions, labels)
        coef, intercept = window.models(regions.scores)
        display = cls(
            polygons=np.split(window.place(regions.polygons.points), regions.polygons.starts[1:]),
            pattern=regions.pattern,
            coef=coef,
            intercept=intercept,
            boundary=window.place(borders.segments),
            boundary_labels=borders.labels,
            probabilities=_probabilities(explained, window, int(grid_resolution)),
            window=window.limits,
            classes=labels.classes,
            is_multilabel=labels.is_multilabel,
            class_of_interest=position,
            points=None if y is None else rows[:, chosen],
            point_labels=point_labels,
            feature_names=tuple(explained.drawn_names[chosen]),
        )
        return display.plot(ax, polygon_kwargs=polygon_kwargs, line_kwargs=line_kwargs, scatter_kwargs=scatter_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        polygon_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the regions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None means a new figure.
        polygon_kwargs, line_kwargs, scatter_kwargs : dict or None, default=None
            Passed to `matplotlib.collections.PolyCollection` for the outlines of the regions, to
            `matplotlib.collections.LineCollection` for the decision boundary, and to `matplotlib.axes.Axes.scatter` for
            the rows.

        Returns
        -------
        display : LinearRegionsDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        plt = import_pyplot(type(self).__name__)
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_probabilities(ax)
        self._draw_polygons(ax, polygon_kwargs or {})
        self._draw_boundary(ax, line_kwargs or {})
        self._draw_points(ax, scatter_kwargs or {})
        ax.set_xlim(*self.window[:2])
        ax.set_ylim(*self.window[2:])
        label_axis(ax, "x", self.feature_names[0])
        label_axis(ax, "y", self.feature_names[1])
        self._draw_legend(ax)
        return self

    @property
    def _shown_class(self) -> int | None:
        """The class whose probability is drawn; None if each class has its colour."""
        if self.class_of_interest is None and len(self.classes) == 2 and not self.is_multilabel:
            return 1
        return self.class_of_interest

    def _colors(self) -> Array:
        """Return a colour for each class."""
        from matplotlib import colormaps
        from matplotlib.colors import to_rgb

        n_classes = len(self.classes)
        if n_classes > len(_COLORS):
            return colormaps["gist_rainbow"](np.linspace(0, 1, n_classes))[:, :3]
        return np.array([to_rgb(color) for color in _COLORS[:n_classes]])

    def _opposite_color(self, shown: int) -> Array:
        """Return the colour of all classes but one."""
        return self._colors()[1 - shown] if len(self.classes) == 2 and not self.is_multilabel else _GREY

    def _point_colors(self) -> Array:
        """Return the colours of points with the label 0, 1 and so on."""
        colors, shown = self._colors(), self.class_of_interest
        return np.array([_GREY, colors[shown]]) if self.is_multilabel and shown is not None else colors

    def _draw_probabilities(self, ax: Any) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        self.image_ = self.colorbar_ = None
        shown, colors = self._shown_class, self._colors()
        style = {"origin": "lower", "extent": self.window, "aspect": "auto", "interpolation": "bilinear", "zorder": 0}
        if shown is not None:
            low, high = (_lighten(color, 0.7) for color in (self._opposite_color(shown), colors[shown]))
            colormap = LinearSegmentedColormap.from_list("probability", [tuple(low), "white", tuple(high)])
            self.image_ = ax.imshow(self.probabilities[..., shown], cmap=colormap, vmin=0, vmax=1, **style)
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=ax)
            label_axis(self.colorbar_.ax, "y", f"probability of {self.classes[shown]}")
        elif not self.is_multilabel:
            chance = 1 / len(colors)
            strength = (self.probabilities.max(axis=2, keepdims=True) - chance) / (1 - chance)
            image = _lighten(colors[self.probabilities.argmax(axis=2)], 0.1 + 0.7 * strength)
            self.image_ = ax.imshow(image, **style)

    def _draw_polygons(self, ax: Any, given: dict[str, Any]) -> None:
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import PolyCollection

        width = 0.25 if len(self.polygons) > _MANY else 0.6
        style: dict[str, Any] = {"facecolor": "none", "edgecolor": "0.25", "linewidth": width, "zorder": 1}
        self.polygons_ = PolyCollection(self.polygons, **(style | normalize_kwargs(given, PolyCollection)))
        ax.add_collection(self.polygons_)

    def _draw_boundary(self, ax: Any, given: dict[str, Any]) -> None:
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import LineCollection

        one = self.class_of_interest
        has_label_colors = self.is_multilabel and one is None
        if has_label_colors:
            parts = [self.boundary_labels[:, 0] == label for label in range(len(self.classes))]
        elif one is None:
            parts = [np.ones(len(self.boundary), dtype=bool)]
        else:
            parts = [(self.boundary_labels == one).any(axis=1)]
        colors = self._colors() if has_label_colors else np.zeros((1, 3))
        self.boundary_ = []
        for is_drawn, color in zip(parts, colors, strict=True):
            style: dict[str, Any] = {"edgecolor": color, "linewidth": 2, "capstyle": "round", "zorder": 3}
            segments: Any = self.boundary[is_drawn]
            lines = LineCollection(segments, **(style | normalize_kwargs(given, LineCollection)))
            self.boundary_.append(ax.add_collection(lines))

    def _draw_points(self, ax: Any, given: dict[str, Any]) -> None:
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.collections import PathCollection

        self.points_ = []
        if self.points is None:
            return
        size = (20 if len(self.points) <= _MANY else 12) * min(1.0, size_in_points(ax)[0] / _WIDE)
        style: dict[str, Any] = {"s": size, "edgecolor": "white", "linewidth": size / 40, "zorder": 2}
        style |= normalize_kwargs(given, PathCollection)
        labels = np.zeros(len(self.points), np.intp) if self.point_labels is None else self.point_labels
        colors = _GREY[np.newaxis] if self.point_labels is None else self._point_colors()
        for label in np.unique(labels):
            color = {} if "c" in style else {"facecolor": _darken(colors[label])}
            self.points_.append(ax.scatter(*self.points[labels == label].T, **(color | style)))

    def _draw_legend(self, ax: Any) -> None:
        """Name the colours above the axes, where the legend hides nothing, and below a title."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch
        from matplotlib.transforms import ScaledTranslation, blended_transform_factory

        self.legend_ = None
        colors, names, shown = self._colors(), [str(name) for name in self.classes], self._shown_class
        handles: list[Any] = []
        if shown is None and self.is_multilabel:
            handles = [Line2D([], [], color=tuple(color), linewidth=2) for color in colors]
        elif shown is None:
            handles = [Patch(facecolor=tuple(_lighten(color, 0.8))) for color in colors]
        elif self.point_labels is not None:
            names = [f"not {names[shown]}", names[shown]] if self.is_multilabel else names
            handles = [
                Line2D([], [], linestyle="none", marker="o", markeredgecolor="white", color=tuple(_darken(color)))
                for color in self._point_colors()
            ]
        if not handles:
            return
        width, height = size_in_points(ax)
        for font_size, n_characters, n_lines in _LEGENDS:
            drawn = [wrap_name(name, n_characters, n_lines) for name in names]
            longest = max(len(line) for name in drawn for line in name.split("\n"))
            fitting = int(width / (font_size * (3 + 0.6 * longest)))
            n_rows = -(-len(handles) // max(fitting, 1))
            needed = 1.5 * font_size * n_rows * max(name.count("\n") + 1 for name in drawn)
            if needed <= _LEGEND_HEIGHT * height:
                break
        # A title moves above inset axes by itself, but not above a legend.
        inches_above = ax.figure.dpi_scale_trans + ScaledTranslation(0, 1, ax.transAxes)
        place = [0, 0, 1, (needed + font_size) / 72]
        above = ax.inset_axes(place, transform=blended_transform_factory(ax.transAxes, inches_above))
        above.set_axis_off()
        self.legend_ = above.legend(
            handles,
            drawn,
            loc="lower center",
            ncols=-(-len(handles) // n_rows),
            frameon=False,
            fontsize=font_size,
            handlelength=1.2,
            columnspacing=1,
            borderaxespad=0.2,
        )


def _lighten(color: Array, strength: Any) -> Array:
    return 1 - strength * (1 - color)


def _darken(color: Array) -> Array:
    return 0.7 * color


def _find_borders(regions: Regions, labels: Labels) -> Borders:
    """Return the decision boundary; of multilabel targets that of each label."""
    scores, polygons = regions.scores, regions.polygons
    if labels.n_outputs > 1 and not labels.is_multilabel:
        return find_borders(polygons, scores)
    zeros = np.zeros_like(scores[..., :1])
    each = [
        find_borders(polygons, np.concatenate((zeros, scores[..., [label]]), axis=2))
        for label in range(labels.n_outputs)
    ]
    if not labels.is_multilabel:
        return each[0]
    numbers = np.repeat(np.arange(len(each)), [len(border.segments) for border in each])
    return Borders(np.concatenate([border.segments for border in each]), np.column_stack((numbers, numbers)))


def _probabilities(explained: Explained, window: Window, n_cells: int) -> Array:
    """Return the probabilities in the middle of the cells of a grid, of shape (n_cells, n_cells, n_classes)."""
    middles = (np.arange(n_cells) + 0.5) / n_cells
    s, t = np.meshgrid(middles, middles)
    cells = np.stack((s, t), axis=-1)
    labels = explained.network.labels
    if getattr(explained.classifier, "predictive", None) != "laplace":
        scores = compute_scores(*window.restrict(*explained.inputs[:2]), cells.reshape(-1, 2), explained.n_jobs)
        with np.errstate(all="ignore"):
            found = labels.loss.probabilities(labels.per_class(scores))
        return found.reshape(n_cells, n_cells, -1)
    return np.stack([_predict_proba(explained, window.rows(line)) for line in cells])


def _predict_proba(explained: Explained, rows: Array) -> Array:
    """Return what the classifier predicts for rows in the columns of the base."""
    base = explained.base
    if base is not None:
        rows = rows @ base.slopes + base.offsets
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        return np.asarray(explained.classifier.predict_proba(rows))


def _check_numbers(margin: Any, grid_resolution: Any) -> None:
    if not isinstance(margin, Real) or not 0 <= float(margin) < np.inf:
        raise ValueError(f"margin must be a number of at least 0, got {margin!r}.")
    if not isinstance(grid_resolution, Integral) or int(grid_resolution) < 1:
        raise ValueError(f"grid_resolution must be an integer of at least 1, got {grid_resolution!r}.")


def _read_features(features: Any, names: Array) -> list[int]:
    """Return the numbers of two different columns."""
    if isinstance(features, str) or np.shape(features) != (2,):
        raise ValueError(f"features must be two columns, by name or by number, got {features!r}.")
    if len(names) < 2:
        raise ValueError(f"features must be two columns, but there is only one: {names[0]!r}.")
    chosen = [find_column(column, names, "features") for column in features]
    if chosen[0] == chosen[1]:
        raise ValueError(f"features must be two different columns, got {names[chosen[0]]!r} twice.")
    return chosen


def _read_values(values: Any, rows: Array, names: Array) -> Array:
    """Return a value for each column."""
    row = np.median(rows, axis=0)
    if isinstance(values, Mapping):
        for column, value in values.items():
            row[find_column(column, names, "values")] = _read_numbers(value, (), f"values[{column!r}]", "one number")
    elif values is not None:
        row = _read_numbers(
            values, row.shape, "values", f"a dictionary or {len(names)} numbers, one for each column"
        ).copy()
    return row


def _read_numbers(values: Any, shape: tuple[int, ...], name: str, must: str) -> Array:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be {must}, got {values!r}.") from error
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be {must}, all finite, got {values!r}.")
    return numbers


def _read_y(y: Any, labels: Labels, n_rows: int, position: int | None) -> Array | None:
    """Return the number of each row's label; for multilabel targets whether it has the label of interest."""
    found = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    shape = (n_rows, labels.n_outputs) if labels.is_multilabel else (n_rows,)
    if found.shape != shape:
        raise ValueError(f"y must have shape {shape}, one label or row of labels for each row of X, got {found.shape}.")
    if labels.is_multilabel:
        check_indicator(found, "y")
        return None if position is None else found[:, position].astype(np.intp)
    positions = {label: number for number, label in enumerate(labels.classes.tolist())}
    unknown = [label for label in found.tolist() if label not in positions]
    if unknown:
        raise ValueError(f"y must hold labels among {labels.classes.tolist()}, got {unknown[0]!r}.")
    return np.array([positions[label] for label in found.tolist()], dtype=np.intp)
