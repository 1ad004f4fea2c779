"""Errors of a fit on a cluster: they name the partition or the column, and leave everything as it was."""

import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from tests.dask.conftest import as_array, as_frame, assert_nothing_is_left, cut, data_of, fit, fit_on_cluster, of_parts

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
skrelu_dask = pytest.importorskip("skrelu.dask")

from skrelu.dask._cluster import Cluster, Partitioned  # noqa: E402

pytestmark = pytest.mark.usefixtures("client", "nothing_is_left")
X, Y = data_of("multiclass")
X = X[:, :4]
LAST = 4  # the number of a partition
SIZES = (50, 0, 20, 50, 30)


def with_last(values, change):
    """Return the parts of values, with a change to a copy of the last one."""
    *parts, last = cut(values, SIZES)
    return [*parts, change(last.copy())]


def put(value):
    def change(part):
        part[3] = value
        return part

    return change


def rows_of(parts):
    return of_parts(parts, (4,))


def labels_of(parts):
    return of_parts(parts, (), parts[0].dtype)


@pytest.fixture(scope="module")
def fitted(client):
    return fit_on_cluster(as_array(X, SIZES), as_array(Y, SIZES))


@pytest.fixture
def refused(client, fitted):
    """Return a function that checks an error of a fit, which leaves an earlier fit and the cluster as they were."""
    errors = []  # kept, as an interactive session keeps the last one with its frames

    def check(kind, match, rows=None, labels=None, weights=None):
        rows = as_array(X, SIZES) if rows is None else rows
        labels = as_array(Y, SIZES) if labels is None else labels
        before = dict(vars(fitted))
        with pytest.raises(kind, match=match) as caught:
            fit(fitted, rows, labels, weights)
        assert type(caught.value) is kind
        errors.append(caught.value)
        assert vars(fitted) == before
        assert_nothing_is_left(client)

    return check


class TestRows:
    @pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
    def test_values_that_are_not_finite(self, value, words, refused):
        refused(ValueError, f"^Partition 4 of X: .*{words}", rows_of(with_last(X, put(value))))

    def test_not_finite_in_a_sparse_block(self, refused):
        parts = [sparse.csr_array(part) for part in with_last(X, put(np.nan))]
        refused(ValueError, "^Partition 4 of X: .*NaN", rows_of(parts))

    def test_the_first_of_several_partitions_is_named(self, refused):
        parts = cut(X, SIZES)
        parts[2] = np.full_like(parts[2], np.nan)
        parts[3] = np.full_like(parts[3], np.inf)
        refused(ValueError, "^Partition 2 of X: .*NaN", rows_of(parts))

    def test_text(self, refused):
        parts = [part.astype(object) for part in with_last(X, lambda part: np.full_like(part, "a", dtype=object))]
        refused(ValueError, "^Partition 4 of X: X must hold numbers: could not convert string.*Encode", rows_of(parts))

    def test_dates(self, refused):
        parts = with_last(X, lambda part: part.astype("i8").astype("M8[s]"))
        refused(
            TypeError,
            r"^Partition 4 of X: .*these columns hold dates, times or durations: \[0, 1, 2, 3\]",
            rows_of(parts),
        )

    def test_numbers_of_columns(self, refused):
        refused(
            ValueError,
            "^Partition 4 of X: X has 3 features, but .* 4 features",
            rows_of(with_last(X, lambda part: part[:, 1:])),
        )

    def test_dimensions(self, refused):
        refused(
            ValueError,
            r"^Partition 4 of X: .*Found array with dim 3",
            rows_of(with_last(X, lambda part: part[..., np.newaxis])),
        )

    def test_sparse_and_dense_blocks(self, refused):
        parts = rows_of(with_last(X, sparse.csr_array))
        refused(
            ValueError, "^X must be sparse or dense in all partitions, but partition 4 is sparse and partition 0", parts
        )

    def test_no_rows(self, refused):
        refused(
            ValueError,
            r"^X has no rows: all 2 partition\(s\) are empty",
            as_array(X[:0], (0, 0)),
            as_array(Y[:0], (0, 0)),
        )

    def test_columns_of_a_frame(self, refused):
        pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
        parts = cut(pd.DataFrame(X, columns=list("abcd")), SIZES)
        parts[LAST] = parts[LAST][["b", "a", "c", "d"]]
        frame = dd.from_delayed(list(map(dask.delayed, parts)), meta=parts[0].iloc[:0], verify_meta=False)
        refused(ValueError, "(?s)^Partition 4 of X: The feature names should match", frame)
        text = pd.DataFrame(X, columns=list("abcd")).assign(b=pd.Series(["a"] * len(X), dtype="string"))
        refused(TypeError, r"^X must hold numbers, but these columns hold text: \['b'\]", as_frame(text, SIZES))


