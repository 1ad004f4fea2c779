"""Data and labels: errors that name what was given, and what passes unchanged."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.class_weight import compute_class_weight

from skrelu import DeepLogisticClassifier
from skrelu._data.labels import Labels
from skrelu._data.validation import (
    check_class_weight,
    check_each_label,
    check_known_labels,
    check_sample_weight,
    describe_values,
    largest_value,
    plain_labels,
    validate_rows,
    validate_rows_and_labels,
)
from tests.problems import SMALL_X, SMALL_Y, weights_with, with_value

X, Y = SMALL_X, SMALL_Y
TWO = np.column_stack([Y, 1 - Y])


class TestRows:
    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            ({"X": with_value(np.inf)}, ValueError, "Input X contains infinity"),
            ({"X": sparse.csr_array(with_value(np.nan))}, ValueError, "Input X contains NaN"),
            ({"X": X.astype(complex)}, ValueError, "Complex data not supported"),
            ({"X": with_value("red", object)}, ValueError, "X must hold numbers.*red"),
            ({"X": X[:, 0]}, ValueError, "Expected 2D array, got 1D array"),
            ({"X": X[np.newaxis]}, ValueError, "dim 3"),
            ({"X": X[:, :0]}, ValueError, r"0 feature\(s\)"),
            ({"X": X[:1], "y": Y[:1]}, ValueError, r"1 sample"),
            ({"X": X[:0], "y": Y[:0]}, ValueError, r"0 sample"),
            ({"y": np.where(Y, np.nan, 1.0)}, ValueError, "Input y contains NaN"),
        ],
    )
    def test_what_is_refused(self, data, error, message):
        data = {"X": X, "y": Y} | data
        with pytest.raises(error, match=message):
            validate_rows_and_labels(DeepLogisticClassifier(), data["X"], data["y"], "y", reset=True, n_needed=2)

    @pytest.mark.parametrize(
        ("dtype", "expected"), [("f4", "f4"), ("f8", "f8"), ("f2", "f8"), ("i4", "f8"), ("u1", "f8"), ("?", "f8")]
    )
    def test_float32_stays_and_anything_else_is_float64(self, dtype, expected):
        rows = validate_rows(DeepLogisticClassifier(), (X > 0).astype(dtype), reset=True)
        assert rows.dtype == np.dtype(expected)
        assert_array_equal(rows, X > 0)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    def test_what_can_be_used_is_not_copied(self, container):
        given = container(X)
        rows = validate_rows(DeepLogisticClassifier(), given, reset=True)
        assert np.shares_memory(rows.data, given.data)

    @pytest.mark.parametrize("container", [sparse.csc_array, sparse.coo_array, sparse.csc_matrix])
    def test_sparse_rows_become_csr(self, container):
        rows = validate_rows(DeepLogisticClassifier(), container(X), reset=True)
        assert rows.format == "csr"
        assert_array_equal(rows.toarray(), X)

    def test_the_sum_that_looks_for_nan_may_overflow(self):
        with np.errstate(all="raise"):
            validate_rows(DeepLogisticClassifier(), np.full((3, 2), 1.7e308), reset=True)

    def test_dates_beside_numbers_are_no_numbers(self):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"a": [1.0, 2.0], "day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
        with pytest.raises(TypeError, match=r"X must hold numbers, .*\['day'\]"):
            validate_rows(DeepLogisticClassifier(), frame, reset=True)

    def test_one_row_is_enough_to_validate_on(self):
        model = DeepLogisticClassifier()
        validate_rows_and_labels(model, X, Y, "y", reset=True)
        rows, y = validate_rows_and_labels(model, X[:1], Y[:1], "y_val", reset=False)
        assert rows.shape == (1, 3)
        assert y.tolist() == [0]
        with pytest.raises(ValueError, match="X has 2 features"):
            validate_rows_and_labels(model, X[:, :2], Y, "y_val", reset=False)


class TestLabels:
    @pytest.mark.parametrize(
        ("y", "error", "message"),
        [
            (np.array(["a", 1] * 20, dtype=object), TypeError, "y must hold labels of one kind"),
            (["a", None] * 20, ValueError, "y must hold a label in every row, but row 1 has none: None"),
            (np.array(["a", "b", np.nan, "b"] * 10, dtype=object), ValueError, "row 2 has none: nan"),
            ([["a"], [1]] * 20, TypeError, "y must hold labels of one kind"),
            ([[0, 1], [1, None]] * 20, ValueError, "row 1 has none: None"),
            (np.array(["2020-01-01", "NaT"] * 20, dtype="M8[D]"), ValueError, "row 1 has none: np.datetime64"),
            (list(np.array(["2020-01-01", "NaT"] * 20, dtype="M8[D]")), ValueError, "row 1 has none: np.datetime64"),
        ],
    )
    @pytest.mark.parametrize("name", ["y", "y_val"])
    def test_what_is_refused(self, name, y, error, message):
        with pytest.raises(error, match=message.replace("y must", f"{name} must")):
            check_each_label(y, name)

    @pytest.mark.parametrize(
        "y",
        [
            [0, 1, 1],
            ["a", "b"],
            [True, False],
            np.array(["a", "b"], dtype=object),
            np.array(["2020-01-01", "2020-01-02"], dtype="M8[D]"),
            [[0, 1], [1, 1]],
            [[1, 2], [3]],  # for scikit-learn to refuse
        ],
    )
    def test_what_is_allowed(self, y):
        check_each_label(y, "y")

    def test_the_row_is_that_of_the_label_not_its_place(self):
        y = np.full((5, 4), "a", dtype=object)
        y[3, 1] = None
        with pytest.raises(ValueError, match="row 3 has none"):
            check_each_label(y, "y")

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_a_single_column_is_flattened_with_scikit_learns_warning(self, container):
        with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
            _, y = validate_rows_and_labels(DeepLogisticClassifier(), X, container(Y[:, np.newaxis]), "y", reset=True)
        assert_array_equal(y, Y)

    @pytest.mark.parametrize(
        ("y", "expected"),
        [
            ([0, 1, 1], int),
            ([2.0, 1.0], float),
            ([1, 2.0], float),
            ([True, False], bool),
            ([np.bool_(True), False], bool),
            ([np.int8(1), np.int8(0)], np.int8),
            ([[0, 1], [1, 1]], int),
            ([2**63, 2**63 + 1], np.uint64),
        ],
    )
    def test_numbers_of_dtype_object_have_the_dtype_of_their_values(self, y, expected):
        labels = plain_labels(np.array(y, dtype=object), "y")
        assert labels.dtype == np.dtype(expected)
        assert labels.tolist() == y

    @pytest.mark.parametrize("y", [np.array(["a", "b"], dtype=object), np.array([1, 0]), np.array(["a", "b"])])
    def test_other_labels_stay_as_they_are(self, y):
        assert plain_labels(y, "y") is y

    @pytest.mark.parametrize(
        ("labels", "kind"),
        [
            ([Decimal(1), 2], "Decimal"),
            ([1, 2j], "complex"),
            ([1, date(2020, 1, 1)], "date"),
            ([2**70, 1], "int"),
            ([2**60, 2**60 + 1, 0.0], "float, int"),  # as floats two of them would be one
            ([np.zeros(2), np.zeros(2)], "ndarray"),
            ([np.zeros(2), np.zeros(3)], "ndarray"),
            ([{0}, {1}], "set"),
        ],
    )
    @pytest.mark.parametrize("name", ["y", "y_val"])
    def test_objects_that_are_no_labels(self, labels, kind, name):
        y = np.empty(len(labels), dtype=object)
        y[:] = labels
        with pytest.raises(TypeError, match=rf"^{name} must hold .* got {kind}[ ,].*{name}\.astype\(int\)"):
            plain_labels(y, name)

    @pytest.mark.parametrize(("label", "message"), [([1], "MultiLabelBinarizer"), (b"a", "bytes")])
    def test_what_scikit_learn_explains_itself(self, label, message):
        y = np.empty(40, dtype=object)
        y[:] = [label] * 40
        with pytest.raises((ValueError, TypeError), match=message):
            Labels.of(plain_labels(y, "y"), None)


class TestWeights:
    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (weights_with(np.nan), "sample_weight contains NaN"),
            (weights_with(np.inf), "sample_weight contains infinity"),
            (np.zeros(40), "sample_weight"),
            (np.ones(39), r"sample_weight.shape == \(39,\)"),
            (np.ones((40, 2)), "sample_weight|Sample weights"),
        ],
    )
    @pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val"])
    def test_what_is_refused(self, name, weights, message):
        with pytest.raises(ValueError, match=message) as caught:
            check_sample_weight(weights, X, name)
        assert name in str(caught.value)

    def test_what_is_allowed(self):
        assert check_sample_weight(None, X) is None
        weights = check_sample_weight([0] * 39 + [5], X)
        assert weights.dtype == np.float64
        assert weights.tolist() == [0.0] * 39 + [5.0]
        assert check_sample_weight(np.full(40, 5e-324), X).max() == 5e-324


class TestKnownLabels:
    @pytest.mark.parametrize(
        ("class_weight", "y", "error", "message"),
        [
            (
                {0: 1, 7: 2},
                Y,
                ValueError,
                r"names classes that y does not hold: \[7\]; y holds \[0, 1\], and \[1\] have",
            ),
            ({"a": 1}, Y, ValueError, r"class_weight names classes that y does not hold: \['a'\]"),
            ([{0: 1, 1: 2}], Y, TypeError, r"one label per row, got a list of 1 dict\(s\), which is for multilabel"),
            (
                {0: 1},
                TWO,
                TypeError,
                "a list of 2 dicts with the keys 0 and 1, .* for multilabel .*, got a single dict",
            ),
            ([{0: 1}], TWO, ValueError, r"a list of 2 dicts with the keys 0 and 1, .*, got 1 dict\(s\)"),
            ([{0: 1}, {0: 2, 2: 1}], TWO, ValueError, r"the keys 0 and 1, .*, got the keys \[2\] for column 1"),
            ([{"a": 1}, {}], TWO, ValueError, r"got the keys \['a'\] for column 0"),
        ],
    )
    def test_class_weights_that_are_refused(self, class_weight, y, error, message):
        with pytest.raises(error, match=message):
            check_class_weight(class_weight, Labels.of(y, None))

    def test_class_weights_that_are_allowed(self):
        for class_weight in (None, "balanced", {}, {1: 2.0}, {0: 1, 1: 2}):
            check_class_weight(class_weight, Labels.of(Y, None))
        for class_weight in (None, "balanced", [{}, {}], [{0: 1}, {1: 5, 0: 2}], ({False: 1.0}, {True: 3, 0: 1})):
            check_class_weight(class_weight, Labels.of(TWO, None))
        check_class_weight({"b": 2}, Labels.of(np.array(["a", "b", "c"]), None))

    @pytest.mark.parametrize("make_key", [int, float, np.int64, np.float32])
    def test_names_without_rows_are_allowed_where_every_class_has_a_weight(self, make_key):
        class_weight = {make_key(key): 1.0 + key for key in (0, 1, 2)}
        check_class_weight(class_weight, Labels.of(Y, None))
        assert compute_class_weight(class_weight, classes=np.array([0, 1]), y=Y).tolist() == [1.0, 2.0]
        check_class_weight({True: 1.0, False: 2.0, 2: 1.0}, Labels.of(Y, None))
        for class_weight, y in (({0: 1.0, 2: 1.0}, Y), ({"a": 1.0, "c": 1.0}, np.array(["a", "b"]))):  # as there
            for check in (
                lambda: check_class_weight(class_weight, Labels.of(y, None)),  # noqa: B023 - called at once
                lambda: compute_class_weight(class_weight, classes=np.unique(y), y=y),  # noqa: B023
            ):
                with pytest.raises(ValueError, match="class_weight"):
                    check()

    @pytest.mark.parametrize(
        ("y", "y_val", "message"),
        [
            (Y, Y + 1, r"y_val holds labels that y does not: \[2\]; y holds \[0, 1\]"),
            (Y, np.array(["a", "b"]), "y_val holds labels that y does not"),
            (Y, np.column_stack([Y, Y]), r"y_val must be like y, got shape \(40, 2\) for 1 output"),
            (np.arange(40) % 3, np.eye(3, dtype=int), "y_val must be like y"),
            (np.column_stack([Y, 1 - Y]), Y, r"y_val must be like y, got shape \(40,\) for 2 output"),
            (np.column_stack([Y, 1 - Y]), np.zeros((4, 3), dtype=int), "y_val must be like y"),
            (np.column_stack([Y, 1 - Y]), np.full((4, 2), 2), "y_val must be an indicator of 0 and 1"),
        ],
    )
    def test_validation_labels_that_are_refused(self, y, y_val, message):
        with pytest.raises(ValueError, match=message):
            check_known_labels(y_val, Labels.of(y, None))

    @pytest.mark.parametrize(
        ("y", "y_val"),
        [
            (Y, [1]),
            (np.arange(40) % 3, [2, 2]),
            (np.array(["a", "b", "c"]), ["c"]),
            (np.column_stack([Y, 1 - Y]), [[1, 1]]),
        ],
    )
    def test_validation_labels_that_are_allowed(self, y, y_val):
        check_known_labels(np.array(y_val), Labels.of(y, None))

    def test_many_unknown_labels_are_cut_short(self):
        with pytest.raises(
            ValueError, match=r"y holds labels .*: \[2, 3, .*, 21, \.\.\.\]; classes_ holds \[0, 1\]\.$"
        ):
            check_known_labels(np.arange(500), Labels.of(SMALL_Y, None), "y", "classes_")


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.array([[1.0, -3.0], [2.0, 0.0]]), 3.0),
        (np.array([[1.0, -3.0], [4.0, 0.0]]), 4.0),
        (np.zeros((2, 2)), 0.0),
        (np.array([[-5.0]]), 5.0),
        (np.array([[5.0]]), 5.0),
        (sparse.csr_array(np.array([[0.0, -7.0], [6.0, 0.0]])), 7.0),
        (sparse.csr_array((2, 2)), 0.0),
    ],
)
def test_the_largest_magnitude(X, expected):
    assert largest_value(X) == expected


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1.0, -3e7], "values up to 3e+07"),
        ([np.nan, -3e7], "NaN"),
        ([1.0, -np.inf], "infinity"),
        ([np.inf, 1.0], "infinity"),
        ([np.inf, np.nan], "NaN"),
    ],
)
def test_values_in_words(row, expected, container):
    assert describe_values(container(np.array([row, [0.0, 2.0]]))) == expected
