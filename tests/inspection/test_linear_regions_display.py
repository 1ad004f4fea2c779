"""LinearRegionsDisplay: what it draws is what the classifier predicts, and it follows scikit-learn's conventions."""

import sys
import warnings
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu.inspection import LinearRegionsDisplay, local_linear_models

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba_array


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def network(sizes, classes, *, seed=0, multilabel=False):
    """Return a classifier with weights of its own, whose lines cross the middle of standard normal rows."""
    rng = np.random.default_rng(seed)
    n_outputs = len(classes) if multilabel or len(classes) > 2 else 1
    layers = [*sizes, n_outputs]
    model = DeepLogisticClassifier(tuple(sizes[1:]))
    model.coefs_ = [rng.normal(size=shape) for shape in pairwise(layers)]
    model.intercepts_ = [0.5 * rng.normal(size=n) for n in layers[1:]]
    model.classes_ = np.asarray(classes)
    model.out_activation_ = "logistic" if multilabel or n_outputs == 1 else "softmax"
    return model


def rows(n_features, n=60, seed=1):
    return np.random.default_rng(seed).normal(size=(n, n_features))


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = load_iris().target_names[y]
    return X, names, DeepLogisticClassifier((6,), alpha=0.1, random_state=0).fit(X, names)


def plane_rows(points, others, chosen):
    placed = np.tile(others, (len(points), 1)).astype(float)
    placed[:, chosen] = points
    return placed


def cell_middles(display):
    n = len(display.probabilities)
    left, right, bottom, top = display.window
    u = left + (right - left) * (np.arange(n) + 0.5) / n
    v = bottom + (top - bottom) * (np.arange(n) + 0.5) / n
    return np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)


