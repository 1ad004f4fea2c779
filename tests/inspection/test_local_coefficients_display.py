"""LocalCoefficientsDisplay draws the coefficients of `local_linear_models`, and its labels are readable."""

import itertools
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu.inspection import LocalCoefficientsDisplay, local_feature_importance, local_linear_models

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.text import Text


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def small(kind):
    """Return a fitted classifier and its rows, whose columns have different units."""
    X, y = load_wine(return_X_y=True)
    if kind == "two classes":
        y = y > 0
    elif kind == "multilabel":
        y = np.column_stack((y > 0, y > 1, X[:, 0] > 13)).astype(int)
    classifier = DeepLogisticClassifier((4,), alpha=0.3, standardize=True, random_state=0)
    return classifier.fit(X, y), X


def expected_coefficients(classifier, X, output):
    """Return the centred coefficients of each row, and the probabilities."""
    coef = local_linear_models(classifier, X).coef
    probabilities = classifier.predict_proba(X)
    if coef.ndim == 2:
        return coef, probabilities[:, 1]
    if classifier.out_activation_ == "softmax":
        coef = coef - coef.mean(axis=1, keepdims=True)
    return coef[:, output], probabilities[:, output]


@pytest.mark.parametrize("n_regions", [1, 3, 1000])
@pytest.mark.parametrize("kind", ["two classes", "three classes", "multilabel"])
def test_lines_are_the_coefficients_of_the_regions_with_most_rows(kind, n_regions):
    classifier, X = small(kind)
    output = None if kind == "two classes" else 2
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, n_regions=n_regions, output=output)
    coef, probabilities = expected_coefficients(classifier, X, output)
    region = local_linear_models(classifier, X).region
    segments, means = display.lines_.get_segments(), display.lines_.get_array()
    n_shown = min(n_regions, region.max() + 1)
    assert region.max() + 1 > 3
    assert len(segments) == len(means) == n_shown
    for number, (segment, mean) in enumerate(zip(segments[::-1], means[::-1], strict=True)):
        of_row = coef[region == number][0] * X.std(axis=0)
        assert_allclose(segment[:, 0], of_row[display.columns_], rtol=1e-9, atol=1e-12)
        assert_array_equal(segment[:, 1], np.arange(13))
        assert mean == pytest.approx(probabilities[region == number].mean())
    widths = display.lines_.get_linewidths()
    assert np.all(np.diff(widths) >= 0)
    assert_allclose(np.concatenate(segments), display.points_.get_offsets())
    assert_allclose(display.points_.get_array(), np.repeat(means, 13))


def test_the_title_says_what_is_shown():
    classifier, X = small("two classes")
    region = local_linear_models(classifier, X).region
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, n_regions=2)
    share = 100 * np.mean(region < 2)
    expected = f"log-odds of True (nats)\n2 of {region.max() + 1} regions, {share:.0f}% of the rows"
    assert display.ax_.get_title() == expected
    display.plot(n_regions=1000)
    assert display.ax_.get_title().endswith(f"\n{region.max() + 1} regions, all rows")
    assert display.ax_.get_xlabel() == "change of the score for one standard deviation"
    display.plot(standardize=False)
    assert display.ax_.get_xlabel() == "change of the score for one unit"
    assert display.colorbar_.ax.get_ylabel() == "mean probability of True"
    classifier, X = small("three classes")
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, kind="profile", output=1)
    assert display.ax_.get_title() == "score of 1 less the mean of all classes (nats)"


@pytest.mark.parametrize(("n_rows", "expected"), [(400, "0.2"), (70, "1"), (3, "33")])
def test_a_small_share_of_the_rows_is_not_called_zero(n_rows, expected):
    display = LocalCoefficientsDisplay(
        coef=np.zeros((n_rows, 1)),
        region=np.arange(n_rows),
        rows=np.arange(n_rows)[:, np.newaxis],
        probabilities=np.zeros(n_rows),
        names=np.array(["a"], dtype=object),
    ).plot(n_regions=1)
    assert display.ax_.get_title().endswith(f"1 of {n_rows} regions, {expected}% of the rows")