class TestLabels:
    def test_several_kinds(self, refused):
        labels = labels_of(with_last(Y, lambda part: part.astype(str)))
        words = r"^y must hold labels of one kind: those of partition 0 are numbers in 1 column.*partition 4 text in 1"
        refused(TypeError, words, labels=labels)

    def test_kinds_count_in_rows_of_no_weight(self, refused):
        labels = labels_of(with_last(Y, lambda part: part.astype(str)))
        weights = np.ones(len(Y))
        weights[-SIZES[LAST] :] = 0
        refused(
            TypeError, "^y must hold labels of one kind.*partition 4", labels=labels, weights=as_array(weights, SIZES)
        )

    def test_several_numbers_of_columns(self, refused):
        parts = with_last(
            np.column_stack([Y > 0, Y > 1]).astype(int), lambda part: np.column_stack([part, part[:, :1]])
        )
        labels = of_parts(parts, (2,), int)
        refused(
            TypeError, r"^y must hold labels of one kind.*in 2 column\(s\), .*partition 4 numbers in 3", labels=labels
        )

    def test_continuous(self, refused):
        labels = labels_of(with_last(Y.astype(float), put(0.5)))
        refused(ValueError, "^Partition 4 of X: Unknown label type: continuous", labels=labels)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_numbers(self, value, refused):
        refused(
            ValueError, "^Partition 4 of X: Input y contains", labels=labels_of(with_last(Y.astype(float), put(value)))
        )

    def test_missing_objects(self, refused):
        labels = labels_of(with_last(np.array(["a", "b", "c"], dtype=object)[Y], put(None)))
        refused(
            ValueError, "^Partition 4 of X: y must hold a label in every row, but row 3 has none: None", labels=labels
        )

    def test_an_indicator_of_other_numbers(self, refused):
        labels = of_parts(with_last(np.column_stack([Y > 0, Y > 1]).astype(int), put([2, 0])), (2,), int)
        refused(ValueError, "^Partition 4 of X: y must be an indicator of 0 and 1", labels=labels)

    def test_one_class(self, refused):
        refused(
            ValueError,
            r"^y must hold at least two classes, but there is only one class: \[1\]",
            labels=as_array(0 * Y + 1, SIZES),
        )
        weights = as_array((Y == 2).astype(float), SIZES)
        refused(ValueError, r"only one class in rows of positive weight: \[2\]", weights=weights)

    def test_many_classes_in_a_partition_are_no_error(self):
        labels = np.arange(len(Y)) % 30  # 30 classes in 50 rows or fewer
        model = fit_on_cluster(as_array(X, SIZES), as_array(labels, SIZES), max_iter=1)
        assert model.classes_.tolist() == list(range(30))


class TestRowsThatDoNotFit:
    def test_lengths_of_a_partition(self, refused):
        refused(
            ValueError,
            "^Partition 4 of X: X has 30 rows, y has 29",
            labels=labels_of(with_last(Y, lambda part: part[1:])),
        )
        weights = labels_of(with_last(np.ones(len(Y)), lambda part: part[1:]))
        refused(ValueError, "^Partition 4 of X: X has 30 rows, sample_weight has 29", weights=weights)
        empty = labels_of([Y[:50], Y[:1], *cut(Y, SIZES)[2:]])
        refused(ValueError, "^Partition 1 of X: X has 0 rows, y has 1", labels=empty)

    def test_other_order(self, refused):
        pd = pytest.importorskip("pandas")
        frame, labels = pd.DataFrame(X, columns=list("abcd")), pd.Series(Y)
        swapped = labels.iloc[[*range(1, -1, -1), *range(2, len(Y))]]
        words = "^Partition 0 of X: X and y hold the same rows in another order, by their index"
        refused(ValueError, words, as_frame(frame, SIZES), as_frame(swapped, SIZES))


class TestWeights:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (-1.0, "sample_weight must not be negative, got -1.0"),
            (np.nan, "sample_weight.* NaN"),
            (np.inf, "sample_weight"),
        ],
    )
    def test_values(self, value, words, refused):
        refused(ValueError, f"^Partition 4 of X: .*{words}", weights=labels_of(with_last(np.ones(len(Y)), put(value))))

    def test_all_are_zero(self, refused):
        words = "^sample_weight must hold at least one positive weight, all are zero"
        refused(ValueError, words, weights=as_array(np.zeros(len(Y)), SIZES))

    def test_text(self, refused):
        weights = labels_of(with_last(np.ones(len(Y)).astype(object), put("heavy")))
        refused(ValueError, "^Partition 4 of X: .*sample_weight", weights=weights)

    def test_several_columns(self, refused):
        weights = as_array(np.ones((len(Y), 2)), SIZES)
        refused(ValueError, "^Partition 0 of X: .*[Ss]ample.weights? .*1D", weights=weights)


