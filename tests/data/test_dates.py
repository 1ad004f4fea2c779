"""Columns of dates, times and durations are named, in any table that can hold them."""

import datetime

import numpy as np
import pytest
from scipy import sparse

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, loss_and_gradient
from skrelu._data.dates import check_no_dates

N_ROWS = 6
DAYS = np.arange("2026-01-01", "2026-01-07", dtype="datetime64[D]")
NUMBERS = np.arange(2.0 * N_ROWS).reshape(N_ROWS, 2)


def objects(values):
    """Return an array of objects: numbers, and the values in column 1."""
    X = np.zeros((N_ROWS, 3), dtype=object)
    X[:, 1] = values
    return X


ARRAYS = {
    "datetime64": (DAYS[:, np.newaxis], [0]),
    "timedelta64": ((DAYS - DAYS[0])[:, np.newaxis], [0]),
    "list of datetime64": ([[day] for day in DAYS], [0]),
    "tuple of datetime": ([(datetime.datetime(2026, 1, day),) for day in range(1, N_ROWS + 1)], [0]),
    "objects: datetime64": (objects(list(DAYS)), [1]),
    "objects: date": (objects([datetime.date(2026, 1, day) for day in range(1, N_ROWS + 1)]), [1]),
    "objects: time": (objects([datetime.time(day) for day in range(N_ROWS)]), [1]),
    "objects: timedelta": (objects([datetime.timedelta(day) for day in range(N_ROWS)]), [1]),
    "objects: one of them": (objects([0, 1, datetime.date(2026, 1, 1), 3, 4, 5]), [1]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_dates_is_refused(name):
    X, columns = ARRAYS[name]
    with pytest.raises(TypeError, match="X must hold numbers, but these columns hold dates") as error:
        check_no_dates(X)
    assert f"durations: {columns}." in str(error.value)


def pandas_columns():
    pd = pytest.importorskip("pandas")
    days = pd.date_range("2026-01-01", periods=N_ROWS)
    return {
        "datetime64": days,
        "with a time zone": days.tz_localize("UTC"),
        "timedelta64": days - days[0],
        "period": days.to_period("D"),
        "objects": pd.Series(list(days), dtype=object),
    }


class TestFrames:
    @pytest.mark.parametrize("name", ["datetime64", "with a time zone", "timedelta64", "period", "objects"])
    @pytest.mark.parametrize("n_others", [0, 2])
    def test_a_column_of_pandas_is_named(self, name, n_others):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({f"x{j}": range(N_ROWS) for j in range(n_others)} | {"opened": pandas_columns()[name]})
        with pytest.raises(TypeError, match=r"durations: \['opened'\]"):
            check_no_dates(frame)

    @pytest.mark.parametrize("kind", ["datetime", "date", "time", "timedelta"])
    def test_a_column_of_polars_is_named(self, kind):
        pl = pytest.importorskip("polars")
        values = {
            "datetime": datetime.datetime(2026, 1, 1),
            "date": datetime.date(2026, 1, 1),
            "time": datetime.time(1),
            "timedelta": datetime.timedelta(1),
        }
        frame = pl.DataFrame({"x": range(N_ROWS), "opened": [values[kind]] * N_ROWS})
        with pytest.raises(TypeError, match=r"durations: \['opened'\]"):
            check_no_dates(frame)

    def test_all_such_columns_are_named(self):
        pd = pytest.importorskip("pandas")
        columns = pandas_columns()
        frame = pd.DataFrame({"x": range(N_ROWS), "a": columns["period"], "b": columns["timedelta64"]})
        with pytest.raises(TypeError, match=r"durations: \['a', 'b'\]"):
            check_no_dates(frame)

    def test_numbers_pass(self):
        pd = pytest.importorskip("pandas")
        check_no_dates(pd.DataFrame({"a": range(3), "b": pd.array([1, 2, 3], dtype="Int64"), "c": [True, False, True]}))
        check_no_dates(pd.DataFrame({"a": [1, 2.5, True]}, dtype=object))


@pytest.mark.parametrize(
    "X",
    [
        NUMBERS,
        NUMBERS.astype(np.float32),
        NUMBERS.tolist(),
        NUMBERS.astype(object),
        sparse.csr_array(NUMBERS),
        3,
        None,
        [[1], [2, 3]],
        [1.0, 2.0],
        "dates",
        [["a"], ["b"]],
    ],
    ids=repr,
)
def test_all_else_is_left_to_the_other_checks(X):
    check_no_dates(X)


class TestEstimators:
    @pytest.mark.parametrize("make", [DeepLogisticClassifier, DeepLogisticClassifierCV])
    def test_fit_refuses_dates(self, make):
        with pytest.raises(TypeError, match="dates, times or durations"):
            make().fit(DAYS[:, np.newaxis], [0, 1] * 3)

    def test_validation_data_and_predictions_too(self):
        y = [0, 1] * 3
        model = DeepLogisticClassifier((), alpha=1.0, early_stopping=True)
        with pytest.raises(TypeError, match=r"X_val.*dates, times or durations"):
            model.fit(NUMBERS[:, :1], y, X_val=DAYS[:, np.newaxis], y_val=y)
        model.set_params(early_stopping=False).fit(NUMBERS[:, :1], y)
        with pytest.raises(TypeError, match="dates, times or durations"):
            model.predict(DAYS[:, np.newaxis])

    def test_so_does_the_objective(self):
        with pytest.raises(TypeError, match="dates, times or durations"):
            loss_and_gradient([np.zeros((1, 1))], [np.zeros(1)], DAYS[:, np.newaxis], [0, 1] * 3)
