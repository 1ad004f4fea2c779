"""LocalExplanationDisplay: bars that add up to the score, readable labels, and scikit-learn's conventions."""

import itertools
import sys

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu.inspection import LocalExplanationDisplay, local_linear_models
from skrelu.inspection._local_explanation_display import _say_column

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def small(kind):
    """Return a fitted classifier and its rows."""
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    if kind == "two classes":
        y = y > 0
    elif kind == "multilabel":
        y = np.column_stack((y > 0, y > 1, X[:, 0] > 0)).astype(int)
    return DeepLogisticClassifier((4,), alpha=0.3, random_state=0).fit(X, y), X


@pytest.fixture(scope="module")
def mixed():
    rng = np.random.RandomState(0)
    names = ["clerk", "cook", "nurse", "machine operator and inspector"]
    table = pd.DataFrame({"age": rng.randint(18, 80, 300), "job": rng.choice(names, 300), "pay": rng.rand(300) * 1e5})
    y = table["age"] / 20 + 2 * (table["job"] == "cook") + rng.randn(300) > 3
    columns = make_column_transformer((OneHotEncoder(), ["job"]), (StandardScaler(), ["pay", "age"]))
    return make_pipeline(columns, DeepLogisticClassifier((4,), alpha=0.3, random_state=0)).fit(table, y), table


def assert_adds_up(display, score):
    """Check that bars are one behind the other, from the base to the score."""
    ends = [display.base]
    for bar in display.bars_:
        assert bar.get_x() == pytest.approx(ends[-1], abs=1e-12)
        ends.append(bar.get_x() + bar.get_width())
    assert ends[-1] == pytest.approx(score, rel=1e-10, abs=1e-10)
    assert display.score == pytest.approx(score, rel=1e-10, abs=1e-10)
    assert display.base + display.contributions.sum() == pytest.approx(score, rel=1e-10, abs=1e-10)
    assert_allclose(display.ends_.get_xdata(), [display.base, score], rtol=1e-10, atol=1e-10)
    starts = np.array(display.connectors_.get_segments())[:, 0, 0]
    assert_allclose(starts, ends, rtol=0, atol=1e-10)


def labels_of(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def centred(scores):
    return scores - scores.mean()


@pytest.mark.parametrize("max_display", [1, 5, 12, 13, 20])
@pytest.mark.parametrize("kind", ["two classes", "three classes", "multilabel"])
def test_bars_add_up_to_the_score(kind, max_display):
    classifier, X = small(kind)
    scores = np.atleast_1d(classifier.decision_function(X[7:8])[0])
    display = LocalExplanationDisplay.from_estimator(classifier, X[7], max_display=max_display)
    number = 0 if kind == "two classes" else scores.argmax()
    assert_adds_up(display, (centred(scores) if kind == "three classes" else scores)[number])
    assert len(display.bars_) == min(max_display, 13)


def test_contributions_are_coefficients_times_the_distance_to_the_mean_of_the_reference():
    classifier, X = small("three classes")
    models = local_linear_models(classifier, X[3:4])
    display = LocalExplanationDisplay.from_estimator(classifier, X[3], reference=X[50:90], output=2)
    coef = models.coef[0, 2] - models.coef[0].mean(axis=0)
    center = X[50:90].mean(axis=0)
    assert_allclose(display.contributions, coef * (X[3] - center), atol=1e-12)
    intercept = models.intercept[0, 2] - models.intercept[0].mean()
    assert display.base == pytest.approx(coef @ center + intercept, abs=1e-12)
    one = LocalExplanationDisplay.from_estimator(classifier, X[3], reference=center, output=2)
    assert_allclose(one.contributions, display.contributions, atol=1e-12)


def test_parts_are_sorted_and_the_smallest_are_summed():
    classifier, X = small("two classes")
    display = LocalExplanationDisplay.from_estimator(classifier, X[0], max_display=4)
    order = np.argsort(-np.abs(display.contributions))
    widths = [bar.get_width() for bar in display.bars_]
    assert_allclose(widths, [*display.contributions[order[:3]], display.contributions[order[3:]].sum()])
    assert labels_of(display)[4] == "other (10 columns)"
    places = [bar.get_y() for bar in display.bars_]
    assert places == sorted(places)
    assert display.ax_.yaxis_inverted()


def test_amounts_stand_on_the_right():
    display = LocalExplanationDisplay(
        contributions=np.array([0.25, -1.5]),
        base=0.5,
        score=-0.75,
        names=np.array(["a", "b"], dtype=object),
        values=np.array([1, 2], dtype=object),
    ).plot()
    amounts = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in display.amounts_axis_.get_yticklabels()]
    assert amounts == ["0.50", "-1.50", "+0.25", "-0.75"]
    assert labels_of(display) == ["reference", "b = 2", "a = 1", "this row"]
    assert display.probability_axis_ is None
    assert display.ax_.get_xlabel() == "score (nats)"
    down, up = (bar.get_facecolor() for bar in display.bars_)
    assert down != up


