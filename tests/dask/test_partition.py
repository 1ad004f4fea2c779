"""Checked and encoded partitions, against the rows, targets and weights of a local fit on all rows."""

import math
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu import DeepLogisticClassifier
from skrelu._data.labels import Labels
from skrelu._data.rows import class_factors, row_factors, weigh_rows
from skrelu._data.validation import validate_rows
from tests.dask.conftest import cut, data_of

pytest.importorskip("distributed")

from skrelu.dask._partition import (
    Encoding,
    PartitionError,
    Sort,
    bytes_of,
    check_labels,
    check_rows,
    encode_rows,
    learn_facts,
    learn_part_facts,
)

SIZES = (50, 20, 50, 30)
NAMES = ("X", "y", "sample_weight")


def sort_of(X):
    model = DeepLogisticClassifier()
    validate_rows(model, X[:1], reset=True)
    return Sort(NAMES, model)


def check(X, y, sample_weight=None, number=7):
    return check_rows(X, y, sample_weight, number, sort_of(X))


def checked_parts(kind, weights=None):
    X, y = data_of(kind)
    parts = [cut(values, SIZES) if values is not None else [None] * len(SIZES) for values in (X, y, weights)]
    return [check(*part, number) for number, part in enumerate(zip(*parts, strict=True))]


def weights_of(kind, n_rows=150):
    rng = np.random.RandomState(0)
    weights = rng.randint(0, 3, size=n_rows).astype(float) if kind == "counts" else 1e-310 + 10 * rng.rand(n_rows)
    weights[: SIZES[0]] *= 2.0**-30 if kind == "floats" else 1
    weights[SIZES[0] : SIZES[0] + SIZES[1]] = 0
    return weights


class TestCheckedRows:
    @pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?"])
    def test_rows_and_weights(self, dtype):
        X, y = data_of("multiclass")
        rows = check(X.astype(dtype), y, np.arange(150))
        assert rows.X.dtype == ("f4" if dtype == "f4" else "f8")
        assert_array_equal(rows.X, X.astype(dtype).astype("f8"))
        assert_array_equal(rows.y, y)
        assert_array_equal(rows.sample_weight, np.arange(150.0))
        assert rows.number == 7

    def test_values_are_not_changed(self):
        X, y = data_of("multiclass")
        weights = np.arange(150.0)
        copies = X.copy(), y.copy(), weights.copy()
        rows = check(X, y, weights)
        encode_rows(rows, None, Encoding(Labels.of(y, None), np.dtype("f8"), None, 8, 1.0), False)
        for values, copy in zip((X, y, weights), copies, strict=True):
            assert_array_equal(values, copy)
        assert np.shares_memory(rows.X, X)

    @pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array])
    def test_sparse_rows_are_csr(self, container):
        X, y = data_of("binary")
        rows = check(container(X), y)
        assert rows.X.format == "csr"
        assert_array_equal(rows.X.toarray(), X)

    def test_labels_of_every_kind(self):
        X, y = data_of("binary")
        words = np.array(["no", "yes"])[y]
        indicator = np.column_stack([y, 1 - y])
        for labels, expected in [
            (words, words),
            (words.astype(object), words),
            (y.astype(object), y),
            (y.astype(bool), y.astype(bool)),
            (y.astype(float), y),
            (y[:, np.newaxis], y),
            (sparse.csr_array(indicator), indicator),
            (sparse.csr_array(y[:, np.newaxis]), y),
            (indicator.tolist(), indicator),
        ]:
            checked = check(X, labels).y
            assert_array_equal(checked, expected)
            assert checked.dtype.kind in (expected.dtype.kind, "O" if expected is words else "", "f")

    def test_a_partition_without_rows_or_without_weights(self):
        X, y = data_of("binary")
        empty = check_rows(X[:0], y[:0], np.ones(0), 3, sort_of(X))
        assert (empty.number, empty.X, empty.y, empty.sample_weight) == (3, None, None, None)
        assert learn_facts(empty).n_rows == 0
        assert_array_equal(check(X, y, np.zeros(150)).sample_weight, np.zeros(150))

    def test_errors_name_the_partition_and_keep_their_kind(self):
        X, y = data_of("binary")
        with pytest.raises(ValueError, match=r"^Partition 7 of X: X has 150 rows, y has 149"):
            check(X, y[1:])
        with pytest.raises(ValueError, match=r"^Partition 7 of X: sample_weight must not be negative, got -2.0"):
            check(X, y, np.full(150, -2))
        with pytest.raises(TypeError, match=r"^Partition 7 of X: y must hold labels of one kind"):
            check(X, [*y[:-1].tolist(), "a"])

    def test_errors_of_other_kinds(self):
        class Strange:
            shape = (150,)

            def __init__(self, error):
                self.error = error

            def __array__(self, dtype=None, copy=None):
                raise self.error

        X, y = data_of("binary")
        with pytest.raises(PartitionError, match=r"^Partition 7 of X could not be checked: OSError"):
            check(X, y, Strange(OSError("gone")))
        decode = UnicodeDecodeError("utf-8", b"x", 0, 1, "of the user")
        with pytest.raises(ValueError, match=r"^Partition 7 of X: .*of the user") as caught:
            check(X, y, Strange(decode))
        assert caught.value.__cause__ is decode

    def test_frames_in_another_order(self):
        pd = pytest.importorskip("pandas")
        X, y = data_of("binary")
        frame, labels = pd.DataFrame(X, columns=list("abcdef")), pd.Series(y)
        sort = sort_of(frame)
        assert_array_equal(check_rows(frame, labels, None, 0, sort).y, y)
        others = labels.set_axis(labels.index + 1)  # other rows by name; the places count
        assert_array_equal(check_rows(frame, others, None, 0, sort).y, y)
        with pytest.raises(ValueError, match="X and y hold the same rows in another order"):
            check_rows(frame, labels[::-1], None, 0, sort)
        with pytest.raises(ValueError, match="X and sample_weight hold the same rows in another order"):
            check_rows(frame, labels, labels[::-1], 0, sort)

    def test_the_same_name_for_several_rows_tells_no_order(self):
        pd = pytest.importorskip("pandas")
        X, y = data_of("binary")
        frame, labels = pd.DataFrame(X, columns=list("abcdef")), pd.Series(y)
        for rows, index in ((frame, [0] * 150), (frame.set_axis([0] * 150), labels.index)):
            assert_array_equal(check_rows(rows, labels.set_axis(index), None, 0, sort_of(frame)).y, y)

    def test_an_index_that_cannot_be_sorted(self):
        pd = pytest.importorskip("pandas")
        X, y = data_of("binary")
        frame, labels = pd.DataFrame(X, columns=list("abcdef")), pd.Series(y, index=["a", *range(149)])
        assert_array_equal(check_rows(frame, labels, None, 0, sort_of(frame)).y, y)


