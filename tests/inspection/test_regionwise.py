"""A simplified network: its formulas, its price and its table, against literal ones."""

import builtins
import pickle
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrelu import DeepLogisticClassifier
from skrelu.inspection import RegionwiseLogisticClassifier, _merging, local_linear_models, simplify

NAMES = ("binary", "multiclass")


@cache
def load(name):
    X, y = {"binary": load_breast_cancer, "multiclass": load_iris}[name](return_X_y=True)
    return X[:, :8], np.array(["a", "b", "c"])[y]


@cache
def fitted(name):
    X, y = load(name)
    return DeepLogisticClassifier((6,), alpha=0.3, standardize=True, random_state=0, early_stopping=False).fit(X, y)


@cache
def simplified(name, n_regions=3):
    return simplify(fitted(name), *load(name), n_regions)


def make_frame(n_samples=300, seed=0):
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame(
        {
            "size": 10 + 3 * rng.randn(n_samples),
            "count": rng.randint(5, size=n_samples).astype(float),
            "colour": pd.Categorical(rng.choice(["red", "green", "blue"], n_samples)),
        }
    )
    score = np.abs(frame["size"] - 10) - 3 * (frame["colour"] == "red") * (frame["count"] > 2)
    return frame, np.where(score + rng.randn(n_samples) > 1.5, "yes", "no")


def encoded(last):
    columns = make_column_transformer((OneHotEncoder(), ["colour"]), (StandardScaler(), ["size", "count"]))
    return make_pipeline(columns, last)


def literal_scores(model, X):
    region = model.apply(X)
    scores = np.array([model.coef_[r] @ x + model.intercept_[r] for r, x in zip(region, X, strict=True)])
    return scores[:, 0] if scores.shape[1] == 1 else scores


