"""Fits on a cluster against local fits on the same rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from tests.dask.conftest import (
    N_ROWS,
    SIZES,
    as_array,
    as_frame,
    assert_same_fit,
    cut,
    data_of,
    fit_locally,
    fit_on_cluster,
    forget_sizes,
    of_parts,
)

pytest.importorskip("distributed")
pytestmark = pytest.mark.usefixtures("client")

KINDS = ("binary", "multiclass", "multilabel")


def weights_of(kind):
    """Return sample weights of a kind for the rows of `data_of`."""
    rng = np.random.RandomState(1)
    counts = rng.randint(1, 4, size=N_ROWS).astype(float)
    return {
        "none": None,
        "counts": counts,
        "counts with zeros": np.where(rng.rand(N_ROWS) < 0.3, 0.0, counts),
        "floats": rng.rand(N_ROWS),
        "a partition of zeros": np.where(np.arange(N_ROWS) < SIZES[0], 0.0, rng.rand(N_ROWS)),
        "large": 1e300 * (1 + rng.rand(N_ROWS)),
        "small": 1e-300 * (1 + rng.rand(N_ROWS)),
        "small and zeros": np.where(np.arange(N_ROWS) < SIZES[0], 0.0, 1e-300 * (1 + rng.rand(N_ROWS))),
        "spread": np.where(np.arange(N_ROWS) < SIZES[0], 1e-300, 1e300) * (1 + rng.rand(N_ROWS)),
    }[kind]


class TestRows:
    @pytest.mark.parametrize("standardize", [False, True])
    @pytest.mark.parametrize("hidden", [(), (8,), (6, 4)])
    @pytest.mark.parametrize("kind", KINDS)
    def test_kinds_and_depths(self, kind, hidden, standardize, nothing_is_left):
        X, y = data_of(kind)
        options = {"hidden_layer_sizes": hidden, "standardize": standardize}
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), **options), fit_locally(X, y, **options))

    @pytest.mark.parametrize("standardize", [False, True])
    @pytest.mark.parametrize("dtype", ["f4", "i2", "?"])
    def test_dtypes(self, dtype, standardize):
        X, y = data_of("binary")
        X = (2 * X).astype(dtype)
        options = {"hidden_layer_sizes": (8,), "standardize": standardize}
        rtol = 1e-4 if dtype == "f4" else 1e-6
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), **options), fit_locally(X, y, **options), rtol)

    @pytest.mark.parametrize("standardize", [False, True])
    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
    def test_sparse_blocks(self, container, standardize):
        X, y = data_of("multiclass")
        X = X[:, :4] * (np.abs(X[:, :4]) > 0.5)
        options = {"hidden_layer_sizes": (8,), "standardize": standardize}
        blocks = as_array(X, n_columns=3).map_blocks(container, meta=container((0, 0)))
        assert_same_fit(fit_on_cluster(blocks, as_array(y), **options), fit_locally(container(X), y, **options))

    @pytest.mark.parametrize("sizes", [(N_ROWS,), (1,) * 20 + (N_ROWS - 20,), (30,) * 5])
    def test_partitions(self, sizes):
        X, y = data_of("multiclass")
        assert_same_fit(
            fit_on_cluster(as_array(X, sizes), as_array(y, sizes), standardize=True),
            fit_locally(X, y, standardize=True),
        )

    def test_a_class_that_a_partition_lacks(self):
        X, y = data_of("multiclass")
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
        options = {"hidden_layer_sizes": (4,), "class_weight": "balanced"}
        sizes = (30, 60, 60)
        assert_same_fit(fit_on_cluster(as_array(X, sizes), as_array(y, sizes), **options), fit_locally(X, y, **options))

    def test_numbers_of_rows_that_are_not_known(self):
        X, y = data_of("binary")
        expected = fit_locally(X, y)
        assert_same_fit(fit_on_cluster(forget_sizes(as_array(X)), forget_sizes(as_array(y))), expected)
        assert_same_fit(fit_on_cluster(forget_sizes(as_array(X)), as_array(y)), expected)
        assert_same_fit(fit_on_cluster(forget_sizes(as_array(X, n_columns=4)), as_array(y)), expected)

    def test_columns_in_several_chunks(self):
        X, y = data_of("multilabel")
        assert_same_fit(fit_on_cluster(as_array(X, n_columns=4), as_array(y, n_columns=1)), fit_locally(X, y))

    def test_labels_in_other_chunks_or_in_memory(self):
        X, y = data_of("multilabel")
        weights = weights_of("floats")
        expected = fit_locally(X, y, weights)
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y, (75, 75)), as_array(weights, (N_ROWS,))), expected)
        assert_same_fit(fit_on_cluster(as_array(X), y, weights), expected)
        assert_same_fit(fit_on_cluster(as_array(X), sparse.csr_array(y), weights.tolist()), expected)

    def test_partitions_of_several_dtypes_are_computed_in_float64(self):
        X, y = data_of("binary")
        X = np.round(X, 2).astype("f4")
        parts = [part.astype(dtype) for part, dtype in zip(cut(X), ("f4", "f8", "f8", "i4", "f4"), strict=True)]
        rows = np.concatenate([part.astype("f8") for part in parts])
        options = {"hidden_layer_sizes": (8,), "standardize": True}
        model = fit_on_cluster(of_parts(parts, (6,)), as_array(y), **options)
        assert model.coefs_[0].dtype == np.float64
        assert_same_fit(model, fit_locally(rows, y, **options))

    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_columns_far_from_zero_and_constant_columns(self, dtype):
        X, y = data_of("binary")
        X[:, 1] += 1e6
        X[:, 2] = 3.25
        X[:, 3] *= 1e200 if dtype == "f8" else 1e30
        X = X.astype(dtype)
        options = {"hidden_layer_sizes": (8,), "standardize": True}
        model = fit_on_cluster(as_array(X), as_array(y), **options)
        expected = fit_locally(X, y, **options)
        assert_allclose(model.loss_, expected.loss_, rtol=1e-6 if dtype == "f8" else 1e-4)
        assert_allclose(model.feature_mean_, expected.feature_mean_, rtol=1e-12, atol=1e-12)
        assert_allclose(model.feature_scale_, expected.feature_scale_, rtol=1e-10)  # a mean of 1e6 takes digits
        assert_allclose(model.feature_mean_[1], X[:, 1].astype("f8").mean(), rtol=1e-12)

    def test_float32_is_not_changed(self):
        X, y = data_of("binary")
        X = X.astype("f4")
        assert fit_on_cluster(as_array(X), as_array(y), hidden_layer_sizes=(3,)).coefs_[0].dtype == np.float32


class TestFrames:
    @pytest.fixture
    def frame(self):
        pd = pytest.importorskip("pandas")
        X, y = data_of("multiclass")
        return pd.DataFrame(X[:, :4], columns=list("abcd")), pd.Series(np.array(["red", "green", "blue"])[y], name="y")

    @pytest.mark.parametrize("standardize", [False, True])
    def test_frame_and_series(self, frame, standardize, nothing_is_left):
        X, y = frame
        X["b"] = (10 * X["b"]).astype("int32")
        X["c"] = X["c"].astype("float32")
        options = {"hidden_layer_sizes": (8,), "standardize": standardize}
        model = fit_on_cluster(as_frame(X), as_frame(y), **options)
        assert_same_fit(model, fit_locally(X, y, **options))
        assert_array_equal(model.feature_names_in_, ["a", "b", "c", "d"])
        assert model.classes_.tolist() == ["blue", "green", "red"]

    def test_frame_and_arrays(self, frame):
        X, y = frame
        codes = y.map({"red": 0, "green": 1, "blue": 2}).to_numpy()
        assert_same_fit(fit_on_cluster(as_frame(X), as_array(codes)), fit_locally(X, codes))

    def test_labels_in_a_frame(self, frame):
        X, y = frame
        labels = y.to_frame().assign(y=lambda of: (of["y"] == "red").astype(int), z=lambda of: 1 - of["y"])
        assert_same_fit(fit_on_cluster(as_frame(X), as_frame(labels)), fit_locally(X, labels))
        binary = labels[["y"]]
        with pytest.warns(DataConversionWarning, match="y must have shape"):
            model = fit_on_cluster(as_frame(X), as_frame(binary))
        assert_same_fit(model, fit_locally(X, binary["y"]))

    def test_several_files(self, frame, tmp_path):
        """Dask reads several files as one partition if few of the columns are needed, as for the labels."""
        dd = pytest.importorskip("dask.dataframe")
        X, y = frame
        X = X.assign(**{f"x{number}": X["a"] * number for number in range(20)})
        for number, rows in enumerate(cut(X.assign(y=y), (40, 30, 30, 50))):
            rows.to_parquet(tmp_path / f"{number}.parquet")
        table = dd.read_parquet(tmp_path)
        model = fit_on_cluster(table[list(X.columns)], table["y"])
        assert_same_fit(model, fit_locally(X, y))


class TestWeights:
    @pytest.mark.parametrize("weights", ["counts with zeros", "floats", "a partition of zeros"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_weights(self, kind, weights):
        X, y = data_of(kind)
        weights = weights_of(weights)
        options = {"hidden_layer_sizes": (4,), "standardize": True}
        expected = fit_locally(X, y, weights, **options)
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), as_array(weights), **options), expected)

    def test_one_weight_for_all_rows(self):
        X, y = data_of("binary")
        expected = fit_locally(X, y, 3.5)
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), 3.5), expected)
        with pytest.raises(ValueError, match="sample_weight must hold at least one positive weight, all are zero"):
            fit_on_cluster(as_array(X), as_array(y), 0)

    @pytest.mark.parametrize("weights", ["large", "small", "small and zeros", "spread"])
    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    def test_weights_of_any_magnitude(self, weights, class_weight):
        X, y = data_of("binary")
        options = {"alpha": 0.1 * weights_of(weights).max(), "class_weight": class_weight, "standardize": True}
        weights = weights_of(weights)
        expected = fit_locally(X, y, weights, **options)
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), as_array(weights), **options), expected)

    def test_a_class_with_vanishing_weights_is_balanced(self):
        X, y = data_of("binary")
        order = np.argsort(y, kind="stable")
        X, y, sizes = X[order], y[order], (np.count_nonzero(y == 0), np.count_nonzero(y))
        weights = np.where(y, 1e300, 1e-300)
        options = {"alpha": 1e300, "class_weight": "balanced"}
        expected = fit_locally(X, y, weights, **options)
        model = fit_on_cluster(as_array(X, sizes), as_array(y, sizes), as_array(weights, sizes), **options)
        assert_same_fit(model, expected)

    @pytest.mark.parametrize("weights", ["none", "a partition of zeros"])
    @pytest.mark.parametrize(
        ("kind", "class_weight"),
        [
            ("binary", "balanced"),
            ("multiclass", "balanced"),
            ("multilabel", "balanced"),
            ("binary", {0: 3.0}),
            ("multiclass", {0: 3.0, 1: 1e-3, 2: 1e3}),
            ("multilabel", [{0: 3.0}, {0: 0.5, 1: 2.0}]),
        ],
    )
    def test_class_weights(self, kind, class_weight, weights):
        X, y = data_of(kind)
        weights = weights_of(weights)
        options = {"hidden_layer_sizes": (4,), "class_weight": class_weight, "standardize": True}
        expected = fit_locally(X, y, weights, **options)
        given = None if weights is None else as_array(weights)
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), given, **options), expected)

    @pytest.mark.parametrize("class_weight", [{0: 1e200, 1: 1e200}, {0: 1e300, 1: 1e-300}, {0: 1e-150, 1: 1e-140}])
    def test_products_of_class_weights_may_overflow(self, class_weight):
        X, y = data_of("multilabel")
        options = {"class_weight": [class_weight] * 2, "alpha": 1e-310}
        assert_same_fit(fit_on_cluster(as_array(X), as_array(y), **options), fit_locally(X, y, **options))

    def test_counts_are_repeated_rows(self):
        X, y = data_of("multiclass")
        counts = weights_of("counts with zeros").astype(int)
        expected = fit_locally(np.repeat(X, counts, axis=0), np.repeat(y, counts), hidden_layer_sizes=(4,))
        model = fit_on_cluster(as_array(X), as_array(y), as_array(counts), hidden_layer_sizes=(4,))
        assert_allclose(model.loss_, expected.loss_, rtol=1e-6)


@pytest.mark.parametrize("secede", [False, True])
def test_a_fit_in_a_task_leaves_its_thread_to_the_tasks_of_the_fit(client, secede):
    """Each worker has one thread."""
    import distributed

    X, y = data_of("binary")
    options = {"max_iter": 1000, "tol": 0.1}  # no warning, as both tasks would change the filters of this process

    def compute(_):
        if secede:
            distributed.secede()
        return fit_on_cluster(as_array(X), as_array(y), **options).loss_

    losses = client.gather(client.map(compute, range(2), pure=False))
    assert losses == [fit_on_cluster(as_array(X), as_array(y), **options).loss_] * 2