def test_the_most_important_columns_are_drawn_first():
    classifier, X = small("two classes")
    importance = local_feature_importance(classifier, X).importances_mean
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, max_display=5)
    assert display.columns_.tolist() == np.argsort(-importance)[:5].tolist()
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [f"x{n}" for n in display.columns_]
    assert display.ax_.yaxis_inverted()
    assert len(display.lines_.get_segments()[0]) == 5
    display.plot(kind="profile")
    assert display.columns_.tolist() == [importance.argmax()]


def test_without_deviations_coefficients_are_those_of_one_unit():
    classifier, X = small("two classes")
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, standardize=False)
    models = local_linear_models(classifier, X)
    first = models.coef[models.region == 0][0]
    assert_allclose(display.lines_.get_segments()[-1][:, 0], first[display.columns_], rtol=1e-9)


@pytest.mark.parametrize("kind", ["two classes", "three classes", "multilabel"])
def test_a_profile_has_the_coefficient_of_each_row_against_its_value(kind):
    classifier, X = small(kind)
    output = None if kind == "two classes" else 1
    coef, probabilities = expected_coefficients(classifier, X, output)
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, kind="profile", feature=9, output=output)
    assert_allclose(display.points_.get_offsets(), np.column_stack((X[:, 9], coef[:, 9])), rtol=1e-9, atol=1e-12)
    assert_allclose(display.points_.get_array(), probabilities, rtol=1e-9, atol=1e-12)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x9", "change of the score for one unit")
    assert display.lines_ is None
    display.plot(kind="profile", feature=9, standardize=True)
    assert_allclose(display.points_.get_offsets()[:, 1], coef[:, 9] * X[:, 9].std(), rtol=1e-9, atol=1e-12)


def test_the_histogram_of_a_profile_shows_the_rows_below_the_points():
    classifier, X = small("two classes")
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, kind="profile", feature=12)
    counts, edges = np.histogram(X[:, 12], bins=len(display.histogram_))
    heights = np.array([bar.get_height() for bar in display.histogram_])
    assert_allclose(heights / heights.max(), counts / counts.max())
    assert_allclose([bar.get_x() for bar in display.histogram_], edges[:-1])
    display.figure_.canvas.draw()
    top = max(bar.get_window_extent().y1 for bar in display.histogram_)
    points = display.ax_.transData.transform(display.points_.get_offsets())
    assert points[:, 1].min() > top
    assert points[:, 1].max() < display.ax_.get_window_extent().y1


def test_the_output_is_the_most_frequent_one_and_a_class_may_be_absent():
    classifier, X = small("three classes")
    labels = classifier.predict(X)
    for present in ([0, 1], [1, 2], [2]):
        rows = X[np.isin(labels, present)]
        counts = np.bincount(classifier.predict(rows), minlength=3)
        display = LocalCoefficientsDisplay.from_estimator(classifier, rows)
        assert display.output == counts.argmax()
        display.figure_.canvas.draw()


def test_the_first_of_two_classes_has_the_negative_coefficients():
    classifier, X = small("two classes")
    first, second = (LocalCoefficientsDisplay.from_estimator(classifier, X, output=label) for label in (False, True))
    assert_array_equal(first.coef, -second.coef)
    assert_allclose(first.probabilities, 1 - second.probabilities, atol=1e-12)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("kind", ["parallel", "profile"])
def test_sparse_rows_draw_the_same(kind, make):
    X, y = load_digits(return_X_y=True)
    X = X[:300] / 16
    classifier = DeepLogisticClassifier((4,), alpha=1.0, random_state=0).fit(X, y[:300])
    dense, thin = (LocalCoefficientsDisplay.from_estimator(classifier, rows, kind=kind) for rows in (X, make(X)))
    assert_allclose(thin.points_.get_offsets(), dense.points_.get_offsets(), rtol=1e-9, atol=1e-12)
    assert_array_equal(thin.columns_, dense.columns_)
    assert sparse.issparse(thin.rows)