@pytest.mark.filterwarnings(
    # MLPClassifier ends before it converges, and the checks fit labels that the features say nothing about.
    "ignore:(lbfgs failed to converge|L-BFGS ended before):sklearn.exceptions.ConvergenceWarning",
    "ignore:The training rows do not determine the network:UserWarning",
    # check_array_api_input needs SCIPY_ARRAY_API in the environment, for any estimator.
    "ignore:.*SCIPY_ARRAY_API:sklearn.exceptions.SkipTestWarning",
)
@parametrize_with_checks(
    [
        RegionwiseLogisticClassifier(random_state=0),
        RegionwiseLogisticClassifier(
            make_pipeline(StandardScaler(with_mean=False), DeepLogisticClassifier((5,), max_iter=100, random_state=0)),
            2,
            alpha=0.1,
            random_state=0,
        ),
        RegionwiseLogisticClassifier(
            MLPClassifier((10,), alpha=1.0, solver="lbfgs", max_iter=100, random_state=0), 3, random_state=0
        ),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", NAMES)
class TestPredictions:
    def test_scores_are_the_literal_formula(self, name):
        X, _ = load(name)
        model = simplified(name)
        assert_allclose(model.decision_function(X), literal_scores(model, X), rtol=1e-10, atol=1e-10)

    def test_probabilities_and_labels_follow_from_the_scores(self, name):
        X, y = load(name)
        model = simplified(name)
        scores = model.decision_function(X)
        scores = np.column_stack((np.zeros(len(X)), scores)) if name == "binary" else scores
        assert_allclose(model.predict_proba(X), softmax(scores, axis=1), atol=1e-12)
        assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)), atol=1e-9)
        assert_array_equal(model.predict(X), model.classes_[scores.argmax(axis=1)])
        assert model.score(X, y) > 0.9

    def test_the_region_of_a_row_depends_on_its_pattern_only(self, name):
        X, _ = load(name)
        new = X + 4 * X.std(axis=0) * np.random.RandomState(0).randn(*X.shape)
        region = local_linear_models(fitted(name), np.vstack((X, new))).region
        merged = simplified(name).apply(np.vstack((X, new)))
        assert set(region[len(X) :]) - set(region[: len(X)]), "there are unseen patterns"
        assert len(set(zip(region, merged, strict=True))) == len(set(region))
        assert len(set(merged)) == 3

    def test_sparse_rows_have_the_same_scores(self, name):
        X, _ = load(name)
        model = simplified(name)
        assert_allclose(model.decision_function(sparse.csr_array(X)), model.decision_function(X), atol=1e-9)

    def test_rows_in_float32(self, name):
        X, y = load(name)
        X = X.astype(np.float32)
        model = RegionwiseLogisticClassifier(clone(fitted(name)), 3, random_state=0).fit(X, y)
        assert_allclose(model.decision_function(X), literal_scores(model, X.astype(np.float64)), rtol=1e-10, atol=1e-10)
        assert_allclose(model.price(X, y), model.price_, atol=1e-9)

    def test_pickle_and_clone(self, name):
        X, y = load(name)
        model = simplified(name)
        copy = pickle.loads(pickle.dumps(model))
        assert_array_equal(copy.decision_function(X), model.decision_function(X))
        again = clone(model).fit(X, y)
        assert_array_equal(again.decision_function(X), model.decision_function(X))
        assert again.estimator_ is fitted(name)

    def test_more_regions_are_nearer_to_the_network(self, name):
        X, y = load(name)
        prices = [simplify(fitted(name), X, y, n).price_ for n in (1, 4, 1000)]
        assert prices[0] > prices[1] > prices[2] - 1e-6

    def test_as_many_regions_as_the_network_has_leave_its_scores_if_the_penalty_is_strong(self, name):
        """Each local model is the prior of its own region, so it fits the network's probabilities exactly."""
        X, y = load(name)
        model = RegionwiseLogisticClassifier(FrozenEstimator(fitted(name)), 1000).fit(X, y)
        assert model.n_regions_ == local_linear_models(fitted(name), X).region.max() + 1
        assert_allclose(model.predict_proba(X), fitted(name).predict_proba(X), atol=1e-5)
        assert_allclose(model.price_, 0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
class TestPrice:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_it_is_a_difference_of_log_losses(self, name, weighted):
        X, y = load(name)
        weights = np.random.RandomState(0).rand(len(y)) if weighted else None
        model = simplify(fitted(name), X, y, 2, sample_weight=weights)

        def difference(rows):
            options = {"sample_weight": None if weights is None else weights[rows], "labels": model.classes_}
            own, network = (log_loss(y[rows], p.predict_proba(X[rows]), **options) for p in (model, fitted(name)))
            return own - network

        assert_allclose(model.price_, difference(slice(None)), atol=1e-9)
        rows = slice(None, None, 3)
        weights_of_rows = None if weights is None else weights[rows]
        assert_allclose(model.price(X[rows], y[rows], weights_of_rows), difference(rows), atol=1e-9)

    def test_the_regions_add_up_to_it(self, name):
        model = simplified(name)
        losses = model.region_log_loss_ - model.region_network_log_loss_
        assert_allclose(model.region_share_ @ losses, model.price_, atol=1e-12)

    def test_moderated_probabilities_are_those_of_the_network(self, name):
        X, y = load(name)
        network = DeepLogisticClassifier((6,), predictive="laplace", random_state=0).fit(X, y)
        model = simplify(network, X, y, 2)
        expected = log_loss(y, model.predict_proba(X)) - log_loss(y, network.predict_proba(X))
        assert_allclose(model.price_, expected, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
class TestOneRegion:
    def test_it_is_one_logistic_regression_of_the_probabilities(self, name):
        X, y = load(name)
        X = StandardScaler().fit_transform(X)
        network = DeepLogisticClassifier((6,), alpha=1.0, random_state=0, early_stopping=False).fit(X, y)
        model = RegionwiseLogisticClassifier(FrozenEstimator(network), 1, alpha=0.0).fit(X, y)
        p = network.predict_proba(X)
        theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=100_000)
        theirs.fit(np.tile(X, (p.shape[1], 1)), np.repeat(network.classes_, len(X)), p.T.ravel())
        assert model.coef_.shape == (1, *theirs.coef_.shape)
        assert (model.apply(X) == 0).all()
        assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-3)
        loss = -(p * model.predict_log_proba(X)).sum(axis=1).mean()
        assert loss <= -(p * theirs.predict_log_proba(X)).sum(axis=1).mean() + 1e-7

    def test_a_network_without_hidden_layers_is_left_as_it_is(self, name):
        X, y = load(name)
        network = DeepLogisticClassifier((), alpha=1.0, standardize=True).fit(X, y)
        model = simplify(network, X, y, 5)
        assert model.n_regions_ == 1
        assert_allclose(model.predict_proba(X), network.predict_proba(X), atol=1e-6)