class TestUsersErrors:
    @pytest.mark.parametrize("what", ["X", "y"])
    def test_an_error_of_the_users_graph(self, what, refused):
        from skrelu.dask._partition import PartitionError

        def fail(part):
            raise OSError("the file is gone")

        parts = [dask.delayed(part) for part in cut(X if what == "X" else Y, SIZES)]
        parts[LAST] = dask.delayed(fail)(parts[LAST])
        collection = rows_of(parts) if what == "X" else of_parts(parts, (), int)
        words = "^Partition 4 of X could not be computed: OSError: the file is gone"
        refused(PartitionError, words, **{"rows" if what == "X" else "labels": collection})

    def test_the_cause_is_the_users_error(self):
        def fail(part):
            raise UnicodeDecodeError("utf-8", b"x", 0, 1, "no text")

        rows = as_array(X, SIZES).map_blocks(fail, dtype=float, meta=X[:0])
        with pytest.raises(
            RuntimeError, match=r"^Partition 0 of X could not be computed: UnicodeDecodeError"
        ) as caught:
            fit_on_cluster(rows, as_array(Y, SIZES))
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)


class TestClients:
    def test_a_wrong_type(self, refused):
        with pytest.raises(TypeError, match=r"client must be a dask\.distributed\.Client or None, got 'tcp"):
            fit_on_cluster(as_array(X), as_array(Y), client="tcp://127.0.0.1:8786")

    def test_a_closed_client(self, client):
        closed = distributed.Client(client.cluster, set_as_default=False)
        closed.close()
        with pytest.raises(ValueError, match="client must be connected to a scheduler, but it is closed"):
            fit_on_cluster(as_array(X), as_array(Y), client=closed)
        model = fit_on_cluster(as_array(X), as_array(Y)).set_params(client=closed)
        with pytest.raises(ValueError, match="client must be connected to a scheduler, but it is closed"):
            model.score(as_array(X), as_array(Y))
        assert_array_equal(model.predict(as_array(X)).compute(), model.predict(X))  # on the current client

    def test_no_client(self, monkeypatch):
        def no_client():
            raise ValueError("No global client found")

        monkeypatch.setattr(distributed, "get_client", no_client)
        with pytest.raises(ValueError, match=r"There is no Dask client: create one.*or pass it as client="):
            fit_on_cluster(as_array(X), as_array(Y))

    def test_an_asynchronous_client(self, client):
        async def try_fit():
            async with distributed.Client(client.scheduler.address, asynchronous=True, set_as_default=False) as other:
                with pytest.raises(ValueError, match="client must not be asynchronous"):
                    fit_on_cluster(as_array(X), as_array(Y), client=other)

        import asyncio

        asyncio.run(try_fit())


class TestCancelledTasks:
    """As by `client.restart`, which cancels all tasks."""

    MESSAGE = r"[pP]artition .*was cancelled, by client\.cancel or client\.restart, or lost with its worker"

    @staticmethod
    def cancel_all(client):
        client.cancel([distributed.Future(key, client) for key in list(client.futures)])

    @pytest.mark.parametrize(
        ("of", "method", "n_before"), [(Cluster, "gather", 0), (Cluster, "gather", 1), (Partitioned, "run", 2)]
    )
    def test_at_any_time(self, of, method, n_before, client, monkeypatch):
        """While partitions are checked, while they are encoded, and between two iterations."""
        call, calls = getattr(of, method), []

        def cancel_and_call(*arguments):
            if len(calls) == n_before:
                self.cancel_all(client)
                time.sleep(0.2)
            calls.append(None)
            return call(*arguments)

        monkeypatch.setattr(of, method, cancel_and_call)
        with pytest.raises(RuntimeError, match=self.MESSAGE):
            fit_on_cluster(as_array(X), as_array(Y))


def test_an_error_of_the_first_fit_leaves_no_attributes():
    model = skrelu_dask.DaskDeepLogisticClassifier()
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"^Partition 0 of X"):
        fit(model, as_array(np.full_like(X, np.nan), SIZES), as_array(Y, SIZES))
    assert vars(model) == before
