"""nearest_counterfactual: labels, distances and limits against predict, closed formulas and dense or random search."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_moons,
    make_multilabel_classification,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, QuantileTransformer, StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu.inspection import local_linear_models, nearest_counterfactual


def fit(X, y, units=(12,), **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # any network will do
        return DeepLogisticClassifier(units, alpha=1.0, random_state=0, max_iter=60, **kwargs).fit(X, y)


def table_of(kind):
    if kind == "multilabel":
        return make_multilabel_classification(n_samples=120, n_features=6, n_classes=3, random_state=1)
    loads = {"cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine, "digits": load_digits}
    return make_moons(200, noise=0.2, random_state=0) if kind == "moons" else loads[kind](return_X_y=True)


KINDS = ["cancer", "moons", "iris", "wine", "digits", "multilabel"]


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    X, y = table_of(request.param)
    return fit(X, y, (8, 6) if request.param == "wine" else (12,)), X[:: max(len(X) // 25, 1)]


def differs(a, b):
    return (a != b).reshape(len(a), -1).any(axis=1)


def first_flip(classifier, x, point, wanted=None, n=2001):
    """Return the share of the way from x to a point, and a little beyond it, at which the label is another one."""
    t = np.linspace(0, 1.05, n)
    labels = classifier.predict(x + t[:, None] * (point - x))
    reached = differs(labels, labels[:1]) if wanted is None else labels == wanted
    return t[reached.argmax()] if reached.any() else np.inf


def test_every_point_flips_the_label_and_none_does_earlier_on_its_line(case):
    classifier, X = case
    given = X.copy()
    found = nearest_counterfactual(classifier, X)
    assert found.is_found.all()
    assert_array_equal(found.label, classifier.predict(found.points))
    assert differs(found.label, classifier.predict(X)).all()
    assert min(first_flip(classifier, *pair) for pair in zip(X, found.points, strict=True)) > 1 / 1.05
    assert_array_equal(X, given)


def test_distance_is_in_the_unit_of_scale(case):
    classifier, X = case
    ones, weights = np.ones(X.shape[1]), np.linspace(0.5, 2, X.shape[1])
    for scale, unit in [("standardized", classifier.feature_scale_), ("given", ones), (weights, weights)]:
        found = nearest_counterfactual(classifier, X[:5], scale=scale)
        unit = np.asarray(unit if unit is not None else np.where(X[:5].std(axis=0) > 0, X[:5].std(axis=0), 1))
        assert_allclose(found.distance, np.linalg.norm((found.points - X[:5]) / unit, axis=1), rtol=1e-12)


def test_within_region_means_the_projection_onto_the_own_boundary(case):
    classifier, X = case
    found = nearest_counterfactual(classifier, X, scale="given")
    both = local_linear_models(classifier, np.vstack((X, found.points)))
    same = both.region[: len(X)] == both.region[len(X) :]
    assert not (found.is_within_region & ~same).any()
    coef = both.coef.reshape(2 * len(X), -1, X.shape[1])[: len(X)]
    scores = np.einsum("nkp,np->nk", coef, X) + both.intercept.reshape(2 * len(X), -1)[: len(X)]
    if scores.shape[1] > 1 and found.label.ndim == 1:
        top = scores.argmax(axis=1)
        coef, scores = coef - coef[np.arange(len(X)), top][:, None], scores - scores[np.arange(len(X)), top][:, None]
    length = np.linalg.norm(coef, axis=2)
    distances = np.divide(np.abs(scores), length, out=np.full(scores.shape, np.inf), where=length > 0)
    if scores.shape[1] > 1 and found.label.ndim == 1:
        distances[np.arange(len(X)), top] = np.inf
    inside = found.is_within_region
    assert_allclose(found.distance[inside], distances.min(axis=1)[inside], rtol=1e-6)


@pytest.mark.parametrize("kind", ["cancer", "wine", "multilabel"])
def test_without_a_hidden_layer_it_is_the_closed_formula(kind):
    X, y = table_of(kind)
    classifier, X = fit(X, y, ()), X[:40]
    found = nearest_counterfactual(classifier, X)
    scores, w = classifier.decision_function(X).reshape(len(X), -1), classifier.coefs_[0].T
    if kind == "wine":
        top = scores.argmax(axis=1)
        w, scores = w[None] - w[top][:, None], scores.max(axis=1, keepdims=True) - scores
    unit = classifier.feature_scale_ if classifier.feature_scale_ is not None else X.std(axis=0)
    length = np.linalg.norm(w * unit, axis=-1) * np.ones(scores.shape)
    away = np.divide(np.abs(scores), length, out=np.full(scores.shape, np.inf), where=length > 0)
    assert_allclose(found.distance, away.min(axis=1), rtol=1e-6)
    assert found.is_within_region.all()


@pytest.mark.parametrize("kind", ["moons", "iris"])
def test_nothing_much_nearer_is_found_by_random_directions(kind):
    X, y = table_of(kind)
    classifier, X = fit(X, y, (20, 10)), X[::12]
    found = nearest_counterfactual(classifier, X, scale="given")
    before = classifier.predict(X)
    directions = np.random.RandomState(0).standard_normal((2000, X.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for x, label, distance in zip(X, before, found.distance, strict=True):
        for share in (0.5, 0.8, 0.96):
            assert (classifier.predict(x + share * distance * directions) == label).all()


def test_target_is_reached_and_is_distance_0_where_it_is_predicted():
    X, y = load_wine(return_X_y=True)
    y = np.array(["a", "b", "c"])[y]
    classifier, X = fit(X, y), X[::6]
    for target in ("b", np.resize(["a", "b", "c"], len(X))):
        found = nearest_counterfactual(classifier, X, target=target)
        assert found.is_found.all()
        assert (classifier.predict(found.points) == target).all()
        stays = classifier.predict(X) == target
        assert (found.distance[stays] == 0).all()
        assert (found.distance[~stays] > 0).all()
        assert_array_equal(found.points[stays], X[stays])
    X, Y = table_of("multilabel")
    classifier = fit(X, Y)
    found = nearest_counterfactual(classifier, X[:20], target=1)
    assert found.is_found.any()
    assert (found.label != classifier.predict(X[:20]))[found.is_found, 1].all()


def test_bounds_and_fixed_columns_are_kept_exactly():
    X, y = load_breast_cancer(return_X_y=True)
    classifier, X = fit(X, y), X[::15]
    low, high = np.quantile(X, 0.1, axis=0), np.quantile(X, 0.9, axis=0)  # many rows are outside
    found = nearest_counterfactual(classifier, X, bounds=np.column_stack((low, high)), fixed=[0, 7])
    rest = np.setdiff1d(np.arange(30), [0, 7])
    points = found.points[found.is_found]
    assert found.is_found.sum() > 20
    assert_array_equal(found.points[:, [0, 7]], X[:, [0, 7]])
    assert ((low <= points) & (points <= high))[:, rest].all()
    assert (classifier.predict(points) != classifier.predict(X)[found.is_found]).all()
    few = nearest_counterfactual(classifier, X, bounds={3: (None, high[3])}, fixed=np.arange(30) < 3)
    assert_array_equal(few.points[:, :3], X[:, :3])
    assert (few.points[:, 3] <= high[3]).all()


def test_row_outside_the_bounds_goes_to_the_nearest_point_inside():
    X = np.random.RandomState(0).randn(200, 2)
    classifier = fit(X, X @ [1.0, 1.0] > 0, ())
    w, b = classifier.coefs_[0][:, 0], classifier.intercepts_[0][0]
    x = np.array([[-3.0, -1.0]])
    found = nearest_counterfactual(classifier, x, bounds=[(-2, None), (None, None)], scale="given")
    # nearest to the row, not to its nearest point inside: the first column moves to the bound at least
    free = x[0] - (x[0] @ w + b) / (w @ w) * w
    expected = free if free[0] >= -2 else np.array([-2.0, (-b + 2 * w[0]) / w[1]])
    assert_allclose(found.points[0], expected, rtol=1e-6)


def test_nothing_is_found_where_nothing_may_change():
    X, y = load_iris(return_X_y=True)
    classifier, X = fit(X, y), X[::20]
    for kwargs in ({"fixed": [0, 1, 2, 3]}, {"bounds": [(v, v + 1e-9) for v in X[0]]}):
        found = nearest_counterfactual(classifier, X[:1], scale="given", **kwargs)
        assert not found.is_found.any()
        assert not found.is_within_region.any()
        assert np.isnan(found.distance).all()
        assert_array_equal(found.label, classifier.predict(X[:1]))


@pytest.mark.parametrize("kind", ["float32", "laplace", "mlp", "raw"])
def test_kinds_of_classifiers(kind):
    X, y = load_wine(return_X_y=True)
    if kind == "float32":
        X = X.astype(np.float32)
        classifier = fit(X, y)
    elif kind == "laplace":
        classifier = fit(X, y, predictive="laplace")
    elif kind == "raw":
        X = X * 10.0 ** np.linspace(-6, 6, X.shape[1])
        classifier = fit(X, y)
    else:
        X = StandardScaler().fit_transform(X)
        classifier = MLPClassifier((10, 5), random_state=0, max_iter=300, solver="lbfgs").fit(X, y)
    X = X[::9]
    found = nearest_counterfactual(classifier, X)
    assert found.is_found.all()
    assert (classifier.predict(found.points) != classifier.predict(X)).all()
    for x, point in zip(X.astype(np.float64), found.points, strict=True):
        assert first_flip(classifier, x, point) > 1 / 1.05


def mixed_frame():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=["a", "b c", "d", "e"], index=np.arange(150) * 3)
    frame["colour"] = np.resize(["red", "blue"], 150)
    frame["count"] = np.resize(np.arange(7), 150)
    frame["flag"] = np.resize([True, False, False], 150)
    return frame, y


def test_data_frame_of_mixed_columns():
    frame, y = mixed_frame()
    transformer = make_column_transformer((OneHotEncoder(), ["colour"]), remainder=StandardScaler())
    model = make_pipeline(transformer, fit_less := DeepLogisticClassifier((6,), alpha=1.0, random_state=0))
    assert fit_less is model[-1]
    model.fit(frame, y)
    X = frame.iloc[::10]
    given = X.copy()
    found = nearest_counterfactual(model, X, fixed=["b c"], bounds={"count": (0, 6)})
    assert found.is_found.all()
    assert list(found.points.columns) == list(X.columns)
    assert (found.points.index == X.index).all()
    assert (found.points[["colour", "b c"]] == X[["colour", "b c"]]).all(axis=None)
    assert found.points["count"].between(0, 6).all()
    assert (model.predict(found.points) != model.predict(X)).all()
    pd.testing.assert_frame_equal(X, given)
    shuffled = nearest_counterfactual(model, X[X.columns[::-1]], fixed=["b c"], bounds={"count": (0, 6)})
    pd.testing.assert_frame_equal(shuffled.points[X.columns], found.points, rtol=1e-9)
    with pytest.raises(ValueError, match="'colour', which an encoder"):
        nearest_counterfactual(model, X, bounds={"colour": (0, 1)})


def test_frame_with_numbers_as_names():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X)
    model = make_pipeline(StandardScaler(), DeepLogisticClassifier((6,), alpha=1.0, random_state=0)).fit(frame, y)
    found = nearest_counterfactual(model, frame[::10])
    assert list(found.points.columns) == [0, 1, 2, 3]
    assert (model.predict(found.points) != model.predict(frame[::10])).all()


@pytest.mark.parametrize("step", ["pca", "unknown", "unknown frame"])
def test_pipelines(step):
    X, y = load_wine(return_X_y=True, as_frame=True)
    first = PCA(4) if step == "pca" else FunctionTransformer(lambda X: X**2)
    scaler = StandardScaler().set_output(transform="pandas" if step == "unknown frame" else "default")
    model = make_pipeline(scaler, first, DeepLogisticClassifier((6,), alpha=1.0, random_state=0)).fit(X, y)
    if step != "pca":
        with pytest.raises(ValueError, match=r"columns must be .*transformed.*'functiontransformer'"):
            nearest_counterfactual(model, X[::9])
    found = nearest_counterfactual(model, X[::9], columns="auto" if step == "pca" else "transformed")
    assert found.is_found.all()
    predict = model.predict if step == "pca" else model[-1].predict
    assert (predict(found.points) != model.predict(X[::9])).all()


def test_polars_frame():
    pl = pytest.importorskip("polars")
    X, y = load_iris(return_X_y=True)
    frame = pl.DataFrame(dict(zip("abcd", X.T, strict=True)))
    model = make_pipeline(StandardScaler(), DeepLogisticClassifier((6,), alpha=1.0, random_state=0)).fit(frame, y)
    found = nearest_counterfactual(model, frame[::10], fixed=["a"])
    assert isinstance(found.points, pl.DataFrame)
    assert (found.points["a"] == frame[::10]["a"]).all()
    assert (model.predict(found.points) != model.predict(frame[::10])).all()


def test_forms_of_X_give_the_same_and_so_do_threads_and_runs():
    X, y = load_wine(return_X_y=True)
    X = np.round(X)
    classifier, X = fit(X, y), X[::9]
    found = nearest_counterfactual(classifier, X)
    for other in (sparse.csr_array(X), np.asfortranarray(X), X.astype(int), X):
        assert_array_equal(nearest_counterfactual(classifier, other).points, found.points)
    large = np.vstack([X + 0.01 * k for k in range(30)])
    one, two = (nearest_counterfactual(classifier.set_params(n_jobs=n), large) for n in (1, 2))
    assert_array_equal(one.points, two.points)
    assert_array_equal(one.distance, two.distance)


def test_answer_does_not_depend_on_the_other_rows():
    X, y = load_wine(return_X_y=True)
    classifier, X = fit(X, y, standardize=True), X[::9]
    together = nearest_counterfactual(classifier, X)
    alone = [nearest_counterfactual(classifier, x[None]).distance[0] for x in X]
    assert_allclose(together.distance, alone, rtol=1e-6)
    twice = nearest_counterfactual(classifier, np.repeat(X[:3], 2, axis=0))
    assert_allclose(twice.points[::2], twice.points[1::2], rtol=1e-9)


def by_hand(coefs, intercepts, like):
    like.coefs_, like.intercepts_ = [np.array(c, float) for c in coefs], [np.array(b, float) for b in intercepts]
    return like


def test_row_exactly_on_the_boundary_and_a_column_without_weight():
    classifier = fit(*make_moons(100, random_state=0), (2,))
    classifier = by_hand([[[1, -1], [0, 0]], [[1], [-1]]], [[0, 0], [0]], classifier)  # f(x) = x_0
    found = nearest_counterfactual(classifier, np.array([[0.0, 5.0], [1e-9, 5.0], [3.0, 5.0]]), scale="given")
    assert found.is_found.all()
    assert_array_equal(found.points[:, 1], 5.0)
    assert_allclose(found.distance, [0, 0, 3], atol=1e-6)
    assert_array_equal(found.label, classifier.classes_[[1, 0, 0]])


def test_classifier_that_says_one_label_everywhere():
    classifier = fit(*make_moons(100, random_state=0), (2,))
    classifier = by_hand([np.zeros((2, 2)), [[1], [-1]]], [[1, 0], [1]], classifier)
    found = nearest_counterfactual(classifier, np.zeros((3, 2)), scale="given")
    assert not found.is_found.any()
    assert (found.label == classifier.classes_[1]).all()


def test_constant_column():
    X, y = load_iris(return_X_y=True)
    X = np.column_stack((X, np.full(150, 7.0)))
    classifier = fit(X, y)
    found = nearest_counterfactual(classifier, X[::10])
    assert found.is_found.all()
    assert np.isfinite(found.distance).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"target": "none"}, "target must be among the labels .* got 'none'"),
        ({"target": [0, 1]}, r"target must be one label or one for each of the 15 rows, got shape \(2,\)"),
        ({"bounds": {0: (2, 1)}}, r"bounds must have low <= high, got \(2, 1\) for 'x0'"),
        ({"bounds": {0: (np.nan, 1)}}, "bounds must have low <= high"),
        ({"bounds": {"q": (0, 1)}}, "bounds must name columns.* there is no column 'q'"),
        ({"bounds": [(0, 1)]}, "bounds must be a dictionary or 4 pairs .* got 1"),
        ({"bounds": 3}, "bounds must be a dictionary or 4 pairs .* got 3"),
        ({"bounds": {0: 3}}, "bounds must be pairs"),
        ({"bounds": {0: ("low", 1)}}, "bounds must be pairs"),
        ({"fixed": ["q"]}, "fixed must name columns.* there is no column 'q'"),
        ({"fixed": [4]}, "fixed must name columns.* there is no column 4"),
        ({"fixed": [True, False]}, "fixed must be a mask of 4 columns, got 2"),
        ({"scale": "wide"}, "scale must be 'standardized', 'given' or 4 positive numbers.* got 'wide'"),
        ({"scale": [1, 1, 1]}, "scale must be"),
        ({"scale": [1, 1, 0, 1]}, "scale must be"),
        ({"columns": "some"}, "columns must be 'auto', 'original' or 'transformed', got 'some'"),
    ],
)
def test_errors_say_what_was_given_and_what_is_allowed(kwargs, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        nearest_counterfactual(fit(X, y, (3,)), X[::10], **kwargs)


def test_wrong_classifiers_and_rows():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(NotFittedError):
        nearest_counterfactual(DeepLogisticClassifier(), X)
    with pytest.raises(TypeError, match="classifier must be"):
        nearest_counterfactual(LogisticRegression(), X)
    classifier = fit(X, y, (3,))
    for wrong in (np.full((2, 4), np.nan), X[:, :3]):
        with pytest.raises(ValueError, match=r"NaN|features"):
            nearest_counterfactual(classifier, wrong)
    with pytest.raises(ValueError, match="overflow"):
        nearest_counterfactual(by_hand([[[1e300]] * 4, [[1e300] * 3]], [[0], [0] * 3], classifier), X * 1e10)


def test_unit_is_the_deviation_in_X_if_nothing_else_is_known():
    X, y = make_moons(100, noise=0.2, random_state=0)
    X = np.column_stack([X[:, 0], 1000 * X[:, 1], np.full(100, 7.0)])
    Z = StandardScaler().fit_transform(X)
    network = MLPClassifier((5,), max_iter=2000, random_state=0).fit(Z, y)
    network.coefs_[0][2] = [1, -1, 2, 0.5, 1]  # the constant column would be moved
    alone = nearest_counterfactual(network, Z)
    assert_array_equal(alone.points[:, 2], Z[:, 2])
    unchanged = make_pipeline(FunctionTransformer().fit(Z), network)
    assert_allclose(nearest_counterfactual(unchanged, Z).distance, alone.distance)
    scaled = make_pipeline(StandardScaler().fit(X), network)
    one = nearest_counterfactual(scaled, X[:1])  # the scaler knows
    assert one.distance[0] == pytest.approx(nearest_counterfactual(scaled, X).distance[0])
    with pytest.warns(UserWarning, match="all rows of X are equal, so distances are in the columns' own units"):
        found = nearest_counterfactual(network, Z[:1])
    assert found.distance == pytest.approx(nearest_counterfactual(network, Z[:1], scale="given").distance)


def test_missing_values_behind_an_imputer():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.iloc[::7, 0] = X.iloc[3::5, 2] = np.nan
    imputer = SimpleImputer()
    model = make_pipeline(imputer, StandardScaler(), DeepLogisticClassifier((6,), alpha=1.0, random_state=0)).fit(X, y)
    filled = pd.DataFrame(imputer.transform(X), columns=X.columns)
    found, expected = (nearest_counterfactual(model, table, fixed=[0]) for table in (X, filled))
    assert found.is_found.all()
    assert_allclose(found.points, expected.points)
    assert_allclose(found.points.iloc[:, 0], filled.iloc[:, 0])
    assert (model.predict(found.points) != model.predict(X)).all()
    mixing = make_pipeline(SimpleImputer(), PCA(3), DeepLogisticClassifier((6,), alpha=1.0, random_state=0)).fit(X, y)
    with pytest.raises(ValueError, match="X holds NaN that the steps replace by values which cannot be told"):
        nearest_counterfactual(mixing, X)
    nearest_counterfactual(mixing, filled)


def test_columns_that_all_pass_an_encoder_are_an_error():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(QuantileTransformer(n_quantiles=20), DeepLogisticClassifier((6,), alpha=1.0, random_state=0))
    with pytest.raises(ValueError, match="No column of X can change"):
        nearest_counterfactual(model.fit(X, y), X)
    assert nearest_counterfactual(model, X, columns="transformed").is_found.all()


def test_units_and_bounds_by_name():
    X, y = load_iris(return_X_y=True, as_frame=True)
    classifier = fit(X, y)
    units = X.std()[::-1]
    expected = nearest_counterfactual(classifier, X, scale=X.std().to_numpy(), bounds=[(0, None), *[(None, None)] * 3])
    for scale in (units, units.to_dict()):
        found = nearest_counterfactual(classifier, X, scale=scale, bounds=[(0, None), None, None, None])
        assert_array_equal(found.distance, expected.distance)
    with pytest.raises(ValueError, match=r"scale must be .* there is no column 'q'"):
        nearest_counterfactual(classifier, X, scale={"q": 1.0})
    with pytest.raises(ValueError, match="scale must be"):
        nearest_counterfactual(classifier, X, scale={X.columns[0]: 1.0})
    first = {X.columns[0]}
    assert (nearest_counterfactual(classifier, X, fixed=first).points[X.columns[0]] == X[X.columns[0]]).all()
