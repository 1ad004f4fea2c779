"""Each rule against the transform of the step itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import NMF, PCA, FastICA, IncrementalPCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, SelectPercentile, VarianceThreshold
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from skrelu.inspection._steps import Features, follow

N_ROWS, N_COLUMNS = 150, 5


def make_numbers(seed=0):
    rng = np.random.RandomState(seed)
    return rng.randn(N_ROWS, N_COLUMNS) * [1, 20, 1e-3, 1e3, 1] + [0, 5, 1, 1e4, -7]


def make_codes(seed=0):
    """Return columns of 2, 3, 4, 5 and 9 codes; the last ones are rare."""
    rng = np.random.RandomState(seed)
    codes = [(rng.rand(N_ROWS) ** 2 * n).astype(int) for n in (2, 3, 4, 5, 9)]
    return np.column_stack(codes).astype(float)


def labels(n_classes=2):
    y = np.random.RandomState(7).randint(n_classes, size=N_ROWS)
    y[:n_classes] = np.arange(n_classes)
    return y


def make_frame():
    rng = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "age": rng.randint(18, 90, N_ROWS).astype(float),
            "income": rng.lognormal(10, 1, N_ROWS),
            "town": rng.choice(["Basel", "Bern", "Zug"], N_ROWS),
            "debt": rng.randn(N_ROWS),
            "owner": rng.choice(["no", "yes"], N_ROWS),
        }
    )


def as_array(Z):
    return Z.toarray() if sparse.issparse(Z) else np.asarray(Z, dtype=float)


def check(step, X, y=None):
    """Fit the step, and compare what is said of its features with what its transform does."""
    step.fit(X, labels() if y is None else y)
    return check_fitted(step, X)


def check_fitted(step, X):
    features = follow(step, Features.identity(X.shape[1]))
    assert features is not None
    Z = as_array(step.transform(X))
    n_features = Z.shape[1]
    assert features.slopes.shape == (X.shape[1], n_features)
    assert features.slopes.format == "csr"
    for name in ("offsets", "is_affine", "source"):
        assert getattr(features, name).shape == (n_features,)
    slopes = features.slopes.toarray()
    assert not slopes[:, ~features.is_affine].any()
    assert not features.offsets[~features.is_affine].any()
    numbers = [n for n in range(X.shape[1]) if slopes[n].any()]
    columns = X.iloc[:, numbers] if isinstance(X, pd.DataFrame) else as_array(X)[:, numbers]
    columns = np.array(columns, dtype=float)
    if isinstance(step, SimpleImputer):  # a missing value is what stands in its place
        columns = np.where(np.isnan(columns), Z[:, : len(numbers)], columns)
    affine = columns @ slopes[numbers] + features.offsets
    scale = np.abs(Z[:, features.is_affine]).max(initial=1)
    assert_allclose(Z[:, features.is_affine], affine[:, features.is_affine], rtol=1e-9, atol=1e-9 * scale)
    for column in range(X.shape[1]):
        changed = as_array(step.transform(with_column_permuted(X, column))) != Z
        moved = np.flatnonzero(changed.any(axis=0))
        # Features of another column do not move, nor do affine ones without a slope.
        known = moved[features.source[moved] >= 0]
        assert (features.source[known] == column).all()
        affine_ones = moved[features.is_affine[moved]]
        assert slopes[column, affine_ones].all()
    return features


def with_column_permuted(X, column):
    order = np.random.RandomState(column).permutation(X.shape[0])
    if isinstance(X, pd.DataFrame):
        X = X.copy()
        X.isetitem(column, X.iloc[order, column].to_numpy())
        return X
    if sparse.issparse(X):
        dense = X.toarray()
        dense[:, column] = dense[order, column]
        return type(X)(dense)
    X = X.copy()
    X[:, column] = X[order, column]
    return X


AFFINE = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    StandardScaler(with_mean=False, with_std=False),
    MinMaxScaler(),
    MinMaxScaler((-3, 5)),
    MaxAbsScaler(),
    RobustScaler(),
    RobustScaler(with_centering=False, quantile_range=(10, 80)),
    RobustScaler(with_scaling=False),
    RobustScaler(unit_variance=True),
    FunctionTransformer(),
    VarianceThreshold(0.5),
    SelectKBest(k=2),
    SelectPercentile(percentile=50),
    SelectFromModel(RandomForestClassifier(5, random_state=0), threshold="median"),
    RFE(RandomForestClassifier(5, random_state=0), n_features_to_select=2),
]
MIXING = [
    PCA(3),
    PCA(whiten=True),
    PCA(0.9, whiten=True),
    IncrementalPCA(2),
    IncrementalPCA(3, whiten=True),
    TruncatedSVD(2, random_state=0),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(n_components=1),
    LinearDiscriminantAnalysis(solver="eigen"),
    NeighborhoodComponentsAnalysis(2, max_iter=5, random_state=0),
    GaussianRandomProjection(4, random_state=0),
    SparseRandomProjection(4, dense_output=True, density=0.5, random_state=0),
    SparseRandomProjection(4, density=0.5, random_state=0),
]


@pytest.mark.parametrize("step", AFFINE, ids=str)
def test_affine_steps_of_one_column(step):
    features = check(step, make_numbers(), labels(3))
    assert features.is_affine.all()
    assert (features.source >= 0).all()


@pytest.mark.parametrize("step", MIXING, ids=str)
def test_affine_steps_of_several_columns(step):
    X = make_numbers() @ np.diag([1, 0.1, 1e3, 1e-3, 1])
    features = check(step, X, labels(3))
    assert features.is_affine.all()
    sources = [np.flatnonzero(row) for row in features.slopes.toarray().T]
    assert_array_equal(features.source, [found[0] if len(found) == 1 else -1 for found in sources])


@pytest.mark.parametrize("whiten", ["unit-variance", "arbitrary-variance", False])
def test_independent_components(whiten):
    X = np.random.RandomState(0).laplace(size=(N_ROWS, 3)) @ [[1, 2, 3], [0, 1, 1], [0, 0, 1]]
    step = FastICA(whiten=whiten, random_state=0, max_iter=1000, tol=1e-2)
    assert check(step, X if whiten else PCA(whiten=True).fit_transform(X)).is_affine.all()


def test_whitening_of_a_column_that_repeats_another():
    X = np.column_stack([make_numbers()[:, 0]] * 2)
    step = PCA(whiten=True).fit(X)
    step.explained_variance_[1] = 0.0
    features = follow(step, Features.identity(2))
    scale = np.abs(features.slopes.toarray()).max()
    assert np.isfinite(scale)
    assert_allclose(X @ features.slopes + features.offsets, step.transform(X), atol=1e-14 * scale)


@pytest.mark.parametrize(
    "step",
    [
        StandardScaler(with_mean=False),
        MaxAbsScaler(),
        VarianceThreshold(0.1),
        TruncatedSVD(2, random_state=0),
        PCA(2, svd_solver="arpack", random_state=0),
    ],
    ids=str,
)
def test_sparse_columns(step):
    assert check(step, sparse.csr_array(make_codes())).is_affine.all()


@pytest.mark.parametrize(
    "step",
    [
        MinMaxScaler(clip=True),
        MaxAbsScaler(clip=True),
        FunctionTransformer(np.arctan),
        PowerTransformer(),
        PowerTransformer(standardize=False),
        QuantileTransformer(n_quantiles=50),
        Binarizer(),
        KBinsDiscretizer(4, encode="onehot", quantile_method="averaged_inverted_cdf"),
        KBinsDiscretizer([2, 3, 4, 5, 6], encode="onehot-dense", strategy="uniform"),
        KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
        SplineTransformer(),
        SplineTransformer(6, degree=2, include_bias=False, knots="quantile"),
        SplineTransformer(extrapolation="periodic"),
        SplineTransformer(extrapolation="linear", sparse_output=True),
        TargetEncoder(random_state=0),
    ],
    ids=str,
)
def test_steps_of_one_column(step):
    features = check(step, make_numbers() if not isinstance(step, TargetEncoder) else make_codes())
    assert not features.is_affine.any()
    assert (features.source >= 0).all()


def test_log():
    assert not check(FunctionTransformer(np.log1p), np.abs(make_numbers())).is_affine.any()


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_target_encoder(n_classes):
    features = check(TargetEncoder(random_state=0), make_codes(), labels(n_classes))
    assert_array_equal(features.source, np.repeat(np.arange(N_COLUMNS), 1 if n_classes == 2 else n_classes))


def test_target_encoder_of_numbers():
    y = np.random.RandomState(0).randn(N_ROWS)
    assert_array_equal(check(TargetEncoder(random_state=0), make_codes(), y).source, np.arange(N_COLUMNS))


def test_bins_that_are_merged():
    X = np.column_stack([make_codes()[:, 0], make_numbers()[:, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says that bins are merged
        step = KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf").fit(X)
    assert len(set(step.n_bins_)) == 2
    check_fitted(step, X)


@pytest.mark.parametrize("drop", [None, "first", "if_binary", [0, 1, 2, 0, 3]])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_frequency": 12},
        {"max_categories": 3},
        {"min_frequency": 40, "handle_unknown": "infrequent_if_exist"},
        {"handle_unknown": "ignore", "sparse_output": False},
        {"categories": [np.arange(n, dtype=float) for n in (3, 4, 4, 6, 10)]},
    ],
    ids=str,
)
def test_one_hot_encoder(drop, options):
    X = make_codes()
    if isinstance(drop, list) and {"min_frequency", "max_categories"} & options.keys():
        drop = [0, 0, 0, 0, 0]  # only frequent ones can be dropped
    step = OneHotEncoder(drop=drop, **options)
    features = check(step, X)
    names = step.get_feature_names_out()
    assert_array_equal(features.source, [int(name[1]) for name in names])  # x0_..., x1_...


def test_one_hot_encoder_of_codes_that_it_has_not_seen():
    step = OneHotEncoder(handle_unknown="ignore").fit(make_codes())
    check_fitted(step, make_codes(1) + (np.random.RandomState(2).rand(N_ROWS, N_COLUMNS) < 0.2) * 50)


@pytest.mark.parametrize(
    "options", [{}, {"min_frequency": 12}, {"handle_unknown": "use_encoded_value", "unknown_value": -1}], ids=str
)
def test_ordinal_encoder(options):
    assert_array_equal(check(OrdinalEncoder(**options), make_codes()).source, np.arange(N_COLUMNS))


@pytest.mark.parametrize("keep_empty", [False, True])
@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
def test_imputer(strategy, indicator, keep_empty):
    X = make_numbers()
    X[::3, 1] = X[1::5, 3] = np.nan
    X[:, 2] = np.nan
    step = SimpleImputer(strategy=strategy, add_indicator=indicator, keep_empty_features=keep_empty)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # skips a feature without any value
        features = check(step, X)
    kept = [0, 1, 2, 3, 4] if keep_empty else [0, 1, 3, 4]
    assert_array_equal(features.source, [*kept, *([1, 2, 3] if indicator else [])])
    assert features.is_affine[: len(kept)].all()
    assert not features.is_affine[len(kept) :].any()


@pytest.mark.parametrize("keep_empty", [False, True])
def test_imputer_that_writes_missing_values(keep_empty):
    X = np.column_stack([make_numbers(), np.full(N_ROWS, np.nan)])
    step = SimpleImputer(strategy="constant", fill_value=np.nan, keep_empty_features=keep_empty).fit(X)
    if keep_empty:
        assert_array_equal(follow(step, Features.identity(6)).source, np.arange(6))
        assert step.transform(X).shape == (N_ROWS, 6)
    else:
        with pytest.warns(UserWarning, match="Skipping features"):
            assert step.transform(X).shape == (N_ROWS, 0)
        assert follow(step, Features.identity(6)).source.shape == (0,)


def test_imputer_of_strings():
    X = make_frame()[["town", "owner"]].astype(object)
    X.iloc[::4, 0] = np.nan
    step = SimpleImputer(strategy="most_frequent", add_indicator=True).fit(X)
    features = follow(step, Features.identity(2))
    assert_array_equal(features.source, [0, 1, 0])
    assert step.transform(X).shape == (N_ROWS, 3)


@pytest.mark.parametrize("which", ["missing-only", "all"])
def test_missing_indicator(which):
    X = make_numbers()
    X[::3, 1] = X[1::5, 3] = np.nan
    features = check(MissingIndicator(features=which), X)
    assert_array_equal(features.source, [1, 3] if which == "missing-only" else np.arange(N_COLUMNS))


def test_pipelines_in_pipelines():
    step = make_pipeline(
        StandardScaler(), make_pipeline("passthrough", SelectKBest(k=4), make_pipeline(MinMaxScaler())), None, PCA(3)
    )
    assert check(step, make_numbers()).is_affine.all()
    step = make_pipeline(
        StandardScaler(), PowerTransformer(), SelectKBest(k=2), KBinsDiscretizer(3, strategy="uniform")
    )
    features = check(step, make_numbers())
    assert len(set(features.source)) == 2


@pytest.mark.parametrize("last", [StandardScaler(), MinMaxScaler(), PCA(5), TruncatedSVD(3, random_state=0)], ids=str)
def test_linear_steps_after_an_encoder(last):
    features = check(make_pipeline(OneHotEncoder(sparse_output=False), last), make_codes())
    assert not features.is_affine.any()
    mixed = ColumnTransformer([("a", Binarizer(), [0, 1])], remainder="passthrough")
    features = check(make_pipeline(mixed, last), make_numbers())
    assert_array_equal(
        features.is_affine, [False] * 2 + [True] * 3 if features.is_known.all() else [False] * len(features.source)
    )


def test_an_encoder_after_components_is_not_known():
    features = check(make_pipeline(PCA(2), Binarizer()), make_numbers())
    assert not features.is_known.any()


def test_a_union():
    step = FeatureUnion(
        [
            ("a", StandardScaler()),
            ("b", "passthrough"),
            ("c", "drop"),
            ("d", make_pipeline(RobustScaler(), PCA(2))),
            ("e", KBinsDiscretizer(3, strategy="uniform")),
        ],
        transformer_weights={"a": 3.0, "d": -0.5, "e": 2.0},
    )
    features = check(step, make_numbers())
    assert_array_equal(features.is_affine, [True] * 12 + [False] * 15)
    assert follow(make_union(StandardScaler(), Normalizer()).fit(make_numbers()), Features.identity(5)) is None


REMAINDERS = ["passthrough", "drop", MinMaxScaler(), Binarizer()]


@pytest.mark.parametrize("remainder", REMAINDERS, ids=str)
@pytest.mark.parametrize(
    "columns",
    [
        ([0, 1], [3]),
        ([-1, 2], 0),
        ([3, 1], slice(0, 2)),
        (slice(None, 2), slice(-1, None)),
        ([0, 2], lambda X: []),
        ([True, False, False, True, False], np.array([False, False, True, False, False])),
        (np.array([4, 0]), lambda X: [1, 2]),
    ],
)
def test_columns_of_an_array(columns, remainder):
    first, second = columns
    second = [second] if isinstance(second, int) else second
    step = ColumnTransformer(
        [("scale", StandardScaler(), first), ("bin", KBinsDiscretizer(3, strategy="uniform"), second)],
        remainder=remainder,
    )
    assert check(step, make_numbers()).is_known.all()


@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize("remainder", [*REMAINDERS[:2], OrdinalEncoder()], ids=str)
@pytest.mark.parametrize(
    "columns",
    [
        (["age", "income"], ["town", "owner"]),
        (["income"], ["town"]),
        (slice("age", "income"), slice("owner", None)),
        (slice(None, "age"), slice("town", "town")),
        (make_column_selector(dtype_include=float), make_column_selector(dtype_exclude=float)),
        (make_column_selector("e$"), make_column_selector("own")),
        ([0, 3], [4, 2]),
        ([True, False, False, True, False], [False, False, True, False, True]),
        (pd.Index(["debt"]), np.array(["owner", "town"])),
    ],
)
def test_columns_of_a_frame(columns, remainder, output):
    numbers, words = columns
    step = ColumnTransformer(
        [("scale", StandardScaler(), numbers), ("code", OneHotEncoder(sparse_output=False), words)],
        remainder=remainder,
    ).set_output(transform=output)
    frame = make_frame()
    step.fit(frame)
    if remainder == "passthrough":  # words cannot be followed as numbers, but their places can
        features = follow(step, Features.identity(5))
        names = list(step.get_feature_names_out())
        assert len(features.offsets) == len(names)
        for name, source in zip(names, features.source, strict=True):
            assert name.split("__")[1].startswith(frame.columns[source])
    else:
        assert check_fitted(step, frame).is_known.all()


def test_nested_columns():
    inner = ColumnTransformer([("a", RobustScaler(), ["debt"])], remainder=StandardScaler())
    inner.set_output(transform="pandas")
    step = ColumnTransformer(
        [
            ("numbers", make_pipeline(inner, MinMaxScaler()), ["age", "income", "debt"]),
            ("words", make_pipeline(OrdinalEncoder(), OneHotEncoder(drop="first")), ["owner", "town"]),
            ("none", "drop", ["debt"]),
            ("again", FunctionTransformer(np.log1p), ["income"]),
            ("same", "passthrough", ["age"]),
        ],
        transformer_weights={"words": 2.0, "numbers": 0.1, "same": 7.0},
    )
    features = check(step, make_frame())
    assert_array_equal(features.source, [3, 0, 1, 4, 2, 2, 1, 0])
    assert_array_equal(features.is_affine, [True] * 3 + [False] * 4 + [True])


def test_an_unknown_transformer_hides_its_own_features_only():
    step = ColumnTransformer([("a", PolynomialFeatures(), [0, 1]), ("b", StandardScaler(), [2, 3])])
    features = check(step, make_numbers())
    assert_array_equal(features.is_known, [False] * 6 + [True] * 2)


def test_features_of_no_column_are_constants():
    features = Features.identity(2).mapped(np.zeros((2, 1)), np.array([3.0]))
    assert features.is_affine.all()
    assert_array_equal(features.source, [-1])
    assert_array_equal(features.offsets, [3])


class Doubled(StandardScaler):
    def transform(self, X, copy=None):
        return 2 * super().transform(X)


class Named(StandardScaler):
    """Another name, the same method."""


class Own(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize(
    "step",
    [
        PolynomialFeatures(2),
        KNNImputer(),
        Normalizer(),
        FunctionTransformer(lambda X: X),
        FunctionTransformer(np.cumsum, kw_args={"axis": 1}),
        FunctionTransformer(np.log1p, kw_args={"where": True}),
        KernelPCA(2),
        NMF(2, max_iter=1000),
        Own(),
        Doubled(),
        make_pipeline(StandardScaler(), Normalizer()),
    ],
    ids=lambda step: type(step).__name__,
)
def test_steps_of_unknown_kind(step):
    assert follow(step.fit(np.abs(make_numbers())), Features.identity(N_COLUMNS)) is None


def test_a_subclass_with_the_same_transform_is_followed():
    assert check(Named(), make_numbers()).is_affine.all()
    step = Pipeline([("a", Named().set_output(transform="pandas"))])
    assert check(step, make_numbers()).is_affine.all()


def test_a_step_that_was_fitted_on_other_columns_is_not_followed():
    assert follow(StandardScaler().fit(make_numbers()), Features.identity(3)) is None


def test_a_selector_of_coefficients():
    features = check(SelectFromModel(LogisticRegression(), max_features=2, threshold=-np.inf), make_codes())
    assert len(features.offsets) == 2
