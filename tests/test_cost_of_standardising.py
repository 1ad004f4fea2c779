"""The benchmark of the cost of standardising (`benchmarks/standardize.py`) evaluates what it says."""

import numpy as np
import pytest

from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def standardize():
    yield from import_benchmark("standardize")


@pytest.mark.parametrize("far", [False, True])
def test_both_are_timed_as_often(standardize, far):
    seconds, n_blocks = standardize.time_pair("569x30", np.float64, far, None, 3)
    assert seconds.shape == (2, 3)
    assert (seconds > 0).all()
    assert n_blocks == 1


def test_a_line_for_each_shape_and_dtype(standardize, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["standardize.py", "--shapes", "569x30", "--evaluations", "3"])
    standardize.main()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[1:5]] == [["569x30", "float64"]] * 2 + [["569x30", "float32"]] * 2
    assert printed[-1].startswith("geometric mean")