def test_columns_of_a_pipeline_are_those_of_the_linear_models():
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"age": rng.randint(18, 80, 300), "job": rng.choice(["clerk", "cook"], 300)})
    y = table["age"] / 20 + 2 * (table["job"] == "cook") + rng.randn(300) > 3
    columns = make_column_transformer((OneHotEncoder(), ["job"]), (StandardScaler(), ["age"]))
    classifier = DeepLogisticClassifier((4,), alpha=0.3, random_state=0)
    encoded = make_pipeline(columns, classifier).fit(table, y)
    display = LocalCoefficientsDisplay.from_estimator(encoded, table)
    encodings = ["onehotencoder__job_clerk", "onehotencoder__job_cook"]
    assert display.names.tolist() == ["age", *encodings]
    assert_array_equal(display.rows[:, 0], table["age"])
    features = local_linear_models(encoded, table)
    slope = 1 / columns.named_transformers_["standardscaler"].scale_
    assert_allclose(display.coef[display.region, 0], features.coef[:, 2] * slope)
    assert_allclose(display.coef[display.region, 1:], features.coef[:, :2])
    display = LocalCoefficientsDisplay.from_estimator(encoded, table, columns="transformed")
    assert display.names.tolist() == [*encodings, "standardscaler__age"]
    numbers = table.assign(pay=rng.rand(300))[["age", "pay"]]
    scaled = make_pipeline(StandardScaler(), classifier).fit(numbers, y)
    display = LocalCoefficientsDisplay.from_estimator(scaled, numbers, kind="profile", feature="age")
    assert_allclose(display.points_.get_offsets()[:, 0], numbers["age"])
    assert_allclose(display.points_.get_offsets()[:, 1], local_linear_models(scaled, numbers).coef[:, 0])
    display = LocalCoefficientsDisplay.from_estimator(scaled, numbers, columns="transformed")
    assert_allclose(display.rows, scaled[:-1].transform(numbers))


@pytest.mark.parametrize(
    "classifier",
    [
        DeepLogisticClassifier((), alpha=1.0),
        DeepLogisticClassifierCV((3,), alphas=2, cv=2, random_state=0),
        MLPClassifier((4,), solver="lbfgs", alpha=1.0, max_iter=5000, random_state=0),
    ],
)
def test_other_classifiers_and_a_float32_table(classifier):
    X, y = make_moons(100, noise=0.2, random_state=0)
    classifier.fit(X, y)
    display = LocalCoefficientsDisplay.from_estimator(classifier, X.astype(np.float32))
    assert sorted(display.columns_) == [0, 1]
    assert_allclose(display.probabilities, classifier.predict_proba(X)[:, 1], rtol=1e-3, atol=1e-5)
    if classifier.coefs_[0].shape[1] == 1:
        assert display.ax_.get_title().endswith("\none region, all rows")
    display.plot(kind="profile", feature=1).figure_.canvas.draw()


def test_one_column_and_a_constant_column():
    X, y = make_moons(100, noise=0.2, random_state=0)
    classifier = DeepLogisticClassifier((5,), alpha=0.1, random_state=0).fit(X[:, :1], y)
    LocalCoefficientsDisplay.from_estimator(classifier, X[:, :1]).figure_.canvas.draw()
    X[:, 1] = 7
    classifier = DeepLogisticClassifier((5,), alpha=0.1, random_state=0).fit(X, y)
    display = LocalCoefficientsDisplay.from_estimator(classifier, X)
    assert display.columns_.tolist() == [0, 1]
    assert all(segment[1, 0] == 0 for segment in display.lines_.get_segments())
    display.plot(kind="profile", feature=1).figure_.canvas.draw()


