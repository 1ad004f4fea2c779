"""Early stopping of a fit on a cluster, with rows held out from the training rows or given."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu import DeepLogisticClassifier
from tests.dask.conftest import (
    N_ROWS,
    OPTIONS,
    SIZES,
    as_array,
    as_frame,
    assert_same_fit,
    data_of,
    fit,
    fit_locally,
    fit_on_cluster,
    of_parts,
)
from tests.problems import load_table

distributed = pytest.importorskip("distributed")

from skrelu.dask import DaskDeepLogisticClassifier  # noqa: E402

pytestmark = pytest.mark.usefixtures("client", "nothing_is_left")
GIVEN = OPTIONS | {"hidden_layer_sizes": (3,), "early_stopping": True}
VAL_SIZES = (30, 0, 20)


def validation_of(kind):
    X, y = load_table(kind)
    numbers = np.random.RandomState(0).permutation(len(X))[-50:]
    return X[numbers, :6], y[numbers]


def fit_both(kind="binary", weights=None, weights_val=None, dtypes=("f8", "f8"), **options):
    """Return a fit on the cluster and a local one, with the same validation rows."""
    (X, y), (X_val, y_val) = data_of(kind), validation_of(kind)
    X, X_val = X.astype(dtypes[0]), X_val.astype(dtypes[1])
    model, expected = DaskDeepLogisticClassifier(**GIVEN | options), DeepLogisticClassifier(**GIVEN | options)
    given = [
        None if values is None else as_array(values, sizes)
        for values, sizes in ((weights, SIZES), (weights_val, VAL_SIZES))
    ]
    fit(
        model,
        as_array(X),
        as_array(y),
        given[0],
        X_val=as_array(X_val, VAL_SIZES),
        y_val=as_array(y_val, VAL_SIZES),
        sample_weight_val=given[1],
    )
    fit(expected, X, y, weights, X_val=X_val, y_val=y_val, sample_weight_val=weights_val)
    return model, expected


class TestGivenRows:
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_scores(self, kind):
        model, expected = fit_both(kind)
        assert_same_fit(model, expected)
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-6)
        assert model.best_validation_score_ == max(model.validation_scores_)

    def test_weights(self):
        rng = np.random.RandomState(0)
        weights, weights_val = 1e200 * rng.rand(N_ROWS), 1e-200 * rng.randint(0, 3, size=50)
        options = {"class_weight": {0: 5.0, 1: 0.1}, "alpha": 1e199, "standardize": True}
        model, expected = fit_both("binary", weights, weights_val, **options)
        assert_same_fit(model, expected)
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-6)
        without, _ = fit_both("binary", weights, None, **options)
        assert not np.allclose(model.validation_scores_, without.validation_scores_, rtol=1e-3)

    @pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f8", "f4")])
    def test_another_dtype(self, dtypes):
        model, expected = fit_both(dtypes=dtypes)
        assert model.coefs_[0].dtype == expected.coefs_[0].dtype == dtypes[0]
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-5)

    def test_values_of_validation_rows_that_float32_does_not_hold(self):
        (X, y), (X_val, y_val) = data_of("binary"), validation_of("binary")
        X, X_val[:, 0] = X.astype("f4"), 1e50 * X_val[:, 0]
        model, expected = DaskDeepLogisticClassifier(**GIVEN), DeepLogisticClassifier(**GIVEN)
        fit(model, as_array(X), as_array(y), X_val=as_array(X_val, VAL_SIZES), y_val=as_array(y_val, VAL_SIZES))
        fit(expected, X, y, X_val=X_val, y_val=y_val)
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-4)

    def test_they_end_the_fit_and_the_best_iterate_is_kept(self):
        options = {"max_iter": 200, "n_iter_no_change": 3, "alpha": 1e-4}
        model, expected = fit_both(**options)
        assert model.n_iter_ == expected.n_iter_ < 200
        assert np.argmax(model.validation_scores_) == np.argmax(expected.validation_scores_)
        assert_same_fit(model, expected, rtol=1e-5)

    @pytest.mark.parametrize(
        ("changes", "kind", "match"),
        [
            ({"y_val": None}, ValueError, r"X_val and y_val must be given together, got \['X_val'\]"),
            ({"X_val": None}, ValueError, r"must be given together, got \['y_val'\]"),
            (
                {"y_val": as_array(np.full(50, 7), VAL_SIZES)},
                ValueError,
                "^Partition 0 of X_val: y_val holds labels that y does",
            ),
            (
                {"y_val": as_array(np.eye(50, 2, dtype=int), VAL_SIZES)},
                ValueError,
                "^Partition 0 of X_val: y_val must be like y",
            ),
            (
                {"y_val": as_array(np.full(50, np.nan), VAL_SIZES)},
                ValueError,
                "^Partition 0 of X_val: Input y.* contains NaN",
            ),
            ({"y_val": as_array(np.full(50, 0.5), VAL_SIZES)}, ValueError, "^Partition 0 of X_val: Unknown label type"),
            ({"X_val": as_array(np.full((50, 6), np.inf), VAL_SIZES)}, ValueError, "^Partition 0 of X_val: .*infinity"),
            ({"X_val": as_array(np.zeros((50, 5)), VAL_SIZES)}, ValueError, "X has 5 features, but .* is expecting 6"),
            ({"X_val": np.zeros((50, 6))}, TypeError, "X_val must be a dask array or a dask data frame"),
            ({"X_val": of_parts([np.zeros((50, 6))], (6,))}, ValueError, "X_val has 1 partitions of rows, y_val has 3"),
            (
                {"sample_weight_val": -np.ones(50)},
                ValueError,
                "^Partition 0 of X_val: sample_weight_val must not be neg",
            ),
            ({"sample_weight_val": np.zeros(50)}, ValueError, "^sample_weight_val must hold at least one positive"),
            ({"sample_weight_val": np.ones(49)}, ValueError, "X_val has 50 rows, sample_weight_val has 49"),
        ],
    )
    def test_errors(self, changes, kind, match):
        (X, y), (X_val, y_val) = data_of("binary"), validation_of("binary")
        given = {"X_val": as_array(X_val, VAL_SIZES), "y_val": as_array(y_val, VAL_SIZES)} | changes
        model = DaskDeepLogisticClassifier(**GIVEN)
        before = dict(vars(model))
        with pytest.raises(kind, match=match):
            fit(model, as_array(X), as_array(y), **given)
        assert vars(model) == before

    def test_without_early_stopping_they_are_refused(self):
        with pytest.raises(ValueError, match="X_val and y_val are for early stopping"):
            fit_both(early_stopping=False)

    def test_columns_in_another_order(self):
        pd = pytest.importorskip("pandas")
        (X, y), (X_val, y_val) = data_of("binary"), validation_of("binary")
        frame, other = pd.DataFrame(X, columns=list("abcdef")), pd.DataFrame(X_val, columns=list("bacdef"))
        model = DaskDeepLogisticClassifier(**GIVEN)
        with pytest.raises(ValueError, match="feature names should match"):
            fit(model, as_frame(frame), as_array(y), X_val=as_frame(other, VAL_SIZES), y_val=as_array(y_val, VAL_SIZES))
        assert not hasattr(model, "n_features_in_")

    def test_dense_validation_rows_for_sparse_ones(self):
        (X, y), (X_val, y_val) = data_of("binary"), validation_of("binary")
        rows = as_array(X).map_blocks(sparse.csr_array, meta=sparse.csr_array((0, 0)))
        model, expected = DaskDeepLogisticClassifier(**GIVEN), DeepLogisticClassifier(**GIVEN)
        fit(model, rows, as_array(y), X_val=as_array(X_val, VAL_SIZES), y_val=as_array(y_val, VAL_SIZES))
        fit(expected, sparse.csr_array(X), y, X_val=X_val, y_val=y_val)
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-6)


class TestHeldOutRows:
    """The number of each row is one of its columns, so that what is held out can be told from the moments."""

    def fit(self, kind="multiclass", weights=None, **options):
        _, y = data_of(kind)
        X = np.column_stack([2.0 ** -np.arange(N_ROWS), np.arange(N_ROWS) % 7])
        given = None if weights is None else as_array(weights)
        options = {"hidden_layer_sizes": (3,), "early_stopping": True, "validation_fraction": 0.2} | options
        return fit_on_cluster(as_array(X), as_array(y), given, standardize=True, **options), X, y

    def test_the_same_rows_with_one_worker(self, client):
        model, *_ = self.fit()
        with distributed.Client(
            processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0", set_as_default=False
        ) as single:
            other, *_ = self.fit(client=single)
        assert_array_equal(model.feature_mean_, other.feature_mean_)
        assert_array_equal(model.validation_scores_, other.validation_scores_)
        assert_array_equal(model.coefs_[0], other.coefs_[0])

    def test_other_seeds_hold_out_other_rows(self):
        assert self.fit()[0].feature_mean_[0] != self.fit(random_state=1)[0].feature_mean_[0]
        assert self.fit()[0].feature_mean_[0] == self.fit(random_state=0)[0].feature_mean_[0]

    @pytest.mark.parametrize(
        ("n_rows", "n_counted", "hidden", "holds_out"),
        [(569, 569, (3,), True), (569, 150, (3,), False), (150, 150, (3,), False), (569, 569, (), False)],
    )
    def test_auto_does_as_in_a_local_fit(self, n_rows, n_counted, hidden, holds_out):
        X, y = (values[:n_rows] for values in load_table("binary"))
        weights, sizes = (np.arange(n_rows) < n_counted).astype(float), (100, n_rows - 100)
        options = {"early_stopping": "auto", "hidden_layer_sizes": hidden}
        model = fit_on_cluster(as_array(X, sizes), as_array(y, sizes), as_array(weights, sizes), **options)
        for one in (model, fit_locally(X, y, weights, **options)):
            assert (one.validation_scores_ is not None) == holds_out

    def test_too_few_rows_are_a_warning_or_an_error(self):
        X, y = data_of("multiclass")
        rows, labels = as_array(X[:20], (10, 10)), as_array(y[:20], (10, 10))
        with pytest.warns(UserWarning, match="validation set is too small") as caught:
            fit(DaskDeepLogisticClassifier(**GIVEN | {"validation_fraction": 0.01}), rows, labels)
        assert caught[0].filename == __file__.replace("test_classifier_validation", "conftest")
        with pytest.raises(ValueError, match="validation set is too small"):
            fit(DaskDeepLogisticClassifier(**GIVEN), as_array(X[[0, 1]], (1, 1)), as_array(np.array([0, 1]), (1, 1)))