class TestRegionsThatLackClasses:
    def network(self):
        """Three regions on a line; labels in the outer ones are all alike."""
        x = np.linspace(-3, 3, 121)[:, np.newaxis]
        y = np.where(np.abs(x[:, 0]) > 1, "far", "near")
        return DeepLogisticClassifier((4,), alpha=0.01, random_state=0, early_stopping=False).fit(x, y), x, y

    def test_each_class_has_a_finite_score_in_a_region_of_one_class(self):
        network, x, y = self.network()
        model = simplify(network, x, y, 3)
        assert np.isin(model.region_response_, [0, 1]).all(axis=1).any(), "there is a region with one class"
        assert np.isfinite(model.predict_log_proba(x)).all()
        assert np.isfinite(model.coef_).all()
        assert model.score(x, y) > 0.97

    def test_rows_of_one_class(self):
        network, x, y = self.network()
        model = simplify(network, x[:30], y[:30], 2)
        assert set(y[:30]) == {"far"}
        assert_array_equal(model.classes_, ["far", "near"])
        assert_array_equal(model.region_response_, [[1, 0]] * model.n_regions_)
        label = np.arange(len(y)), (y == "near").astype(int)
        expected = network.predict_log_proba(x)[label].mean() - model.predict_log_proba(x)[label].mean()
        assert_allclose(model.price(x, y), expected, atol=1e-9)

    def test_one_row(self):
        network, x, y = self.network()
        model = simplify(network, x[:1], y[:1], 2)
        assert_allclose(model.predict_proba(x[:1]), network.predict_proba(x[:1]), atol=1e-6)