def check(display, predict, decision_function, predict_proba):
    """Check the polygons, the models, the boundary and the probabilities against functions of the two columns."""
    left, right, bottom, top = display.window
    areas = [
        np.linalg.det([b - polygon[0], c - polygon[0]]) / 2
        for polygon in display.polygons
        for b, c in pairwise(polygon[1:])
    ]
    assert min(areas) > -1e-9 * sum(areas)
    assert sum(areas) == pytest.approx((right - left) * (top - bottom), rel=1e-9)
    assert len(display.polygons) == len(display.coef) == len(display.intercept) == len(display.pattern)
    for polygon, coef, intercept in zip(display.polygons, display.coef, display.intercept, strict=True):
        points = np.vstack((polygon, polygon.mean(axis=0)))
        expected = decision_function(points).reshape(len(points), -1)
        assert_allclose(points @ coef.T + intercept, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    assert_allclose(
        display.probabilities.reshape(-1, display.probabilities.shape[2]),
        predict_proba(cell_middles(display)),
        rtol=1e-7,
        atol=1e-12,
    )
    segments = display.boundary
    width = np.array([right - left, top - bottom])
    length = np.hypot(*((segments[:, 1] - segments[:, 0]) / width).T)
    segments, labels, length = segments[length > 1e-4], display.boundary_labels[length > 1e-4], length[length > 1e-4]
    across = ((segments[:, 1] - segments[:, 0]) / width)[:, ::-1] * [1, -1] / length[:, np.newaxis] * width
    sides = [predict(segments.mean(axis=1) + step * across) for step in (1e-7, -1e-7)]
    if display.is_multilabel:
        for number, (label, other) in enumerate(labels):
            assert label == other
            assert {sides[0][number, label], sides[1][number, label]} == {0, 1}
    else:
        positions = np.array([[display.classes.tolist().index(label) for label in side] for side in sides])
        assert_array_equal(np.sort(positions, axis=0).T, labels)
    return len(segments)


CASES = {
    "two classes": network((2, 8), [0, 1]),
    "two layers": network((5, 6, 6), ["a", "b"], seed=1),
    "three classes": network((4, 7), [3, 5, 9], seed=2),
    "ten classes": network((3, 6, 8), np.arange(10), seed=3),
    "multilabel": network((3, 8), [0, 1, 2], seed=4, multilabel=True),
    "no hidden layer": network((2,), [0, 1], seed=5),
    "no hidden layer, three classes": network((30,), [0, 1, 2], seed=6),
}


@pytest.mark.parametrize("name", CASES)
def test_it_shows_what_the_classifier_predicts(name):
    model = CASES[name]
    X = rows(model.coefs_[0].shape[0])
    chosen = [0, 1] if X.shape[1] == 2 else [2, 0]
    display = LinearRegionsDisplay.from_estimator(model, X, features=chosen, grid_resolution=15)
    functions = (
        lambda points, method=method: method(plane_rows(points, np.median(X, axis=0), chosen))
        for method in (model.predict, model.decision_function, model.predict_proba)
    )
    assert check(display, *functions) > 0
    if name.startswith("no hidden"):
        assert len(display.polygons) == 1


def test_patterns_are_those_of_the_rows():
    model = network((2, 9), [0, 1])
    X = rows(2)
    display = LinearRegionsDisplay.from_estimator(model, X)
    models = local_linear_models(model, X)
    known = {bytes(pattern): number for number, pattern in enumerate(display.pattern)}
    numbers = [known[bytes(pattern)] for pattern in models.pattern]
    assert_allclose(display.coef[numbers, 0][models.region], models.coef, rtol=1e-9)
    assert_allclose(display.intercept[numbers, 0][models.region], models.intercept, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_mlp_classifier(n_classes):
    X, y = make_classification(100, 6, n_informative=4, n_classes=n_classes, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPClassifier((8, 4), max_iter=100, random_state=0).fit(X, y)
    display = LinearRegionsDisplay.from_estimator(model, X, y, features=(3, 5), grid_resolution=9)

    def scores(points):
        models = local_linear_models(model, points)
        return np.einsum("n...j,nj->n...", models.coef, points) + models.intercept

    functions = (
        lambda points, method=method: method(plane_rows(points, np.median(X, axis=0), [3, 5]))
        for method in (model.predict, scores, model.predict_proba)
    )
    check(display, *functions)


@pytest.mark.parametrize("scale", [1.0, 1e9, 1e-6])
def test_a_pipeline_is_shown_in_the_columns_of_x(scale):
    X, y = make_moons(80, noise=0.2, random_state=0)
    X = pd.DataFrame(X * [scale, 1.0] + [3 * scale, 0.0], columns=["first", "second"])
    model = make_pipeline(StandardScaler(), DeepLogisticClassifier((6,), alpha=0.1, random_state=0)).fit(X, y)
    display = LinearRegionsDisplay.from_estimator(model, X, y, grid_resolution=11)
    assert display.ax_.get_xlabel() == "first"
    assert display.ax_.get_ylabel() == "second"
    functions = (
        lambda points, method=method: method(pd.DataFrame(points, columns=X.columns))
        for method in (model.predict, model.decision_function, model.predict_proba)
    )
    assert check(display, *functions) > 0
    assert_allclose(display.ax_.get_xlim(), display.window[:2])


def test_a_pipeline_with_other_steps_is_shown_in_the_transformed_features():
    X, y = make_moons(80, noise=0.2, random_state=0)
    steps = StandardScaler(), PolynomialFeatures(include_bias=False)
    model = make_pipeline(*steps, DeepLogisticClassifier((4,), alpha=0.1, random_state=0)).fit(X, y)
    display = LinearRegionsDisplay.from_estimator(model, X, y, features=("x0", "x0 x1"), grid_resolution=11)
    assert display.ax_.get_ylabel() == "x0 x1"
    Z = model[:-1].transform(X)
    functions = (
        lambda points, method=method: method(plane_rows(points, np.median(Z, axis=0), [0, 3]))
        for method in (model[-1].predict, model[-1].decision_function, model[-1].predict_proba)
    )
    check(display, *functions)
    with pytest.raises(ValueError, match="columns must be"):
        LinearRegionsDisplay.from_estimator(model, X, columns="original")


@pytest.mark.parametrize("n_classes", [2, 3])
def test_moderated_probabilities_are_those_of_the_classifier(n_classes):
    X, y = make_classification(
        60, 4, n_informative=3, n_redundant=0, n_classes=n_classes, n_clusters_per_class=1, random_state=0
    )
    X = pd.DataFrame(X, columns=list("abcd"))
    model = make_pipeline(StandardScaler(), DeepLogisticClassifier((4,), predictive="laplace", random_state=0))
    model.fit(X, y)
    for fitted, table in ((model, X), (DeepLogisticClassifier((4,), predictive="laplace").fit(X, y), X)):
        display = LinearRegionsDisplay.from_estimator(fitted, table, features=("d", "a"), grid_resolution=7)
        placed = plane_rows(cell_middles(display), np.median(X, axis=0), [3, 0])
        expected = fitted.predict_proba(pd.DataFrame(placed, columns=X.columns))
        assert_allclose(display.probabilities.reshape(49, -1), expected, rtol=1e-7)


def test_other_columns_have_their_medians_or_given_values(iris):
    X, _, model = iris
    median = np.median(X, axis=0)
    given = {
        "none": (None, median),
        "names": ({"sepal length (cm)": 7.5, 3: 0.1}, [7.5, median[1], median[2], 0.1]),
        "all": ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]),
    }
    for values, expected in given.values():
        display = LinearRegionsDisplay.from_estimator(model, X, values=values, features=[1, 2], grid_resolution=5)
        placed = pd.DataFrame(plane_rows(cell_middles(display), expected, [1, 2]), columns=X.columns)
        assert_allclose(display.probabilities.reshape(25, -1), model.predict_proba(placed), rtol=1e-7)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix, np.float32, np.asfortranarray])