class TestFacts:
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    @pytest.mark.parametrize("weights", [None, "counts", "floats"])
    def test_counts_and_weights_of_the_classes(self, kind, weights):
        _, y = data_of(kind)
        weights = None if weights is None else weights_of(weights)
        of_rows = np.ones(150) if weights is None else weights
        for rows, labels, own in zip(checked_parts(kind, weights), cut(y, SIZES), cut(of_rows, SIZES), strict=True):
            facts = learn_facts(rows)
            unit = 1.0 if weights is None or not own.any() else math.ldexp(1.0, facts.exponent)
            classes = np.unique(labels[own > 0])
            assert_array_equal(facts.classes, classes)
            assert_array_equal(facts.counts, [np.count_nonzero((labels == one) & (own > 0)) for one in classes])
            assert_allclose(facts.weights * unit, [own[labels == one].sum() for one in classes], rtol=1e-14)
            assert_allclose(facts.total_weight * unit, own.sum(), rtol=1e-14)
            assert (facts.n_rows, facts.n_counted) == (len(labels), np.count_nonzero(own))
            assert facts.are_counts == (own == np.rint(own)).all()
            assert (facts.exponent is None) == (weights is None)

    def test_columns_of_an_indicator(self):
        _, y = data_of("multilabel")
        weights = weights_of("counts")
        for rows, labels, own in zip(
            checked_parts("multilabel", weights), cut(y, SIZES), cut(weights, SIZES), strict=True
        ):
            facts = learn_facts(rows)
            assert facts.n_label_columns == 2
            assert_array_equal(facts.classes, [0, 1])
            assert_array_equal(facts.counts, labels[own > 0].sum(axis=0))
            unit = math.ldexp(1.0, facts.exponent) if own.any() else 1.0
            assert_allclose(facts.weights * unit, own @ labels)

    def test_values(self):
        X, y = data_of("binary")
        X = X.astype("f4")
        X[5, 2] = -77
        facts = learn_facts(check(X, y))
        assert (facts.dtype, facts.is_sparse, facts.largest) == ("float32", False, 77.0)
        facts = learn_facts(check(sparse.csr_array(X.astype("f8")), y))
        assert (facts.dtype, facts.is_sparse, facts.largest) == ("float64", True, 77.0)


