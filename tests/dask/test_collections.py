"""Collections of Dask as partitions of rows, labels and weights, and what is refused before any work."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from tests.dask.conftest import SIZES, as_array, as_frame, cut, data_of, forget_sizes, of_parts

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from skrelu.dask._collections import split  # noqa: E402

X, Y = data_of("binary")
W = np.random.RandomState(0).rand(len(Y))


@pytest.fixture
def pd():
    pytest.importorskip("dask.dataframe")
    return pytest.importorskip("pandas")


def make_frame(pd, values=X):
    return pd.DataFrame(values, columns=[f"x{number}" for number in range(values.shape[1])])


def compute(parts):
    return dask.compute(*parts, scheduler="synchronous")


def assert_parts(parts, expected):
    parts = compute(parts)
    assert len(parts) == len(expected)
    for part, values in zip(parts, expected, strict=True):
        part = part.toarray() if sparse.issparse(part) else np.asarray(part)
        assert part.dtype == values.dtype
        assert_array_equal(part, values)


def fail(rows):
    raise AssertionError("a partition is computed")


class TestPartitions:
    @pytest.mark.parametrize("n_columns", [6, 4, 1])
    @pytest.mark.parametrize("changed", [lambda rows: rows, forget_sizes])
    def test_arrays(self, n_columns, changed):
        partitions = split(changed(as_array(X, n_columns=n_columns)), changed(as_array(Y)), as_array(W))
        assert_parts(partitions.X, cut(X))
        assert_parts(partitions.y, cut(Y))
        assert_parts(partitions.sample_weight, cut(W))
        assert (partitions.n_features, partitions.columns) == (6, None)

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
    def test_sparse_blocks_of_columns(self, container):
        rows = as_array(X * (X > 0), n_columns=4).map_blocks(container, meta=container((0, 0)))
        partitions = split(rows, as_array(Y), None)
        assert all(part.format == "csr" for part in compute(partitions.X))
        assert_parts(partitions.X, cut(X * (X > 0)))
        assert partitions.sample_weight == [None] * len(SIZES)

    def test_frames(self, pd):
        partitions = split(as_frame(make_frame(pd)), as_frame(pd.Series(Y)), None)
        assert_parts(partitions.X, cut(X))
        assert_parts(partitions.y, cut(Y))
        assert all(list(part.columns) == partitions.columns for part in compute(partitions.X))
        assert partitions.columns == [f"x{number}" for number in range(6)]
        assert partitions.n_features == 6

    def test_labels_and_weights_in_memory_are_divided_as_the_rows_are(self):
        indicator = np.column_stack([Y, 1 - Y])
        for labels, expected in [
            (Y, Y),
            (Y.tolist(), Y),
            (np.array(["a", "b"])[Y], np.array(["a", "b"])[Y]),
            (indicator, indicator),
            (sparse.csr_array(indicator), indicator),
        ]:
            partitions = split(as_array(X), labels, W)
            assert_parts(partitions.y, cut(expected))
            assert_parts(partitions.sample_weight, cut(W))

    def test_a_column_of_labels_warns(self, pd):
        with pytest.warns(DataConversionWarning, match=r"^y must have shape \(n_samples,\), but it is a column"):
            assert_parts(split(as_array(X), Y[:, np.newaxis].tolist(), None).y, cut(Y[:, np.newaxis]))
        for rows, labels in [(X, Y[:, np.newaxis]), (make_frame(pd), pd.DataFrame({"y": Y}))]:
            divide = as_array if rows is X else as_frame
            with pytest.warns(DataConversionWarning, match="^y_val must have"):
                split(divide(rows), divide(labels), None, ("X_val", "y_val", "sample_weight_val"))

    def test_other_chunks_are_changed_to_those_of_the_rows(self):
        partitions = split(as_array(X), as_array(Y, (100, 50)), as_array(W, (10, 140)))
        assert_parts(partitions.y, cut(Y))
        assert_parts(partitions.sample_weight, cut(W))

    @pytest.mark.parametrize("n_files", [1, 3, 12])
    def test_files_stay_partitions_if_few_columns_are_read(self, pd, n_files, tmp_path):
        dd = pytest.importorskip("dask.dataframe")
        table = make_frame(pd, np.tile(X, 5)).assign(y=Y, w=W)
        for number, rows in enumerate(np.array_split(np.arange(len(X)), n_files)):
            table.iloc[rows].to_parquet(tmp_path / f"{number:02}.parquet")
        frame = dd.read_parquet(tmp_path)
        partitions = split(frame.drop(columns=["y", "w"]), frame["y"], frame["w"] * 2)
        sizes = [len(rows) for rows in np.array_split(np.arange(len(X)), n_files)]
        assert_parts(partitions.X, cut(np.tile(X, 5), sizes))
        assert_parts(partitions.y, cut(Y, sizes))
        assert_parts(partitions.sample_weight, cut(2 * W, sizes))
        assert len(partitions.X) == n_files


class TestErrors:
    """No error needs a partition: each of them would fail."""

    rows = as_array(X).map_blocks(fail, dtype=float, meta=X[:0])

    def test_rows_that_are_not_of_dask(self):
        for other in (X, sparse.csr_array(X), None, dask.delayed(X), X.tolist()):
            with pytest.raises(TypeError, match=r"X must be a dask array or a dask data frame, got .*DeepLogistic"):
                split(other, as_array(Y), None)

    def test_names_in_messages(self):
        with pytest.raises(TypeError, match="X_val must be a dask array"):
            split(X, Y, None, ("X_val", "y_val", "sample_weight_val"))
        with pytest.raises(ValueError, match="X_val has 150 rows, y_val has 149"):
            split(self.rows, Y[1:], None, ("X_val", "y_val", "sample_weight_val"))

    def test_shapes_of_rows(self, pd):
        with pytest.raises(ValueError, match=r"X must have two dimensions .*shape \(150,\)"):
            split(self.rows[:, 0], as_array(Y), None)
        with pytest.raises(ValueError, match=r"X must have two dimensions .*shape \(150, 6, 1\)"):
            split(self.rows[..., np.newaxis], as_array(Y), None)
        with pytest.raises(ValueError, match="known number of columns"):
            split(as_array(X)[:, da.ones(6, dtype=bool)], as_array(Y), None)
        with pytest.raises(ValueError, match="X must have two dimensions"):
            split(as_frame(make_frame(pd))["x0"], as_array(Y), None)

    def test_shapes_of_labels_and_weights(self):
        with pytest.raises(TypeError, match="y must be a dask array, series or data frame of one or two dim"):
            split(self.rows, as_array(Y[:, np.newaxis, np.newaxis]), None)
        with pytest.raises(TypeError, match=r"sample_weight must be a dask array.*got dask\.delayed\.Delayed"):
            split(self.rows, as_array(Y), dask.delayed(W))
        with pytest.raises(ValueError, match="y must have one or two dimensions, got 0"):
            split(self.rows, 1, None)
        with pytest.raises(ValueError, match=r"^y must be given, got None\."):
            split(self.rows, None, None)
        with pytest.raises(ValueError, match="y must have one or two dimensions, got 3"):
            split(self.rows, Y[:, np.newaxis, np.newaxis], None)

    def test_numbers_of_rows(self):
        for labels in (as_array(Y[1:], (149,)), Y[1:]):
            with pytest.raises(ValueError, match="X has 150 rows, y has 149"):
                split(self.rows, labels, None)
        with pytest.raises(ValueError, match="X has 150 rows, sample_weight has 151"):
            split(self.rows, as_array(Y), np.append(W, 1))

    def test_numbers_of_partitions(self):
        with pytest.raises(ValueError, match=r"X has 5 partitions of rows, y has 3.*rechunk or repartition"):
            split(self.rows, forget_sizes(as_array(Y, (50, 50, 50))), None)
        with pytest.raises(ValueError, match="X has 5 partitions of rows, sample_weight has 1"):
            split(forget_sizes(self.rows), as_array(Y), as_array(W, (150,)))

    def test_labels_in_memory_for_rows_of_unknown_number(self, pd):
        for rows in (forget_sizes(self.rows), as_frame(make_frame(pd))):
            for labels in (Y, pd.Series(Y), Y.tolist()):
                with pytest.raises(TypeError, match=r"y must be a dask array or series .*are not known, got"):
                    split(rows, labels, None)

    def test_labels_in_memory_of_several_kinds(self):
        with pytest.raises(TypeError, match="y must hold labels of one kind"):
            split(self.rows, ["a", 1] * 75, None)
        with pytest.raises(ValueError, match="y must hold a label in every row, but row 1"):
            split(self.rows, ["a", None] * 75, None)

    def test_divisions(self, pd):
        dd = pytest.importorskip("dask.dataframe")
        rows = dd.from_pandas(make_frame(pd), npartitions=3)
        labels = dd.from_pandas(pd.Series(Y), npartitions=3)
        assert len(split(rows, labels, None).y) == 3
        moved = labels.repartition(divisions=[0, 10, 100, 149])
        with pytest.raises(ValueError, match=r"X and y are divided at other values of their index: .*repartition"):
            split(rows, moved, None)

    def test_columns_of_text(self, pd):
        frame = make_frame(pd)
        frame["city"] = pd.Series(["Paris"] * len(frame), dtype="string")
        with pytest.raises(TypeError, match=r"X must hold numbers, but these columns hold text: \['city'\].*Encode"):
            split(as_frame(frame), as_array(Y), None)

    def test_columns_of_dates(self, pd):
        frame = make_frame(pd).assign(day=pd.Timestamp("2020-01-01"), age=pd.Timedelta(days=1))
        with pytest.raises(TypeError, match=r"these columns hold dates, times or durations: \['day', 'age'\]"):
            split(as_frame(frame), as_array(Y), None)


def test_partitions_of_unknown_sizes_in_chunks_of_columns():
    rows = of_parts(cut(X), (6,)).rechunk({1: 2})
    assert_parts(split(rows, as_array(Y), None).X, cut(X))