def test_kinds_of_tables(make):
    model, X = network((3, 5), [0, 1]), rows(3)
    display = LinearRegionsDisplay.from_estimator(model, make(X))
    expected = LinearRegionsDisplay.from_estimator(model, X)
    assert_allclose(display.window, expected.window, rtol=1e-6)
    assert len(display.polygons) == len(expected.polygons)


def test_the_window_shows_all_rows_and_a_margin():
    X = rows(2)
    low, high = X.min(axis=0), X.max(axis=0)
    for margin in (0, 0.5):
        display = LinearRegionsDisplay.from_estimator(network((2, 3), [0, 1]), X, margin=margin)
        beyond = margin * (high - low)
        assert_allclose(display.window, np.column_stack((low - beyond, high + beyond)).ravel())
        assert_allclose((*display.ax_.get_xlim(), *display.ax_.get_ylim()), display.window)


def shown_points(display):
    """Return the places and the colours of the points that are drawn."""
    return {
        (*place, *drawn.get_facecolor()[0].tolist())
        for drawn in display.points_
        for place in drawn.get_offsets().tolist()
    }


@pytest.mark.parametrize("class_of_interest", [None, "versicolor"])
@pytest.mark.parametrize("absent", ["setosa", "versicolor", "virginica"])
def test_a_class_that_is_absent_changes_no_colour(iris, absent, class_of_interest):
    X, y, model = iris
    style = {"features": (2, 3), "class_of_interest": class_of_interest}
    every = LinearRegionsDisplay.from_estimator(model, X, y, **style)
    some = LinearRegionsDisplay.from_estimator(model, X[y != absent], y[y != absent], **style)
    assert len(every.points_) == 3
    assert len(some.points_) == 2
    assert shown_points(some) < shown_points(every)
    assert [text.get_text() for text in some.legend_.get_texts()] == ["setosa", "versicolor", "virginica"]


def test_each_place_has_the_colour_of_its_most_probable_class(iris):
    X, y, model = iris
    display = LinearRegionsDisplay.from_estimator(model, X, y, features=(2, 3))
    assert display.colorbar_ is None
    image, legend = np.asarray(display.image_.get_array()), display.legend_.get_patches()
    largest = display.probabilities.max(axis=2)
    order = np.argsort(display.probabilities, axis=2)[..., -1]
    assert set(np.unique(order)) == {0, 1, 2}
    for number, patch in enumerate(legend):
        is_certain = (order == number) & (largest > 0.999)
        assert is_certain.any()
        assert_allclose(
            image[is_certain], np.broadcast_to(patch.get_facecolor()[:3], image[is_certain].shape), atol=2e-3
        )
    # The more probable, the stronger: white has the colour 1, 1, 1.
    own = order == 0
    strength = (1 - image[own]).sum(axis=1)
    assert (np.diff(strength[np.argsort(largest[own])]) > -1e-9).all()


def test_two_classes_have_a_scale_whose_ends_are_the_colours_of_the_points():
    X, y = rows(2), np.repeat(["no", "yes"], 30)
    display = LinearRegionsDisplay.from_estimator(network((2, 6), ["no", "yes"]), X, y)
    assert display.colorbar_.ax.get_ylabel() == "probability of yes"
    assert_array_equal(display.image_.get_array(), display.probabilities[..., 1])
    assert display.image_.get_clim() == (0, 1)
    ends = display.image_.cmap([0.0, 1.0])[:, :3]
    points = [drawn.get_facecolor()[0, :3] for drawn in display.points_]
    for end, point in zip(ends, points, strict=True):
        assert_array_equal(np.argsort(end), np.argsort(point))  # the same hue
    flipped = LinearRegionsDisplay.from_estimator(network((2, 6), ["no", "yes"]), X, y, class_of_interest="no")
    assert flipped.colorbar_.ax.get_ylabel() == "probability of no"
    assert_array_equal(flipped.image_.get_array(), display.probabilities[..., 0])
    assert_allclose(flipped.image_.cmap([1.0, 0.0])[:, :3], ends)
    assert [drawn.get_facecolor().tolist() for drawn in flipped.points_] == [[[*point, 1.0]] for point in points]
    assert len(flipped.boundary_[0].get_segments()) == len(display.boundary)