def test_the_predicted_class_is_explained_and_others_can_be_chosen():
    classifier, X = small("three classes")
    scores = classifier.decision_function(X)
    for row in (0, 80, 170):
        x = X[row]
        display = LocalExplanationDisplay.from_estimator(classifier, x)
        assert display.output == classifier.predict(X[row : row + 1])[0]
        every = [LocalExplanationDisplay.from_estimator(classifier, x, output=label) for label in range(3)]
        assert_allclose([one.score for one in every], centred(scores[row]), atol=1e-10)
        assert_allclose(sum(one.contributions for one in every), 0, atol=1e-10)
        assert_allclose([one.probability for one in every], classifier.predict_proba(X[row : row + 1])[0], atol=1e-10)
        assert sum(one.base_probability for one in every) == pytest.approx(1)


def test_probabilities_of_two_classes_are_an_axis():
    classifier, X = small("two classes")
    display = LocalExplanationDisplay.from_estimator(classifier, X[60])
    assert display.probability == pytest.approx(classifier.predict_proba(X[60:61])[0, 1])
    display.figure_.canvas.draw()
    axis = display.probability_axis_
    assert axis.get_xlim() == display.ax_.get_xlim()
    ticks, names = axis.get_xticks(), [label.get_text() for label in axis.get_xticklabels()]
    assert len(ticks) > 1
    assert_allclose([float(name.rstrip("%")) / 100 for name in names], 1 / (1 + np.exp(-ticks)), rtol=1e-3)
    assert axis.get_xlabel() == "probability of True"
    other = LocalExplanationDisplay.from_estimator(classifier, X[60], output=False)
    assert other.score == -display.score
    assert other.probability == pytest.approx(1 - display.probability)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-0.01, 0.03), (3, 30), (20, 40), (-40, -30), (-300, 300)])
def test_the_axis_of_probabilities_has_round_ticks_apart(low, high):
    parts = np.array([high - low])
    names, values = np.array(["a"], dtype=object), np.array([0], dtype=object)
    display = LocalExplanationDisplay(
        contributions=parts, base=low, score=high, names=names, values=values, is_log_odds=True
    ).plot()
    display.figure_.canvas.draw()
    boxes = sorted(
        (label.get_window_extent() for label in display.probability_axis_.get_xticklabels()), key=lambda box: box.x0
    )
    assert boxes
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_row_may_come_in_many_forms(mixed):
    pipeline, table = mixed
    expected = LocalExplanationDisplay.from_estimator(pipeline, table.iloc[[5]])
    for x in (table.iloc[5], pl.from_pandas(table)[5], table.iloc[[5], ::-1]):
        display = LocalExplanationDisplay.from_estimator(pipeline, x)
        assert_allclose(display.contributions, expected.contributions)
        assert display.values.tolist() == table.iloc[5].tolist()
        assert labels_of(display) == labels_of(expected)