class TestPipelines:
    @pytest.mark.parametrize("name", NAMES)
    def test_after_a_scaler_coefficients_are_in_the_units_of_X(self, name):
        X, y = load(name)
        pipeline = make_pipeline(StandardScaler(), clone(fitted(name))).fit(X, y)
        model = simplify(pipeline, X, y, 3)
        assert model.n_features_in_ == X.shape[1]
        assert_allclose(model.decision_function(X), literal_scores(model, X), rtol=1e-9, atol=1e-9)
        bare = simplify(pipeline[-1], pipeline[:-1].transform(X), y, 3)
        assert_allclose(model.coef_, bare.coef_ / pipeline[0].scale_, rtol=1e-9)
        assert_allclose(model.price_, bare.price_, atol=1e-12)

    @pytest.mark.parametrize(
        "last",
        [
            DeepLogisticClassifier((5,), alpha=0.3, random_state=0),
            MLPClassifier((5,), solver="lbfgs", max_iter=2000, random_state=0),
        ],
        ids=["ours", "mlp"],
    )
    def test_after_an_encoder_coefficients_belong_to_its_columns(self, last):
        X, y = make_frame()
        model = RegionwiseLogisticClassifier(encoded(last), 3, random_state=0).fit(X, y)
        assert_array_equal(model.feature_names_in_, X.columns)
        transformer = model.estimator_[:-1]
        assert_array_equal(model.column_names_, transformer.get_feature_names_out())
        Z = transformer.transform(X)
        scores = (model.coef_[model.apply(X), 0] * Z).sum(axis=1) + model.intercept_[model.apply(X), 0]
        assert_allclose(model.decision_function(X), scores, atol=1e-9)
        assert_allclose(model.price(X, y), model.price_, atol=1e-12)

    def test_a_sparse_encoder(self):
        X, y = make_frame()
        X = X[["colour", "count"]].astype(str)
        pipeline = make_pipeline(OneHotEncoder(), DeepLogisticClassifier((3,), alpha=0.3, random_state=0)).fit(X, y)
        model = simplify(pipeline, X, y, 2)
        Z = pipeline[:-1].transform(X).toarray()
        scores = (model.coef_[model.apply(X), 0] * Z).sum(axis=1) + model.intercept_[model.apply(X), 0]
        assert_allclose(model.decision_function(X), scores, atol=1e-9)

    def test_steps_that_are_not_linear(self):
        X, y = load("binary")
        pipeline = make_pipeline(PolynomialFeatures(2), StandardScaler(), fitted("binary"))
        model = RegionwiseLogisticClassifier(pipeline, 2, random_state=0).fit(X, y)
        assert model.coef_.shape == (2, 1, 45)
        assert model.n_features_in_ == 8


class TestWeights:
    @pytest.mark.parametrize("name", NAMES)
    def test_whole_weights_are_repeated_rows(self, name):
        X, y = load(name)
        counts = np.random.RandomState(0).randint(4, size=len(y))
        weighted = simplify(fitted(name), X, y, 3, sample_weight=counts)
        repeated = simplify(fitted(name), np.repeat(X, counts, axis=0), np.repeat(y, counts), 3)
        assert_allclose(weighted.decision_function(X), repeated.decision_function(X), rtol=1e-5, atol=1e-5)
        assert_allclose(weighted.price_, repeated.price_, atol=1e-7)
        assert_allclose(weighted.region_share_, repeated.region_share_, atol=1e-12)
        assert_array_equal(weighted.region_count_, np.bincount(weighted.apply(X[counts > 0])))

    def test_rows_of_weight_zero_do_not_count(self):
        X, y = load("binary")
        y = np.where(np.arange(len(y)) < 5, "unknown", y)
        model = simplify(fitted("binary"), X, y, 3, sample_weight=(y != "unknown").astype(float))
        expected = simplify(fitted("binary"), X[5:], y[5:], 3)
        assert_allclose(model.decision_function(X), expected.decision_function(X), atol=1e-9)

    @pytest.mark.parametrize("routing", [False, True])
    def test_the_network_in_a_pipeline_gets_them(self, routing):
        X, y = load("binary")
        weights = np.where(y == "a", 0.1, 1.0)
        last = DeepLogisticClassifier((3,), alpha=0.3, random_state=0)
        expected = make_pipeline(StandardScaler(), clone(last)).fit(X, y, deeplogisticclassifier__sample_weight=weights)
        with config_context(enable_metadata_routing=routing):
            if routing:
                last.set_fit_request(sample_weight=True)
                scaler = StandardScaler().set_fit_request(sample_weight=False)
            else:
                scaler = StandardScaler()
            model = RegionwiseLogisticClassifier(make_pipeline(scaler, last), 2, random_state=0)
            model.fit(X, y, weights)
        assert_array_equal(model.estimator_.decision_function(X), expected.decision_function(X))