def test_of_one_class_its_own_boundary_is_drawn(iris):
    X, y, model = iris
    display = LinearRegionsDisplay.from_estimator(model, X, y, features=(2, 3), class_of_interest="setosa")
    assert_array_equal(display.image_.get_array(), display.probabilities[..., 0])
    (drawn,) = display.boundary_
    is_own = (display.boundary_labels == 0).any(axis=1)
    assert 0 < is_own.sum() < len(is_own)
    assert_array_equal(drawn.get_segments(), display.boundary[is_own])


def test_multilabel_targets_have_a_boundary_for_each_label():
    model, X = network((3, 8), [0, 1, 2], seed=4, multilabel=True), rows(3)
    Y = model.predict(X)
    display = LinearRegionsDisplay.from_estimator(model, X, Y)
    assert display.image_ is display.colorbar_ is None
    assert len(display.boundary_) == 3
    assert len(display.points_) == 1
    for label, (drawn, line) in enumerate(zip(display.boundary_, display.legend_.get_lines(), strict=True)):
        assert_array_equal(drawn.get_segments(), display.boundary[display.boundary_labels[:, 0] == label])
        assert_array_equal(drawn.get_edgecolor(), to_rgba_array(line.get_color()))
    one = LinearRegionsDisplay.from_estimator(model, X, sparse.csr_array(Y), class_of_interest=2)
    assert_array_equal(one.image_.get_array(), one.probabilities[..., 2])
    assert [len(drawn.get_offsets()) for drawn in one.points_] == [(Y[:, 2] == 0).sum(), (Y[:, 2] == 1).sum()]
    assert [text.get_text() for text in one.legend_.get_texts()] == ["not 2", "2"]
    assert one.colorbar_.ax.get_ylabel() == "probability of 2"


def test_more_classes_than_named_colours():
    model, X = network((2, 20), np.arange(14)), rows(2)
    display = LinearRegionsDisplay.from_estimator(model, X, model.predict(X))
    colors = {tuple(patch.get_facecolor()) for patch in display.legend_.get_patches()}
    assert len(colors) == 14


def test_it_can_be_drawn_again_with_another_style():
    model, X = network((2, 6), [0, 1]), rows(2)
    display = LinearRegionsDisplay.from_estimator(model, X, model.predict(X))
    assert display.figure_ is display.ax_.figure
    _, ax = plt.subplots()
    styles = {
        "polygon_kwargs": {"edgecolors": "red", "lw": 3},
        "line_kwargs": {"color": "green", "linewidths": 5},
        "scatter_kwargs": {"s": 77, "edgecolors": "blue", "marker": "s"},
    }
    assert display.plot(ax, **styles) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert_array_equal(display.polygons_.get_edgecolor(), to_rgba_array("red"))
    assert display.polygons_.get_linewidth().tolist() == [3]
    assert_array_equal(display.boundary_[0].get_edgecolor(), to_rgba_array("green"))
    assert display.boundary_[0].get_linewidth().tolist() == [5]
    for drawn in display.points_:
        assert drawn.get_sizes().tolist() == [77]
        assert_array_equal(drawn.get_edgecolor(), to_rgba_array("blue"))
    ax.figure.canvas.draw()
    assert len(display.polygons_.get_paths()) == len(display.polygons)
    given = LinearRegionsDisplay.from_estimator(model, X, ax=plt.subplots()[1], **styles)
    assert given.polygons_.get_linewidth().tolist() == [3]
    assert given.points_ == []
    assert given.legend_ is None


@pytest.mark.parametrize("width", [3.2, 6.4])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_long_names_stay_within_the_figure(width, n_classes):
    X, _ = load_breast_cancer(return_X_y=True)
    classes = [f"a class of tumours with a long name, number {number}" for number in range(n_classes)]
    model = make_pipeline(StandardScaler(), network((30, 8), classes))
    names = [f"the_mean_of_column_{number}_over_all_the_cells_of_the_image_in_micrometres" for number in range(30)]
    X = pd.DataFrame(X, columns=names)
    model[0].fit(X)
    ax = plt.subplots(figsize=(width, width), layout="constrained")[1]
    display = LinearRegionsDisplay.from_estimator(model, X, model.predict(X), features=(20, 27), ax=ax)
    display.figure_.canvas.draw()
    figure = display.figure_.bbox
    parts = [ax.xaxis.label, ax.yaxis.label, *display.legend_.get_texts()]
    parts += [] if display.colorbar_ is None else [display.colorbar_.ax.yaxis.label]
    for part in parts:
        box = part.get_window_extent()
        assert figure.x0 <= box.x0 < box.x1 <= figure.x1
        assert figure.y0 <= box.y0 < box.y1 <= figure.y1
    assert ax.get_window_extent().width > 0.25 * figure.width