def test_sparse_lists_and_arrays_are_rows_too():
    classifier, X = small("two classes")
    expected = LocalExplanationDisplay.from_estimator(classifier, X[5:6])
    for x in (X[5], list(X[5]), sparse.csr_array(X[5:6]), sparse.csc_matrix(X[5:6]), pd.Series(X[5])):
        display = LocalExplanationDisplay.from_estimator(classifier, x)
        assert_allclose(display.contributions, expected.contributions)
        assert_allclose(display.values.astype(float), X[5])


def test_columns_of_an_encoder_are_summed_by_their_source(mixed):
    pipeline, table = mixed
    row = table.iloc[[9]]
    display = LocalExplanationDisplay.from_estimator(pipeline, row, reference=table)
    assert display.names.tolist() == ["age", "job", "pay"]
    assert_adds_up(display, pipeline.decision_function(row)[0])
    assert f"job = {row['job'].iloc[0]}" in [label.replace("\n", " ") for label in labels_of(display)]
    assert f"age = {row['age'].iloc[0]}" in labels_of(display)
    parts = LocalExplanationDisplay.from_estimator(pipeline, row, reference=table, columns="transformed")
    is_job = np.array(["job" in name for name in parts.names])
    assert is_job.sum() == 4
    assert display.contributions[1] == pytest.approx(parts.contributions[is_job].sum())
    assert_allclose(parts.values.astype(float), pipeline[:-1].transform(row)[0])
    assert_adds_up(parts, pipeline.decision_function(row)[0])


def test_other_classifiers_are_explained():
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    classifiers = [
        DeepLogisticClassifier((), alpha=1.0),
        DeepLogisticClassifierCV((3,), alphas=2, cv=2, random_state=0),
        MLPClassifier((4,), solver="lbfgs", alpha=1.0, max_iter=5000, random_state=0),
        make_pipeline(StandardScaler(), MLPClassifier((4,), solver="lbfgs", alpha=1.0, max_iter=5000, random_state=0)),
    ]
    for classifier in classifiers:
        classifier.fit(X, y)
        display = LocalExplanationDisplay.from_estimator(classifier, X[10])
        probability = classifier.predict_proba(X[10:11])[0, 1]
        assert_adds_up(display, np.log(probability) - np.log1p(-probability))


def test_ten_classes_and_two_columns():
    X, y = load_digits(return_X_y=True)
    classifier = DeepLogisticClassifier((8,), alpha=10.0, early_stopping=True, random_state=0).fit(X, y)
    assert_adds_up(
        LocalExplanationDisplay.from_estimator(classifier, X[3], output=7),
        centred(classifier.decision_function(X[3:4])[0])[7],
    )
    X, y = make_moons(100, noise=0.2, random_state=0)
    classifier = DeepLogisticClassifier((5,), alpha=0.1, random_state=0).fit(X, y)
    assert_adds_up(LocalExplanationDisplay.from_estimator(classifier, X[3]), classifier.decision_function(X[3:4])[0])


@pytest.mark.parametrize("width", [3.2, 6.4])
def test_long_names_fit_and_stay_apart(width):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.rename(columns=lambda name: f"measurement of the {name}_of_all_cells in the fine needle aspirate")
    classifier = DeepLogisticClassifier((3,), alpha=1.0, standardize=True, random_state=0)
    classifier.fit(X, np.where(y > 0, "benign", "malignant"))
    _, ax = plt.subplots(figsize=(width, 4.5), layout="constrained")
    display = LocalExplanationDisplay.from_estimator(classifier, X.iloc[0], ax=ax)
    assert display.ax_ is ax
    assert display.names.tolist() == X.columns.tolist()
    display.figure_.canvas.draw()
    page = display.figure_.bbox
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(box.x0 >= page.x0 for box in boxes)
    assert all(upper.y0 > lower.y0 + 0.7 * lower.height for upper, lower in itertools.pairwise(boxes))
    assert len(set(labels_of(display))) == 12
    for label in (ax.xaxis.label, display.probability_axis_.xaxis.label):
        assert page.x0 <= label.get_window_extent().x0 < label.get_window_extent().x1 <= page.x1
    assert ax.get_window_extent().width > 0.35 * page.width


