"""What is left to the user (`benchmarks/columns.py`): its choice of columns, its pipelines and its tables."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def columns():
    yield from import_benchmark("columns")


@pytest.fixture
def X():
    """Return a binary, a normal, and two skewed columns, the last one with negative values."""
    rng = np.random.default_rng(0)
    tail = rng.lognormal(sigma=2.0, size=300)
    return np.column_stack([rng.integers(2, size=300), rng.standard_normal(300), tail, -tail])


def test_columns_are_chosen_by_their_values(columns, X):
    assert columns.numeric(X) == [1, 2, 3]
    assert columns.skewed(X) == [2, 3]
    assert columns.skewed_amounts(X) == [2]


@pytest.mark.filterwarnings("ignore:n_quantiles")
@pytest.mark.parametrize(
    ("name", "n_columns"), [("log columns", 4), ("normal ranks", 4), ("both", 4 + 3), ("both if skewed", 4 + 2)]
)
def test_every_column_is_kept_or_transformed(columns, X, name, n_columns):
    prepare = columns.make_tails(name, 0)[:-1]
    rows = prepare.fit_transform(X)
    assert rows.shape == (300, n_columns)
    np.testing.assert_allclose(rows.std(axis=0), 1.0)
    assert np.isfinite(prepare.transform(X - 5.0)).all()


def test_logarithms_are_taken_of_skewed_amounts(columns, X):
    rows = columns.TAILS["log columns"]().fit_transform(X)
    np.testing.assert_allclose(rows[:, 0], np.log1p(X[:, 2]))
    np.testing.assert_array_equal(rows[:, 1:], X[:, [0, 1, 3]])


def test_values_are_lost(columns, X):
    lost = np.isnan(columns.lose_at_random(X)).mean(axis=0)
    np.testing.assert_allclose(lost, columns.MISSING, atol=0.1)
    highest = columns.lose_highest(X)
    np.testing.assert_allclose(np.isnan(highest[:, 1:]).mean(axis=0), columns.MISSING, atol=0.01)
    assert np.nanmax(highest[:, 2]) < X[np.isnan(highest[:, 2]), 2].min()


def test_nominal_columns_are_encoded(columns):
    frame = pd.DataFrame({"size": [1.0, 2.0, 4.0], "colour": ["red", "blue", "red"]})
    widths = {name: columns.make_encoded(name, 0)[:-1].fit_transform(frame).shape[1] for name in columns.ENCODERS}
    assert widths == {"one-hot": 3, "integer codes": 2, "left out": 1}


def test_the_ratios_are_to_standardised_columns(columns, monkeypatch, capsys):
    losses = iter([0.5, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5])
    monkeypatch.setattr(columns, "evaluate", lambda make, split, seed: {"log_loss": next(losses)})
    binary = np.tile([[0.0], [1.0]], (75, 1))
    y = load_iris().target
    results = columns.compare_tails([("binary", binary, y), ("iris", load_iris().data, y)], 1, 100)
    _, _, line = capsys.readouterr().out.strip().splitlines()
    assert line.split()[:7] == ["iris", "100", "4", "0", "0.5000", "0.800", "1.200"]
    columns.print_tails(results)
    first = capsys.readouterr().out.splitlines()[2]
    assert first.split() == ["log", "columns", "0.800", "0.800", "iris", "0.800", "iris"]


def test_missing_values_are_fitted(columns):
    X, y = load_iris(return_X_y=True)
    split = columns.split_raw_rows(columns.lose_at_random(X), y, 60, 0)
    for name in columns.IMPUTERS:
        assert columns.evaluate(lambda seed, name=name: columns.make_imputed(name, seed), split, 0)["log_loss"] < 1.0