class TestTable:
    def test_two_classes(self):
        X, y = load("binary")
        model = simplified("binary")
        table = model.to_frame()
        columns = ["region", "count", "share", "response_mean", "log_loss", "network_log_loss", "intercept"]
        assert list(table.columns) == [*columns, *(f"x{j}" for j in range(8))]
        region = model.apply(X)
        for r, row in table.iterrows():
            rows = region == r
            assert row["region"] == r
            assert row["count"] == rows.sum()
            assert_allclose(row["share"], rows.mean())
            assert_allclose(row["response_mean"], (y[rows] == "b").mean())
            for column, classifier in (("log_loss", model), ("network_log_loss", fitted("binary"))):
                expected = log_loss(y[rows], classifier.predict_proba(X[rows]), labels=model.classes_)
                assert_allclose(row[column], expected, atol=1e-9)
        assert_array_equal(table["intercept"], model.intercept_[:, 0])
        assert_array_equal(table.iloc[:, 7:], model.coef_[:, 0])
        assert (np.diff(table["count"]) <= 0).all()

    def test_three_classes(self):
        X, y = load("multiclass")
        model = simplified("multiclass")
        table = model.to_frame().set_index(["region", "class"])
        assert len(table) == 3 * model.n_regions_
        region = model.apply(X)
        for r in range(model.n_regions_):
            for k, label in enumerate("abc"):
                row = table.loc[(r, label)]
                assert row["count"] == (region == r).sum()
                assert_allclose(row["response_mean"], (y[region == r] == label).mean())
                assert row["intercept"] == model.intercept_[r, k]
                assert row["x1"] == model.coef_[r, k, 1]
        assert_allclose(model.coef_.sum(axis=1), 0, atol=1e-9)

    def test_names_of_columns(self):
        X, y = make_frame()
        X = X[["size", "count"]]
        network = DeepLogisticClassifier((3,), alpha=0.3, random_state=0).fit(X, y)
        table = simplify(network, X, y, 2).to_frame()
        assert list(table.columns[-3:]) == ["intercept", "size", "coef count"]

    def test_without_pandas(self, monkeypatch):
        expected = simplified("multiclass").to_frame()
        real = builtins.__import__

        def refuse(name, *args, **kwargs):
            if name.split(".")[0] == "pandas":
                raise ImportError(name)
            return real(name, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(builtins, "__import__", refuse)
            table = simplified("multiclass").to_frame()
        assert isinstance(table, np.ndarray)
        assert list(table.dtype.names) == list(expected.columns)
        for name in table.dtype.names:
            assert_array_equal(table[name], expected[name])


class TestTools:
    def test_a_search_over_the_number_of_regions(self):
        X, y = load("binary")
        search = GridSearchCV(
            RegionwiseLogisticClassifier(FrozenEstimator(fitted("binary")), random_state=0),
            {"n_regions": [1, 4]},
            scoring="neg_log_loss",
            cv=2,
        ).fit(X, y)
        assert search.best_params_ == {"n_regions": 4}

    def test_cross_validation_of_the_default(self):
        assert cross_val_score(RegionwiseLogisticClassifier(random_state=0), *load("multiclass"), cv=3).mean() > 0.9

    def test_the_same_random_state_gives_the_same_bits(self):
        X, y = load("binary")
        first, second = (RegionwiseLogisticClassifier(random_state=3).fit(X, y) for _ in range(2))
        assert_array_equal(first.decision_function(X), second.decision_function(X))

    def test_the_number_of_threads_changes_no_bit(self):
        X, y = load("multiclass")
        models = [simplify(clone(fitted("multiclass")).set_params(n_jobs=n).fit(X, y), X, y, 3) for n in (1, 2)]
        assert_array_equal(models[0].decision_function(X), models[1].decision_function(X))


class TestErrors:
    @pytest.mark.parametrize(
        ("value", "kind"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, TypeError), ("2", TypeError)]
    )
    def test_n_regions(self, value, kind):
        with pytest.raises(kind, match=r"n_regions must be an integer >= 1, got "):
            simplify(fitted("binary"), *load("binary"), value)

    @pytest.mark.parametrize(
        ("value", "kind"), [(-1.0, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("1", TypeError)]
    )
    def test_alpha(self, value, kind):
        with pytest.raises(kind, match=r"alpha must be a number in \[0, inf\), got "):
            RegionwiseLogisticClassifier(alpha=value).fit(*load("binary"))

    def test_not_fitted(self):
        X, y = load("binary")
        with pytest.raises(NotFittedError):
            simplify(DeepLogisticClassifier(), X, y, 2)
        with pytest.raises(NotFittedError):
            RegionwiseLogisticClassifier(FrozenEstimator(MLPClassifier())).fit(X, y)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function", "apply"):
            with pytest.raises(NotFittedError):
                getattr(RegionwiseLogisticClassifier(), method)(X)
        with pytest.raises(NotFittedError):
            RegionwiseLogisticClassifier().to_frame()
        with pytest.raises(NotFittedError):
            RegionwiseLogisticClassifier().price(X, y)

    def test_other_estimators(self):
        X, y = load("binary")
        with pytest.raises(TypeError, match="classifier must be a DeepLogisticClassifier"):
            simplify(LogisticRegression().fit(X > 15, y), X, y, 2)
        for estimator in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression()), "network"):
            with pytest.raises(TypeError, match="estimator must be None, a DeepLogisticClassifier"):
                RegionwiseLogisticClassifier(estimator).fit(X, y)
        with pytest.raises(ValueError, match="estimator must have activation='relu', got 'tanh'"):
            RegionwiseLogisticClassifier(MLPClassifier(activation="tanh")).fit(X, y)

    def test_labels(self):
        X, y = load("binary")
        with pytest.raises(ValueError, match=r"y holds labels that the network does not: \['c'\]"):
            simplify(fitted("binary"), X, np.where(y == "a", "c", y), 2)
        with pytest.raises(ValueError, match=r"y holds labels that classes_ does not: \['c'\]"):
            simplified("binary").price(X, np.where(y == "a", "c", y))
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            simplify(fitted("binary"), X, y[:-1], 2)

    def test_multilabel_targets(self):
        X, y = make_multilabel_classification(n_samples=60, n_features=4, n_classes=3, random_state=0)
        with pytest.raises(ValueError, match=r"y must hold one label per row, got shape \(60, 3\)"):
            RegionwiseLogisticClassifier().fit(X, y)
        with pytest.raises(ValueError, match=r"y must hold one label per row, got shape \(60, 3\)"):
            RegionwiseLogisticClassifier().fit(X, sparse.csr_array(y))
        network = DeepLogisticClassifier((3,), alpha=1.0, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="got one of multilabel targets"):
            simplify(network, X, y[:, 0], 2)

    def test_a_fit_that_raised_leaves_the_estimator_as_it_was(self):
        X, y = load("binary")
        model = clone(simplified("binary")).fit(X, y)
        before = dict(vars(model))
        with pytest.raises(ValueError, match="labels"):
            model.fit(X, np.where(y == "a", "c", y))
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items())

    def test_a_regression_that_does_not_converge_warns(self, monkeypatch):
        monkeypatch.setattr(_merging, "minimize", partial(_limited, _merging.minimize))
        with pytest.warns(ConvergenceWarning, match=r"regressions of these merged regions did not converge: 0 \("):
            simplify(fitted("binary"), *load("binary"), 1)


def _limited(minimize, *args, **kwargs):
    return minimize(*args, **{**kwargs, "max_iter": 1})


def test_a_pipeline_at_the_end_of_a_pipeline():
    X, y = load_iris(return_X_y=True)
    inner = make_pipeline(StandardScaler(), DeepLogisticClassifier((4,), alpha=1.0, random_state=0))
    nested = make_pipeline(StandardScaler(), inner).fit(X, y)
    simplified = simplify(nested, X, y, 2)
    flat = simplify(make_pipeline(*(step for _, step in [*nested.steps[:-1], *inner.steps])), X, y, 2)
    assert_allclose(simplified.decision_function(X), flat.decision_function(X))