def test_labels_keep_the_value_and_both_ends_of_a_name():
    label = _say_column("a very long name of a column that differs from others only in the very last word", 1.5, 20)
    first, last = label.split("\n")
    assert first.startswith("a very")
    assert last.endswith("= 1.5")
    assert max(len(first), len(last)) <= 20
    assert "word" in label
    assert "…" in label


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (39, "39"),
        (39.0, "39"),
        (-0.12345, "\N{MINUS SIGN}0.1235"),
        (41851.3, "41851"),
        (3e-7, "3e\N{MINUS SIGN}07"),
        (2.5e9, "2.5e+09"),
        (0.0, "0"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (np.float32(0.5), "0.5"),
        (True, "True"),
        ("clerk", "clerk"),
        ("a$b", r"a\$b"),
    ],
)
def test_values_are_short(value, expected):
    assert _say_column("name", value, 30) == f"name = {expected}"


def test_a_row_that_is_the_reference_has_parts_of_zero():
    classifier, X = small("two classes")
    display = LocalExplanationDisplay.from_estimator(classifier, X[0], reference=X[0])
    assert_array_equal(display.contributions, 0)
    assert_adds_up(display, classifier.decision_function(X[:1])[0])
    display.figure_.canvas.draw()


def test_it_takes_axes_and_styles_and_draws_again():
    classifier, X = small("two classes")
    display = LocalExplanationDisplay.from_estimator(classifier, X[0], bar_kwargs={"fc": "red", "height": 0.5})
    assert {bar.get_facecolor() for bar in display.bars_} == {(1.0, 0.0, 0.0, 1.0)}
    assert {bar.get_height() for bar in display.bars_} == {0.5}
    _, ax = plt.subplots()
    assert display.plot(ax, max_display=3) is display
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    assert len(display.bars_) == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"x": np.zeros((2, 13))}, r"x must be one row, got 2 rows"),
        ({"x": np.zeros((0, 13))}, r"x must be one row, got 0 rows"),
        ({"x": np.zeros((1, 1, 13))}, r"x must have one or two dimensions, got shape \(1, 1, 13\)"),
        ({"x": 3.0}, r"x must have one or two dimensions, got shape \(\)"),
        ({"x": np.zeros(12)}, r"x does not fit: .*12 features.* 13 features"),
        ({"x": np.full(13, np.nan)}, r"x does not fit: .*NaN"),
        ({"reference": np.zeros((4, 12))}, r"reference does not fit: .*12 features.* 13 features"),
        ({"reference": 3.0}, r"reference must have one or two dimensions, got shape \(\)"),
        ({"output": 2}, r"output must be one of the labels \[False, True\], or None, got 2"),
        ({"max_display": 0}, r"max_display must be an integer of at least 1, got 0"),
        ({"max_display": 2.0}, r"max_display must be an integer of at least 1, got 2.0"),
        ({"columns": "mine"}, r"columns must be 'auto', 'original' or 'transformed', got 'mine'"),
    ],
)
def test_bad_input_is_named(parameters, message):
    classifier, X = small("two classes")
    with pytest.raises(ValueError, match=message):
        LocalExplanationDisplay.from_estimator(classifier, **{"x": X[0], **parameters})


def test_other_and_unfitted_estimators_are_refused():
    with pytest.raises(TypeError, match="classifier must be a DeepLogisticClassifier"):
        LocalExplanationDisplay.from_estimator(StandardScaler(), np.zeros(3))
    with pytest.raises(NotFittedError):
        LocalExplanationDisplay.from_estimator(DeepLogisticClassifier(), np.zeros(3))


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    classifier, X = small("two classes")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LocalExplanationDisplay needs matplotlib.*skrelu\[plot\]"):
        LocalExplanationDisplay.from_estimator(classifier, X[0])