@pytest.mark.parametrize("width", [3.2, 6.4])
def test_thirty_long_names_fit_and_stay_apart(width):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.rename(columns=lambda name: f"measurement of the {name}_of_all_cells in the fine needle aspirate")
    classifier = DeepLogisticClassifier((10,), alpha=1.0, standardize=True, random_state=0)
    classifier.fit(X, np.where(y > 0, "benign", "malignant"))
    _, ax = plt.subplots(figsize=(width, 6), layout="constrained")
    display = LocalCoefficientsDisplay.from_estimator(classifier, X, ax=ax, n_regions=12)
    assert display.names.tolist() == X.columns.tolist()
    display.figure_.canvas.draw()
    page = display.figure_.bbox
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(boxes) == 15
    assert all(box.x0 >= page.x0 for box in boxes)
    assert all(upper.y0 > lower.y0 + 0.7 * lower.height for upper, lower in itertools.pairwise(boxes))
    assert len({label.get_text() for label in ax.get_yticklabels()}) == 15
    colors = display.colorbar_.ax
    titles = [child for child in ax.get_children() if isinstance(child, Text) and child.get_text()]
    assert len(titles) == 1
    for text in (*titles, ax.xaxis.label, colors.xaxis.label, colors.yaxis.label):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
    assert ax.get_window_extent().width > 0.35 * page.width


def test_it_takes_axes_and_styles_and_draws_again():
    classifier, X = small("two classes")
    display = LocalCoefficientsDisplay.from_estimator(
        classifier, X, line_kwargs={"lw": 3, "cmap": "viridis"}, scatter_kwargs={"s": 1}
    )
    assert display.lines_.get_linewidths() == [3]
    assert display.lines_.get_cmap().name == display.colorbar_.cmap.name == "viridis"
    assert display.points_.get_sizes() == [1]
    _, ax = plt.subplots()
    assert display.plot(ax, kind="profile", feature=3, scatter_kwargs={"color": "red"}) is display
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    assert_allclose(display.points_.get_facecolor()[0, :3], [1, 0, 0])
    display.plot(line_kwargs={"color": "green"}, scatter_kwargs={"c": "k"}).figure_.canvas.draw()
    assert_allclose(display.lines_.get_color()[0, :3], [0, 128 / 255, 0])
    assert display.histogram_ is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "heatmap"}, r"kind must be 'parallel' or 'profile', got 'heatmap'"),
        ({"feature": 3}, r"feature must be None unless kind='profile', got 3"),
        ({"kind": "profile", "feature": "age"}, r"feature must be one of 'x0', .*'x12', or its number, got 'age'"),
        ({"kind": "profile", "feature": 13}, r"feature must be one of 'x0', .*'x12', or its number, got 13"),
        ({"n_regions": 0}, r"n_regions must be an integer of at least 1, got 0"),
        ({"max_display": "all"}, r"max_display must be an integer of at least 1, got 'all'"),
        ({"output": "red"}, r"output must be one of the labels \[False, True\], or None, got 'red'"),
        ({"columns": "mine"}, r"columns must be 'auto', 'original' or 'transformed', got 'mine'"),
        ({"X": np.zeros((4, 12))}, r"X has 12 features.* 13 features"),
        ({"X": np.ones((4, 13))}, r"standardize must be False for these rows: all rows of X are equal"),
    ],
)
def test_bad_input_is_named(parameters, message):
    classifier, X = small("two classes")
    with pytest.raises(ValueError, match=message):
        LocalCoefficientsDisplay.from_estimator(classifier, **{"X": X, **parameters})


def test_one_row_is_drawn_in_its_units():
    classifier, X = small("two classes")
    display = LocalCoefficientsDisplay.from_estimator(classifier, X[:1], standardize=False)
    coef = local_linear_models(classifier, X[:1]).coef[0]
    assert_allclose(display.lines_.get_segments()[0][:, 0], coef[display.columns_])
    display.plot(kind="profile", feature=0).figure_.canvas.draw()


def test_other_and_unfitted_estimators_are_refused():
    with pytest.raises(TypeError, match="classifier must be a DeepLogisticClassifier"):
        LocalCoefficientsDisplay.from_estimator(StandardScaler(), np.zeros((2, 3)))
    with pytest.raises(NotFittedError):
        LocalCoefficientsDisplay.from_estimator(DeepLogisticClassifier(), np.zeros((2, 3)))


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    classifier, X = small("two classes")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LocalCoefficientsDisplay needs matplotlib.*skrelu\[plot\]"):
        LocalCoefficientsDisplay.from_estimator(classifier, X)