class TestEncodedRows:
    """All parts together are the rows of a local fit."""

    def encode(self, kind, weights, class_weight, dtype="f8"):
        X, y = data_of(kind)
        labels = Labels.of(y, None if weights is None else weights > 0)
        targets = labels.encode(y)
        factors = class_factors(labels, class_weight, targets, weights)
        unit = 1.0 if factors is None else row_factors(labels, factors, targets)[1]
        exponent = None if weights is None else int(np.frexp(weights.max())[1])
        encoding = Encoding(labels, np.dtype(dtype), factors, exponent, unit)
        parts = [encode_rows(rows, None, encoding, False) for rows in checked_parts(kind, weights)]
        return parts, weigh_rows(X, labels, targets, factors, weights)

    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    @pytest.mark.parametrize("weights", [None, "counts", "floats"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_the_same_as_in_a_local_fit(self, kind, weights, class_weight):
        weights = None if weights is None else weights_of(weights)
        parts, rows = self.encode(kind, weights, class_weight)
        chosen = rows.numbers()
        assert_array_equal(np.concatenate([part.X for part in parts]), rows.X[chosen])
        assert_array_equal(np.concatenate([part.targets for part in parts]), rows.targets[chosen])
        if rows.sample_weight is None:
            assert all(part.weights is None for part in parts)
            return
        joined = np.concatenate([part.weights for part in parts if part.n_rows])
        assert_allclose(joined, rows.sample_weight[chosen], rtol=1e-15)
        facts = [learn_part_facts(part, are_counts=False) for part in parts]
        assert_allclose(math.fsum(fact.weight for fact in facts), joined.sum(), rtol=1e-14)
        assert_allclose(math.fsum(fact.squared_weight for fact in facts), np.square(joined).sum(), rtol=1e-14)
        assert [fact.n_rows for fact in facts] == [part.n_rows for part in parts]

    def test_counts_times_squared_factors(self):
        """A row of count c is c rows of the weight f."""
        counts = weights_of("counts")
        parts, _ = self.encode("multiclass", counts, "balanced")
        for part, count in zip(parts, cut(counts, SIZES), strict=True):
            if not part.n_rows:
                assert learn_part_facts(part, are_counts=True).weight == 0
                continue
            repeated = np.repeat(part.factors, count[count > 0].astype(int))
            facts = learn_part_facts(part, are_counts=True)
            unit = 2.0 ** -int(np.frexp(counts.max())[1])
            assert_allclose(facts.squared_weight, unit * np.square(repeated).sum())
            assert_allclose(facts.weight, unit * repeated.sum())
            assert facts.largest_sample_weight == part.sample_weight.max()

    def test_products_of_weights_that_underflow_are_positive(self):
        X, y = data_of("binary")
        weights = np.where(np.arange(150) % 3, 1.0, 1e-300)
        encoding = Encoding(Labels.of(y, None), np.dtype("f8"), np.array([1e-300, 1.0]), 1, 1.0)
        assert (encode_rows(check(X, y, weights), None, encoding, False).weights > 0).all()

    def test_dtype(self):
        assert {part.X.dtype for part in self.encode("binary", None, None, "f4")[0]} == {np.dtype("f4")}

    @pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
    def test_rows_held_out(self, kind):
        X, y = data_of(kind)
        weights = weights_of("counts")
        labels = Labels.of(y, weights > 0)
        quotas = np.array([4, 0, 2]) if kind == "multiclass" else np.array([6])
        encoding = Encoding(labels, np.dtype("f8"), None, 2, 1.0, seed=5)
        rows = checked_parts(kind, weights)[2]
        kept, held_out = (encode_rows(rows, quotas, encoding, is_validation) for is_validation in (False, True))
        both = np.concatenate([kept.X, held_out.X])
        counted = cut(X, SIZES)[2][cut(weights, SIZES)[2] > 0]
        assert_array_equal(np.unique(both, axis=0), np.unique(counted, axis=0))
        assert len(both) == len(counted)
        assert held_out.n_rows == 6
        if kind == "multiclass":
            assert_array_equal(np.bincount(held_out.targets, minlength=3), quotas)
        again = encode_rows(rows, quotas, encoding, True)
        assert_array_equal(again.X, held_out.X)
        for other in (
            encode_rows(rows, quotas, replace(encoding, seed=6), True),
            encode_rows(replace(rows, number=3), quotas, encoding, True),
        ):
            assert not np.array_equal(other.X, held_out.X)


class TestSizes:
    def test_dask_is_told_the_bytes(self):
        X, y = data_of("binary")
        rows = check(X, y, np.ones(150))
        n_bytes = X.nbytes + y.nbytes + 150 * 8
        assert n_bytes < sys.getsizeof(rows) < n_bytes + 200
        part = encode_rows(rows, None, Encoding(Labels.of(y, None), np.dtype("f8"), None, 1, 1.0), False)
        n_bytes = X.nbytes + part.targets.nbytes + 150 * 8
        assert n_bytes < sys.getsizeof(part) < n_bytes + 200
        assert part.weights is part.sample_weight
        assert sys.getsizeof(pickle.loads(pickle.dumps(part))) == sys.getsizeof(part)

    def test_arrays_matrices_and_objects(self):
        matrix = sparse.random(100, 10, 0.3, format="csr", random_state=0)
        expected = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
        assert bytes_of(matrix, None, np.ones(3)) == expected + 24
        assert bytes_of(np.array(["a", "b"], dtype=object)) == 128


class TestKnownLabels:
    def test_of_validation_rows(self):
        X, y = data_of("multiclass")
        labels = Labels.of(y, None)
        check_labels(check(X, y), labels, sort_of(X))
        check_labels(check_rows(X[:0], y[:0], None, 0, sort_of(X)), labels, sort_of(X))
        with pytest.raises(ValueError, match=r"^Partition 7 of X: y_val holds labels that y does not: \[5\]"):
            check_labels(check(X, y + 3 * (y == 2)), labels, sort_of(X))