@pytest.mark.parametrize("layout", ["constrained", None])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_a_title_stands_above_the_legend(n_classes, layout):
    model, X = network((2, 8), np.arange(n_classes)), rows(2)
    ax = plt.subplots(figsize=(4, 3), layout=layout)[1]
    display = LinearRegionsDisplay.from_estimator(model, X, model.predict(X), ax=ax)
    ax.set_title("a title")
    display.figure_.canvas.draw()
    legend, title, box = (part.get_window_extent() for part in (display.legend_, ax.title, ax))
    assert box.y1 <= legend.y0 < legend.y1 <= title.y0 + 1
    assert layout is None or title.y1 <= display.figure_.bbox.y1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"features": (0, 0)}, "features must be two different columns, got 'x0' twice"),
        ({"features": (0, 3)}, "features must name columns.* there is no column 3"),
        ({"features": (0, "size")}, "features must name columns.* there is no column 'size'"),
        ({"features": (0, 1, 2)}, r"features must be two columns, by name or by number, got \(0, 1, 2\)"),
        ({"features": "ab"}, "features must be two columns, by name or by number, got 'ab'"),
        ({"values": [1.0, 2.0]}, "values must be a dictionary or 3 numbers"),
        ({"values": [1.0, 2.0, np.nan]}, "values must be a dictionary or 3 numbers"),
        ({"values": "median"}, "values must be a dictionary or 3 numbers"),
        ({"values": {"size": 1}}, "values must name columns.* 'size'"),
        ({"values": {2: "large"}}, r"values\[2\] must be one number, got 'large'"),
        ({"values": {2: np.inf}}, r"values\[2\] must be one number, all finite|values\[2\] must be one"),
        ({"columns": "all"}, "columns must be 'auto'"),
        ({"class_of_interest": 7}, r"class_of_interest must be one of the labels \[0, 1\], got 7"),
        ({"class_of_interest": np.array([0, 1])}, "class_of_interest must be one of the labels"),
        ({"margin": -1}, "margin must be a number of at least 0, got -1"),
        ({"margin": "wide"}, "margin must be a number of at least 0, got 'wide'"),
        ({"grid_resolution": 0}, "grid_resolution must be an integer of at least 1, got 0"),
        ({"grid_resolution": 9.5}, "grid_resolution must be an integer of at least 1, got 9.5"),
        ({"y": np.zeros(3)}, r"y must have shape \(60,\).* got \(3,\)"),
        ({"y": np.full(60, 5)}, r"y must hold labels among \[0, 1\], got 5"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        LinearRegionsDisplay.from_estimator(network((3, 4), [0, 1]), rows(3), **given)
    assert not plt.get_fignums()


def test_indicators_are_checked():
    model, X = network((3, 8), [0, 1, 2], seed=4, multilabel=True), rows(3)
    with pytest.raises(ValueError, match=r"y must have shape \(60, 3\)"):
        LinearRegionsDisplay.from_estimator(model, X, np.zeros(60))
    with pytest.raises(ValueError, match="y must be an indicator of 0 and 1"):
        LinearRegionsDisplay.from_estimator(model, X, np.full((60, 3), 2))


def test_other_classifiers_are_refused():
    X, y = make_moons(20, random_state=0)
    with pytest.raises(TypeError, match="classifier must be a DeepLogisticClassifier"):
        LinearRegionsDisplay.from_estimator(LogisticRegression().fit(X, y), X)
    with pytest.raises(NotFittedError):
        LinearRegionsDisplay.from_estimator(DeepLogisticClassifier(), X)
    with pytest.raises(ValueError, match="features must be two columns, but there is only one"):
        LinearRegionsDisplay.from_estimator(network((1, 4), [0, 1]), X[:, :1])


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'^LinearRegionsDisplay needs matplotlib: pip install "skrelu\[plot\]"\.$'):
        LinearRegionsDisplay.from_estimator(network((3, 4), [0, 1]), rows(3))
