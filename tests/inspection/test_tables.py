"""make_table: a data frame, or a structured array without pandas."""

import sys

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

from skrelu.inspection._tables import make_table

COLUMNS = {
    "count": np.array([3, 1]),
    "share": np.array([0.75, 0.25]),
    "pattern": np.array([b"\x00", b"a"], dtype=object),
}


def test_a_data_frame():
    table = make_table(COLUMNS)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == list(COLUMNS)
    for name, column in COLUMNS.items():
        assert_array_equal(table[name].to_numpy(), column)


def test_a_structured_array_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = make_table(COLUMNS)
    assert table.dtype.names == tuple(COLUMNS)
    for name, column in COLUMNS.items():
        assert table[name].dtype == column.dtype
        assert_array_equal(table[name], column)
