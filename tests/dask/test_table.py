"""The table of a fit on a cluster, against the rows of all partitions in one place."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu import DeepLogisticClassifier
from skrelu._core.network import Network
from skrelu._data.labels import Labels
from skrelu._data.moments import measure_columns
from skrelu._data.rows import WeightedRows, class_factors, count_effective_rows, weigh_rows
from skrelu._data.splits import class_quotas, count_held_out
from skrelu._data.validation import validate_rows
from tests.dask.conftest import (
    N_ROWS,
    OPTIONS,
    SIZES,
    as_array,
    assert_nothing_is_left,
    cut,
    data_of,
    fit,
    fit_on_cluster,
    of_parts,
)

pytest.importorskip("distributed")

from skrelu.dask._cluster import Cluster
from skrelu.dask._collections import split
from skrelu.dask._table import CheckedTable, encoding_of

pytestmark = pytest.mark.usefixtures("nothing_is_left")
KINDS = ("binary", "multiclass", "multilabel")
NAMES = ("X", "y", "sample_weight")


@pytest.fixture
def make_table(client):
    """Return a function that checks collections on the cluster; the tables are released after the test."""
    tables = []

    def make(X, y, sample_weight=None):
        model = DeepLogisticClassifier()
        validate_rows(model, np.zeros((1, X.shape[1])), reset=True)
        tables.append(CheckedTable.of(Cluster(client), split(X, y, sample_weight), model, NAMES))
        return tables[-1]

    yield make
    for table in tables:
        table.release()


def weights_of(kind):
    rng = np.random.RandomState(0)
    weights = {
        "none": None,
        "counts": rng.randint(0, 3, size=N_ROWS).astype(float),
        "floats": np.repeat([1e-5, 1.0, 1.0, 1e3, 0.0], SIZES) * (0.1 + rng.rand(N_ROWS)),
        "spread": np.repeat([1e-300, 1.0, 1.0, 1e300, 1.0], SIZES) * (0.1 + rng.rand(N_ROWS)),
    }
    return weights[kind]


def table_of(make_table, kind, weights="none"):
    X, y = data_of(kind)
    weights = weights_of(weights)
    table = make_table(as_array(X), as_array(y), None if weights is None else as_array(weights))
    return table, X, y, weights


def encoded_parts(rows):
    """Return the encoded partitions, in their order."""
    return rows.parts.cluster.client.gather(list(rows.parts.futures.values()))


class TestCheckedTable:
    @pytest.mark.parametrize("weights", ["none", "counts", "floats"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_facts_about_all_rows(self, kind, weights, make_table):
        table, X, y, weights = table_of(make_table, kind, weights)
        chosen = np.ones(N_ROWS, dtype=bool) if weights is None else weights > 0
        labels, expected = table.labels(), Labels.of(y, chosen)
        assert_array_equal(labels.classes, expected.classes)
        assert (labels.n_outputs, labels.is_multilabel) == (expected.n_outputs, expected.is_multilabel)
        assert table.n_counted == chosen.sum()
        assert table.largest == np.abs(X).max()
        assert table.has_counts == (weights is None or (weights == np.rint(weights)).all())
        assert table.exponent == (None if weights is None else np.frexp(weights.max())[1])
        assert list(table.futures) == [0, 2, 3, 4]  # the others have no rows
        counts = table.counts(labels)
        if labels.is_multilabel:
            assert_array_equal(counts.sum(), chosen.sum())
        else:
            assert_array_equal(counts.sum(axis=0), [(y[chosen] == label).sum() for label in labels.classes])

    def test_dtypes(self, make_table):
        X, y = data_of("binary")
        for dtypes, expected in [("fff", "f4"), ("fdf", "f8"), ("fif", "f8"), ("??f", "f8"), ("ddd", "f8")]:
            sizes = (50, 60, 40)
            parts = [part.astype(dtype) for part, dtype in zip(cut(X, sizes), dtypes, strict=True)]
            assert make_table(of_parts(parts, (6,)), as_array(y, sizes)).dtype == expected

    @pytest.mark.parametrize("weights", ["none", "counts", "floats", "spread"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_balanced_classes(self, kind, weights, make_table):
        table, _, y, weights = table_of(make_table, kind, weights)
        labels = table.labels()
        expected = class_factors(labels, "balanced", labels.encode(y), weights)
        assert_allclose(table.factors(labels, "balanced"), expected, rtol=1e-13)

    def test_balanced_classes_with_vanishing_weights(self, make_table):
        X, y = data_of("binary")
        order = np.argsort(y, kind="stable")
        sizes = (np.count_nonzero(y == 0), np.count_nonzero(y))
        weights = np.where(y[order], 1e300, 1e-300)
        table = make_table(as_array(X[order], sizes), as_array(y[order], sizes), as_array(weights, sizes))
        labels = table.labels()
        expected = class_factors(labels, "balanced", labels.encode(y[order]), weights)
        assert expected[0] > 1e100
        assert_allclose(table.factors(labels, "balanced"), expected, rtol=1e-13)

    def test_errors_leave_nothing(self, make_table, client):
        X, y = data_of("binary")
        errors = []
        for rows, labels in [(np.full_like(X, np.nan), y), (X, np.full(N_ROWS, 0.5))]:
            with pytest.raises(ValueError, match=r"^Partition 0 of X: ") as caught:
                make_table(as_array(rows), as_array(labels))
            errors.append(caught.value)
            assert_nothing_is_left(client)


def fail(*_, **__):
    raise ArithmeticError("of the test")


class TestEncodedTable:
    @pytest.mark.parametrize("name", ["encode_rows", "learn_part_facts", "check_labels"])
    def test_errors_leave_the_checked_partitions_alone(self, name, make_table, client, monkeypatch):
        table, *_ = table_of(make_table, "binary")
        labels = table.labels()
        monkeypatch.setattr(f"skrelu.dask._table.{name}", fail)
        encoding = encoding_of(table, labels, None)
        with pytest.raises((ArithmeticError, RuntimeError), match="of the test") as caught:
            table.check_labels(labels) if name == "check_labels" else table.encode(encoding)
        assert {key.split("-")[0] for key in map(str, client.futures)} == {"check_rows"}
        table.release()
        assert_nothing_is_left(client)
        assert caught.value is not None  # it has been kept till here

    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    @pytest.mark.parametrize("weights", ["none", "counts", "floats"])
    @pytest.mark.parametrize("kind", ["binary", "multilabel"])
    def test_total_weights_and_rows_of_the_evidence(self, kind, weights, class_weight, make_table):
        table, X, y, weights = table_of(make_table, kind, weights)
        labels = table.labels()
        encoding = encoding_of(table, labels, class_weight)
        rows = table.encode(encoding)
        targets = labels.encode(y)
        factors = class_factors(labels, class_weight, targets, weights)
        expected = weigh_rows(X, labels, targets, factors, weights)
        assert rows.n_rows == expected.n_rows
        assert_allclose(rows.total_weight, expected.total_weight, rtol=1e-13)
        expected = count_effective_rows(expected, labels, factors, weights)
        counted = rows.counted_as_rows(encoding, has_counts=table.has_counts)
        assert_allclose(counted.total_weight, expected.total_weight, rtol=1e-13)
        rows.parts.release()

    def test_kish(self, make_table):
        table, _, _, weights = table_of(make_table, "binary", "floats")
        encoding = encoding_of(table, table.labels(), None)
        rows = table.encode(encoding)
        kish = math.fsum(weights) ** 2 / math.fsum(weights**2)
        assert_allclose(rows.counted_as_rows(encoding, has_counts=False).total_weight, kish, rtol=1e-13)
        rows.parts.release()

    @pytest.mark.parametrize("weights", ["none", "counts", "spread"])
    @pytest.mark.parametrize("magnitude", [1.0, 1e200])
    def test_moments_of_the_columns(self, weights, magnitude, make_table):
        X, y = data_of("binary")
        X = X * magnitude
        X[:, 2] = 7.0
        weights = weights_of(weights)
        table = make_table(as_array(X), as_array(y), None if weights is None else as_array(weights))
        labels = table.labels()
        rows = table.encode(encoding_of(table, labels, "balanced"))  # class weights do not count
        network = Network((6, 1))
        selection = None if weights is None else np.flatnonzero(weights)
        with np.errstate(all="ignore"):  # as in a fit
            measured = rows.measure_columns(np.dtype("f8"), rows.plan(network, labels, None, 1))
            expected = measure_columns(WeightedRows(X, y, weights, selection=selection), None, 1)
        assert_allclose(measured.center, expected.center, rtol=1e-12, atol=1e-12 * magnitude)
        assert_allclose(measured.factor, expected.factor, rtol=1e-12)
        assert measured.factor[2] == 0
        rows.parts.release()

    def test_rows_are_divided_evenly(self, make_table, client):
        X, y = data_of("binary")
        sizes = (30,) * 5
        table = make_table(as_array(X, sizes), as_array(y, sizes))
        rows = table.encode(encoding_of(table, table.labels(), None))
        workers = client.has_what()
        numbers = [[key for key in keys if str(key).startswith(rows.parts.prefix)] for keys in workers.values()]
        assert sorted(map(len, numbers)) == [2, 3]
        rows.parts.release()

    def test_partitions_are_in_their_order_wherever_they_lie(self, make_table, monkeypatch):
        def in_turn(sizes, places, workers):
            return {number: list(workers)[number % 2] for number in sizes}

        monkeypatch.setattr("skrelu.dask._table.even_owners", in_turn)
        X, y = data_of("binary")
        sizes = (30,) * 5
        table = make_table(as_array(X, sizes), as_array(y, sizes))
        rows = table.encode(encoding_of(table, table.labels(), None))
        assert [fact.number for fact in rows.facts] == list(rows.parts.futures) == [0, 1, 2, 3, 4]
        rows.parts.release()

    @pytest.mark.parametrize("fraction", [0.1, 0.37])
    @pytest.mark.parametrize("weights", ["none", "counts"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_rows_held_out(self, kind, weights, fraction, make_table):
        table, X, y, weights = table_of(make_table, kind, weights)
        chosen = np.arange(N_ROWS) if weights is None else np.flatnonzero(weights)
        labels = table.labels()
        encoding = encoding_of(table, labels, None)
        quotas, encoding = table.hold_out(encoding, fraction, np.random.RandomState(3))
        kept, held_out = (table.encode(encoding, quotas, is_validation=is_held_out) for is_held_out in (False, True))
        n_held_out = count_held_out(len(chosen), labels, fraction)
        assert (held_out.n_rows, kept.n_rows) == (n_held_out, len(chosen) - n_held_out)
        rows = np.concatenate([part.X for one in (kept, held_out) for part in encoded_parts(one)])
        assert_array_equal(np.sort(rows, axis=0), np.sort(X[chosen], axis=0))
        if not labels.is_multilabel:
            targets = np.concatenate([part.targets for part in encoded_parts(held_out)])
            found = np.bincount(labels.class_indices(targets), minlength=len(labels.classes))
            totals = np.array([(y[chosen] == label).sum() for label in labels.classes])
            assert_array_equal(found, class_quotas(totals, n_held_out))
        by_partition = quotas.sum(axis=1)
        shares = n_held_out * table.counts(labels).sum(axis=1) / len(chosen)
        assert (np.abs(by_partition - shares) <= len(labels.classes)).all()
        for one in (kept, held_out):
            one.parts.release()


def test_a_fit_with_rows_held_out_is_a_local_fit_with_these_validation_rows(make_table):
    X, y = data_of("multiclass")
    weights = weights_of("counts")
    options = {"hidden_layer_sizes": (3,), "early_stopping": True, "validation_fraction": 0.2, "standardize": True}
    model = fit_on_cluster(as_array(X), as_array(y), as_array(weights), **options)
    table = make_table(as_array(X), as_array(y), as_array(weights))
    random_state = np.random.RandomState(OPTIONS["random_state"])  # as in the fit, which then draws the start
    quotas, encoding = table.hold_out(encoding_of(table, table.labels(), None), 0.2, random_state)
    held_out = table.encode(encoding, quotas, is_validation=True)
    X_val = np.concatenate([part.X for part in encoded_parts(held_out)])
    is_held_out = (X[:, np.newaxis] == X_val).all(axis=2).any(axis=1)
    assert is_held_out.sum() == held_out.n_rows  # no two rows are equal
    held_out.parts.release()
    local = DeepLogisticClassifier(**OPTIONS | options | {"random_state": random_state})
    kept = ~is_held_out
    validation = {"X_val": X[is_held_out], "y_val": y[is_held_out], "sample_weight_val": weights[is_held_out]}
    fit(local, X[kept], y[kept], weights[kept], **validation)
    assert_allclose(model.validation_scores_, local.validation_scores_, rtol=1e-6)
    assert_allclose(model.loss_, local.loss_, rtol=1e-6)
    assert_allclose(model.feature_mean_, local.feature_mean_, rtol=1e-12, atol=1e-12)
