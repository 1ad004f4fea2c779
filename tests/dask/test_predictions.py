"""Predictions for Dask collections: bit for bit those of the local methods for the rows of each chunk."""

import copy
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skrelu import DeepLogisticClassifier
from tests.problems import load_table

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
cloudpickle = pytest.importorskip("cloudpickle")

from skrelu.dask._collections import is_collection  # noqa: E402
from skrelu.dask._predictions import predict_lazily, score_lazily  # noqa: E402

KINDS = ("binary", "multiclass", "multilabel", "strings")
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
NAMES = ("a", "b", "c", "d")
SIZES = (25, 20, 15)
N_ROWS = sum(SIZES)


def data_of(kind):
    X, y = load_table("multiclass" if kind == "strings" else kind)
    numbers = np.random.RandomState(0).permutation(len(X))[:N_ROWS]
    y = np.array(["red", "green", "blue"])[y] if kind == "strings" else y
    return X[numbers, : len(NAMES)], y[numbers]


def fit(X, y, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        options = {"hidden_layer_sizes": (4,), "alpha": 0.1, "max_iter": 20, "random_state": 0}
        return DeepLogisticClassifier(**options | parameters).fit(X, y)


@pytest.fixture(scope="module")
def fitted():
    return {kind: fit(*data_of(kind)) for kind in KINDS}


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def cut(values, sizes=SIZES):
    stops = np.cumsum(sizes)
    return [values[stop - size : stop] for size, stop in zip(sizes, stops, strict=True)]


def as_array(values, sizes=SIZES):
    return da.from_array(values, chunks=(tuple(sizes), *values.shape[1:]))


def as_frame(values, sizes=SIZES):
    """Return a data frame of Dask with one partition for each of the sizes, of a frame or a series of pandas."""
    dd = pytest.importorskip("dask.dataframe")
    parts = cut(values, sizes)
    return dd.from_delayed([dask.delayed(part) for part in parts], meta=values.iloc[:0])


def make_frame(X, names=NAMES):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(X, columns=list(names))


def forget_sizes(array):
    """Return an array whose numbers of rows are not known."""
    return array[da.ones(array.shape[0], chunks=(array.chunks[0],), dtype=bool)]


def fail(rows):
    raise AssertionError("a chunk is computed")


def assert_same_chunks(lazy, expected):
    """Compare each chunk with an array, and what is known before any work with what comes out."""
    blocks = [dask.compute(part)[0] for part in lazy.to_delayed().ravel()]
    assert len(blocks) == len(expected)
    for block, array in zip(blocks, expected, strict=True):
        assert block.dtype == lazy.dtype == array.dtype
        assert block.ndim == lazy.ndim
        assert lazy.shape[1:] == array.shape[1:]
        assert_array_equal(block, array)
    assert_array_equal(lazy.compute(), np.concatenate(expected))


class TestCollections:
    def test_arrays_frames_and_series_are_collections(self):
        X, _ = data_of("binary")
        assert is_collection(as_array(X))
        frame = as_frame(make_frame(X))
        assert is_collection(frame)
        assert is_collection(frame["a"])

    def test_other_objects_are_not(self):
        X, _ = data_of("binary")
        for other in (X, sparse.csr_array(X), X.tolist(), None, dask.delayed(X), make_frame(X), da.Array):
            assert not is_collection(other)


class TestValues:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("method", METHODS)
    def test_dense_chunks(self, kind, method, fitted):
        X, _ = data_of(kind)
        lazy = predict_lazily(fitted[kind], method, as_array(X))
        assert isinstance(lazy, da.Array)
        assert lazy.chunks[0] == SIZES
        assert_same_chunks(lazy, [getattr(fitted[kind], method)(part) for part in cut(X)])

    @pytest.mark.parametrize("of_fit", ["f4", "f8"])
    @pytest.mark.parametrize("of_rows", ["f4", "f8", "i8", "?"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_dtypes(self, of_fit, of_rows, kind):
        X, y = data_of(kind)
        model = fit(X.astype(of_fit), y)
        X = (10 * X).astype(of_rows)
        for method in METHODS:
            lazy = predict_lazily(model, method, as_array(X))
            assert_same_chunks(lazy, [getattr(model, method)(part) for part in cut(X)])
        assert lazy.dtype == ("f4" if of_fit == of_rows == "f4" else "f8")

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("n_columns", [4, 3])
    @pytest.mark.parametrize("method", ["predict", "predict_proba"])
    def test_sparse_chunks(self, container, n_columns, method, fitted):
        X, _ = data_of("multiclass")
        X = X * (np.abs(X) > 0.5)
        rows = da.from_array(X, chunks=(SIZES, n_columns)).map_blocks(container, meta=container((0, 0)))
        lazy = predict_lazily(fitted["multiclass"], method, rows)
        assert_same_chunks(lazy, [getattr(fitted["multiclass"], method)(container(part)) for part in cut(X)])

    def test_columns_in_several_chunks(self, fitted):
        X, _ = data_of("multiclass")
        for rows in (da.from_array(X, chunks=(SIZES, 1)), forget_sizes(da.from_array(X, chunks=(SIZES, 3)))):
            lazy = predict_lazily(fitted["multiclass"], "predict_proba", rows)
            assert_same_chunks(lazy, [fitted["multiclass"].predict_proba(part) for part in cut(X)])

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("kind", ["binary", "multilabel"])
    def test_unknown_sizes(self, method, kind, fitted):
        X, _ = data_of(kind)
        lazy = predict_lazily(fitted[kind], method, forget_sizes(as_array(X)))
        assert np.isnan(lazy.chunks[0]).all()
        assert_same_chunks(lazy, [getattr(fitted[kind], method)(part) for part in cut(X)])

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("method", METHODS)
    def test_frames(self, kind, method):
        X, y = data_of(kind)
        frame = make_frame(X)
        model = fit(frame, y)
        lazy = predict_lazily(model, method, as_frame(frame))
        assert isinstance(lazy, da.Array)
        assert np.isnan(lazy.chunks[0]).all()
        assert_same_chunks(lazy, [getattr(model, method)(part) for part in cut(frame)])

    @pytest.mark.parametrize(
        "dtypes",
        [
            ("f4", "f4", "f4", "f4"),
            ("f4", "f4", "i1", "?"),
            ("f4", "f8", "f4", "i4"),
            ("Int64", "boolean", "f8", "Float32"),
            ("double[pyarrow]", "f8", "f8", "int8[pyarrow]"),
        ],
    )
    def test_dtypes_of_columns(self, dtypes):
        pytest.importorskip("pyarrow")
        X, y = data_of("binary")
        frame = make_frame(np.rint(X)).astype(dict.fromkeys(NAMES, "i4")).clip(0, 1)
        frame = frame.astype(dict(zip(NAMES, dtypes, strict=True)))
        model = fit(frame.astype("f4"), y)
        lazy = predict_lazily(model, "decision_function", as_frame(frame))
        assert_same_chunks(lazy, [model.decision_function(part) for part in cut(frame)])

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_chunks_without_rows(self, method, kind, fitted):
        X, _ = data_of(kind)
        model, sizes = fitted[kind], (25, 0, 35, 0)
        expected = getattr(model, method)(X)
        expected = [getattr(model, method)(part) if len(part) else expected[:0] for part in cut(X, sizes)]
        assert_same_chunks(predict_lazily(model, method, as_array(X, sizes)), expected)
        model = fit(make_frame(X), data_of(kind)[1])
        assert_same_chunks(predict_lazily(model, method, as_frame(make_frame(X), sizes)), expected)

    def test_no_rows_at_all(self, fitted):
        lazy = predict_lazily(fitted["multiclass"], "predict_proba", da.zeros((0, 4)))
        assert lazy.compute().shape == (0, 3)

    def test_a_threaded_scheduler(self, fitted):
        X, _ = data_of("binary")
        with dask.config.set(scheduler="threads", num_workers=2):
            lazy = predict_lazily(fitted["binary"], "decision_function", as_array(X))
            assert_same_chunks(lazy, [fitted["binary"].decision_function(part) for part in cut(X)])


class TestVariances:
    @pytest.mark.parametrize("predictive", ["laplace", "map"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_scores_and_their_standard_deviation(self, predictive, kind):
        X, y = data_of(kind)
        model = fit(X, y, alpha="evidence", predictive=predictive)
        both = predict_lazily(model, "decision_function", as_array(X), return_std=True)
        assert isinstance(both, tuple)
        expected = [model.decision_function(part, return_std=True) for part in cut(X)]
        # As on a cluster, where the model arrives as a pickle.
        for lazy, arrays in zip(cloudpickle.loads(cloudpickle.dumps(both)), zip(*expected, strict=True), strict=True):
            assert_same_chunks(lazy, arrays)

    @pytest.mark.parametrize("method", METHODS)
    def test_moderated_scores(self, method):
        X, y = data_of("multiclass")
        frame = make_frame(X)
        model = fit(frame, y, alpha="evidence", predictive="laplace")
        lazy = cloudpickle.loads(cloudpickle.dumps(predict_lazily(model, method, as_frame(frame))))
        assert_same_chunks(lazy, [getattr(model, method)(part) for part in cut(frame)])

    def test_standard_deviations_of_frames_with_empty_partitions(self):
        X, y = data_of("binary")
        frame = make_frame(X)
        model = fit(frame, y, alpha="evidence")
        scores, std = predict_lazily(model, "decision_function", as_frame(frame, (30, 0, 30)), return_std=True)
        expected = [model.decision_function(part, return_std=True) for part in (frame[:30], frame[30:])]
        for lazy, place in ((scores, 0), (std, 1)):
            assert_array_equal(lazy.compute(), np.concatenate([pair[place] for pair in expected]))

    def test_without_a_posterior_the_error_comes_at_once(self, fitted):
        with pytest.raises(ValueError, match="predictive='laplace'"):
            predict_lazily(fitted["binary"], "decision_function", da.zeros((9, 4)), return_std=True)


class TestColumns:
    @pytest.mark.parametrize("shape", [(9, 3), (9,), (9, 4, 1), (9, 0)])
    def test_shapes_are_refused_as_by_the_local_method(self, shape, fitted):
        with pytest.raises(ValueError, match=r"X has|Expected 2D|dim 3|0 feature") as local:
            fitted["binary"].predict(np.zeros((1, *shape[1:])))
        rows = da.zeros(shape)
        for call in (
            lambda: predict_lazily(fitted["binary"], "predict", rows),
            lambda: score_lazily(fitted["binary"], rows, rows),
        ):
            with pytest.raises(ValueError, match=r"X has|Expected 2D|dim 3|0 feature") as caught:
                call()
            assert str(caught.value) == str(local.value)

    @pytest.mark.parametrize("dtype", ["U3", "M8[D]", complex])
    def test_dtypes_are_refused_at_once(self, dtype, fitted):
        with pytest.raises((ValueError, TypeError), match=r"X must hold numbers|Complex data"):
            predict_lazily(fitted["binary"], "predict", da.zeros((9, 4), dtype=dtype))

    def test_the_number_of_columns_must_be_known(self, fitted):
        rows = da.zeros((9, 4))
        rows = rows[:, da.ones(4, dtype=bool)]
        with pytest.raises(ValueError, match=r"known number of columns.*compute_chunk_sizes"):
            predict_lazily(fitted["binary"], "predict", rows)

    @pytest.mark.parametrize("names", ["abce", "bacd", "abc", "abcde"])
    def test_names_are_refused_as_by_the_local_method(self, names):
        X, y = data_of("binary")
        model = fit(make_frame(X), y)
        frame = make_frame(np.zeros((60, len(names))), names)
        with pytest.raises(ValueError, match=r"feature names|features") as local:
            model.predict(frame)
        with pytest.raises(ValueError, match=r"feature names|features") as caught:
            predict_lazily(model, "predict", as_frame(frame))
        assert str(caught.value) == str(local.value)

    def test_columns_without_numbers_are_named(self):
        pd = pytest.importorskip("pandas")
        X, y = data_of("binary")
        frame = make_frame(X)
        model = fit(frame, y)
        frame["b"] = pd.array(["red"] * len(frame), dtype="string")
        frame["c"] = pd.Categorical(np.where(frame["c"] > 0, "yes", "no"))
        with pytest.raises(TypeError, match=r"X must hold numbers, but these columns hold text: \['b', 'c'\]\. Encode"):
            predict_lazily(model, "predict", as_frame(frame))
        frame["d"] = pd.Timestamp("2020-01-01")
        with pytest.raises(TypeError, match=r"these columns hold dates, times or durations: \['d'\]"):
            predict_lazily(model, "predict", as_frame(frame))

    @pytest.mark.parametrize("dtype", ["category", "bool[pyarrow]", "Int64"])
    def test_columns_that_fit_takes_are_taken(self, dtype):
        pytest.importorskip("pyarrow")
        X, y = data_of("binary")
        frame = make_frame((X > 0).astype(int)).astype({"a": dtype})
        model = fit(frame, y)
        predictions = predict_lazily(model, "predict_proba", as_frame(frame))
        assert_allclose(predictions.compute(), model.predict_proba(frame))

    def test_a_series_is_refused_as_by_the_local_method(self, fitted):
        series = make_frame(data_of("binary")[0])["a"]
        with pytest.raises(ValueError, match="Expected a 2-dimensional container"):
            fitted["binary"].predict(series)
        with pytest.raises(ValueError, match="Expected a 2-dimensional container"):
            predict_lazily(fitted["binary"], "predict", as_frame(series))

    def test_no_chunk_is_computed(self, fitted):
        rows = da.zeros((60, 4), chunks=(20, 2)).map_blocks(fail, dtype=float, meta=np.empty((0, 0)))
        lazy = predict_lazily(fitted["binary"], "predict", rows)
        with pytest.raises(AssertionError, match="a chunk is computed"):
            lazy.compute()

    def test_a_model_must_be_fitted(self):
        with pytest.raises(NotFittedError):
            predict_lazily(DeepLogisticClassifier(), "predict", da.zeros((9, 4)))

    def test_warnings_of_names_come_once_and_at_once(self, fitted):
        X, y = data_of("binary")
        frame = make_frame(X)
        with pytest.warns(UserWarning, match="fitted without feature names") as caught:
            lazy = predict_lazily(fitted["binary"], "predict", as_frame(frame))
        assert len(caught) == 1
        assert_array_equal(lazy.compute(), fitted["binary"].predict(X))
        model = fit(frame, y)
        with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
            lazy = predict_lazily(model, "predict", as_array(X))
        assert len(caught) == 1
        assert_array_equal(lazy.compute(), model.predict(frame))

    def test_numbers_as_names_of_columns(self, fitted):
        X, _ = data_of("binary")
        frame = make_frame(X, range(4))
        assert_array_equal(
            predict_lazily(fitted["binary"], "predict", as_frame(frame)).compute(), fitted["binary"].predict(X)
        )


class TestGraph:
    @pytest.mark.parametrize("n_chunks", [1, 3, 30])
    @pytest.mark.parametrize("kind", ["array", "frame"])
    def test_the_model_is_in_it_once(self, n_chunks, kind):
        X, y = data_of("multiclass")
        frame, sizes = make_frame(X), [N_ROWS // n_chunks] * n_chunks
        model = fit(frame if kind == "frame" else X, y)
        rows = as_frame(frame, sizes) if kind == "frame" else as_array(X, sizes)
        weights = model.coefs_[0].tobytes("A")
        lazy = predict_lazily(model, "predict_proba", rows)
        for collection in (lazy, *dask.optimize(lazy)):
            tasks = dict(collection.__dask_graph__()).values()
            assert sum(cloudpickle.dumps(task).count(weights) for task in tasks) == 1

    def test_equal_calls_have_equal_names(self, fitted):
        rows = da.zeros((9, 4))
        names = [predict_lazily(fitted["binary"], method, rows).name for method in ("predict", "predict", *METHODS[1:])]
        assert names[0] == names[1]
        assert len(set(names)) == 4

    def test_a_later_fit_does_not_change_the_result(self, fitted):
        X, y = data_of("binary")
        model = copy.copy(fitted["binary"])
        lazy = predict_lazily(model, "decision_function", as_array(X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, 1 - y)
        assert_array_equal(lazy.compute(), np.concatenate([fitted["binary"].decision_function(p) for p in cut(X)]))


class TestScore:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("sizes", ["known", "unknown", "others"])
    def test_it_is_that_of_the_local_method(self, kind, weighted, sizes, fitted):
        X, y = data_of(kind)
        model = fitted[kind]
        y = y[::-1].copy()  # so that some rows are wrong
        weights = np.arange(N_ROWS) % 3 if weighted else None
        parts = [as_array(X)]
        for values in (y, weights):
            part = None if values is None else as_array(values, (20, 40) if sizes == "others" else SIZES)
            parts.append(forget_sizes(part) if sizes == "unknown" and part is not None else part)
        expected = model.score(X, y, weights)
        assert 0 < expected < 1
        assert score_lazily(model, *parts) == pytest.approx(expected, rel=1e-14)

    @pytest.mark.parametrize("kind", ["strings", "multilabel"])
    def test_frames(self, kind):
        pd = pytest.importorskip("pandas")
        X, y = data_of(kind)
        y = y[::-1].copy()
        frame = make_frame(X)
        model = fit(frame, data_of(kind)[1])
        labels = pd.Series(y) if y.ndim == 1 else pd.DataFrame(y, columns=["first", "second"])
        weights = pd.Series(np.arange(float(N_ROWS)))
        sizes = (25, 0, 35)
        lazy = [as_frame(part, sizes) for part in (frame, labels, weights)]
        assert score_lazily(model, *lazy) == pytest.approx(model.score(frame, labels, weights), rel=1e-14)
        assert score_lazily(model, *lazy[:2]) == pytest.approx(model.score(frame, labels), rel=1e-14)
        assert score_lazily(model, lazy[0], as_array(y, sizes)) == score_lazily(model, *lazy[:2])

    def test_categories_and_columns_of_labels(self, fitted):
        pd = pytest.importorskip("pandas")
        X, y = data_of("strings")
        expected = fitted["strings"].score(X, y)
        for labels in (pd.Series(y).astype("category"), pd.Series(y).astype("string"), pd.DataFrame({"colour": y})):
            assert score_lazily(fitted["strings"], as_array(X), as_frame(labels)) == pytest.approx(expected, rel=1e-14)
        column = da.from_array(y[:, np.newaxis], chunks=20)
        assert score_lazily(fitted["strings"], as_array(X), column) == pytest.approx(expected, rel=1e-14)

    def test_sparse_labels_and_labels_in_blocks_of_columns(self, fitted):
        X, y = data_of("multilabel")
        expected = fitted["multilabel"].score(X, y)
        indicator = as_array(y).map_blocks(sparse.csr_array, meta=sparse.csr_array((0, 0)))
        for labels in (indicator, da.from_array(y, chunks=(20, 1))):
            assert score_lazily(fitted["multilabel"], as_array(X), labels) == pytest.approx(expected, rel=1e-14)

    def test_a_partition_with_many_classes_is_no_reason_to_warn(self):
        rng = np.random.RandomState(0)
        y = np.arange(120) % 30
        X = rng.randn(120, 4) + y[:, np.newaxis]
        model = fit(X, y)
        rows, labels = as_array(X, (30,) * 4), as_array(y, (30,) * 4)
        assert score_lazily(model, rows, labels) == pytest.approx(model.score(X, y), rel=1e-14)

    def test_one_pass(self, fitted):
        X, y = data_of("binary")
        seen = []

        def note(rows):
            seen.append(len(rows))
            return rows

        table = as_array(np.column_stack([X, y])).map_blocks(note, dtype=float, meta=np.empty((0, 0)))
        score = score_lazily(fitted["binary"], table[:, :-1], table[:, -1])
        assert score == pytest.approx(fitted["binary"].score(X, y), rel=1e-14)
        assert sorted(seen) == sorted(SIZES)  # each chunk once, in any order

    def test_rows_that_are_out_of_step(self, fitted):
        X, y = data_of("binary")
        rows = forget_sizes(as_array(X))
        with pytest.raises(ValueError, match=r"Partition 1 of X has 20 rows, but that of y has 21\."):
            score_lazily(fitted["binary"], rows, as_array(np.append(y, 1), (25, 21, 15)))
        weights = as_array(np.ones(59), (25, 20, 14))
        with pytest.raises(ValueError, match=r"Partition 2 of X has 15 rows, but that of sample_weight has 14\."):
            score_lazily(fitted["binary"], rows, as_array(y), weights)

    def test_collections_that_do_not_belong_together(self, fitted):
        X, y = data_of("binary")
        for labels in (da.from_array(y[1:], chunks=20), y[1:]):
            with pytest.raises(ValueError, match=r"X has 60 rows, y has 59"):
                score_lazily(fitted["binary"], as_array(X), labels)
        with pytest.raises(ValueError, match=r"sample_weight must have 3 partition\(s\) of rows, as X has, got 2"):
            score_lazily(fitted["binary"], as_array(X), as_array(y), forget_sizes(da.from_array(y, chunks=30)))
        with pytest.raises(TypeError, match=r"y must be a dask array .*not known, got numpy.ndarray"):
            score_lazily(fitted["binary"], forget_sizes(as_array(X)), y)
        with pytest.raises(ValueError, match=r"y must have one or two dimensions, got 0"):
            score_lazily(fitted["binary"], as_array(X), None)
        with pytest.raises(TypeError, match="y must be a dask array, series or data frame of one or two dim"):
            score_lazily(fitted["binary"], as_array(X), da.zeros((60, 1, 1)))

    def test_labels_and_weights_in_memory(self, fitted):
        X, y = data_of("binary")
        weights = np.arange(60.0)
        score = score_lazily(fitted["binary"], as_array(X), y.tolist(), weights)
        assert score == pytest.approx(fitted["binary"].score(X, y, weights), rel=1e-14)

    @pytest.mark.parametrize(
        ("labels", "error", "message"),
        [
            (np.where(np.arange(60) == 50, np.nan, 1.0), ValueError, "Partition 2: y must hold labels"),
            (np.full(60, 0.5), ValueError, r"Partition \d: y must hold labels, .* not whole"),
            (np.full(60, "red"), TypeError, r"Partition \d: y must hold labels like those of the fit, of dtype int64"),
            (np.where(np.arange(60) == 30, None, 1), ValueError, "Partition 1: .*row 5 has none"),
            (
                np.ones((60, 2)),
                ValueError,
                r"Partition \d: y must have the shape .*got \(\d+, 2\)",
            ),
        ],
    )
    def test_labels_that_are_refused(self, labels, error, message, fitted):
        X, _ = data_of("binary")
        with pytest.raises(error, match=message):
            score_lazily(fitted["binary"], as_array(X), as_array(labels))

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (np.zeros(60), "do not add up to zero"),
            (np.full(60, np.nan), r"Partition \d: sample_weight must hold finite numbers, but it holds NaN"),
            (np.where(np.arange(60) == 30, np.inf, 1), "Partition 1: sample_weight must hold finite .* infinity"),
            (np.ones((60, 2)), r"Partition \d: sample_weight must have one dimension"),
        ],
    )
    def test_weights_that_are_refused(self, weights, message, fitted):
        X, y = data_of("binary")
        with pytest.raises(ValueError, match=message):
            score_lazily(fitted["binary"], as_array(X), as_array(y), as_array(weights))

    def test_no_rows(self, fitted):
        with pytest.raises(ValueError, match="needs rows"):
            score_lazily(fitted["binary"], da.zeros((0, 4)), da.zeros(0, dtype=int))


class TestCluster:
    @pytest.fixture
    def client(self):
        distributed = pytest.importorskip("distributed")
        with (
            dask.config.set(scheduler=None),
            distributed.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as client,
        ):
            yield client

    def test_results_are_the_same_and_nothing_is_left(self, client):
        X, y = data_of("multiclass")
        frame = make_frame(X)
        model = fit(frame, y, alpha="evidence", predictive="laplace")
        lazy = predict_lazily(model, "predict_proba", as_frame(frame))
        both = predict_lazily(model, "decision_function", as_frame(frame), return_std=True)
        probabilities, *pair = dask.compute(lazy, *both)
        assert_array_equal(probabilities, np.concatenate([model.predict_proba(part) for part in cut(frame)]))
        expected = [model.decision_function(part, return_std=True) for part in cut(frame)]
        for part, arrays in zip(pair, zip(*expected, strict=True), strict=True):
            assert_array_equal(part, np.concatenate(arrays))
        score = score_lazily(model, as_frame(frame), as_array(y))
        assert score == pytest.approx(model.score(frame, y), rel=1e-14)
        assert client.sync(self._tasks_that_are_left, client) == 0

    @staticmethod
    async def _tasks_that_are_left(client):
        """Return the number of tasks on the scheduler, once it has heard that their results were dropped."""
        import asyncio

        for _ in range(200):
            if not client.cluster.scheduler.tasks:
                break
            await asyncio.sleep(0.05)
        return len(client.cluster.scheduler.tasks)
