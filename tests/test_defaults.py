"""The quality of default parameters (`benchmarks/defaults.py`): its splits, its units, its ratios and its timers."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris

from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def defaults():
    yield from import_benchmark("defaults")


@pytest.fixture(scope="module")
def figures():
    yield from import_benchmark("figures")


@pytest.fixture(scope="module")
def units():
    yield from import_benchmark("units")


def runs(*losses, seconds=1.0):
    return {seed: {"log_loss": loss, "seconds": seconds} for seed, loss in enumerate(losses)}


@pytest.fixture
def results():
    """Two data sets. The slow classifier has the first split of one of them."""
    return {
        "noisy": {"ours": runs(0.4, 0.8), "theirs": runs(0.5, 0.5, seconds=4.0), "slow": runs(0.2)},
        "clean": {"ours": runs(0.015, 0.015), "theirs": runs(0.01, 0.01, seconds=4.0), "slow": {}},
    }


def test_classifiers_are_compared_on_the_splits_that_all_have(figures, results):
    pairs = figures.pair_up(results, "log_loss", "ours", "theirs")
    assert pairs == {"noisy": pytest.approx((0.6, 0.5)), "clean": pytest.approx((0.015, 0.01))}
    assert figures.pair_up(results, "log_loss", "ours", "slow") == {"noisy": (0.4, 0.2)}
    assert figures.pair_up(results, "log_loss", "ours", "slow", "theirs") == {"noisy": (0.4, 0.2)}
    assert figures.pair_up(results, "log_loss", "theirs", "slow", "ours") == {"noisy": (0.5, 0.2)}


def test_each_ratio_says_on_how_many_data_sets_it_was_taken(figures, results, capsys):
    del results["noisy"]["slow"][0]
    figures.print_ratios("ours over", results, {"theirs": ("ours", "theirs"), "slow": ("ours", "slow")})
    title, _, theirs, slow = capsys.readouterr().out.strip().splitlines()
    assert title == "ours over"
    assert theirs.split() == ["theirs", "2", "1.342", "0.25", "1.50", "clean", "(0.0150,", "0.0100)"]
    assert slow.split() == ["slow", "0"]


def test_the_data_sets_where_a_revision_was_better_are_listed_but_for_small_losses(figures, results, capsys):
    figures.print_worse(results, {"ours": ("ours", "theirs")})
    assert capsys.readouterr().out == "ours: more than 1.05 times as high on noisy (0.6000, 0.5000: 1.200)\n"
    figures.print_worse(results, {"theirs": ("theirs", "ours")})
    assert capsys.readouterr().out == "theirs: more than 1.05 times as high on no data set\n"


def test_a_slow_classifier_has_the_first_split_only_and_may_fail(defaults, capsys):
    def evaluate(split, seed):
        return {"log_loss": 0.5}

    def fail(split, seed):
        raise ValueError("too few rows")

    tables = [("iris", *load_iris(return_X_y=True))]
    evaluations = {"ours": evaluate, "slow": evaluate, "failing": fail}
    results = defaults.evaluate_all(evaluations, ("slow", "failing"), tables, 3, 100)
    assert {name: list(seeds) for name, seeds in results["iris"].items()} == {
        "ours": [0, 1, 2],
        "slow": [0],
        "failing": [],
    }
    assert "iris is left out for failing: ValueError: too few rows" in capsys.readouterr().out
    with pytest.raises(ValueError, match="too few rows"):
        defaults.evaluate_all({"ours": fail}, (), tables, 3, 100)


def test_a_missing_package_is_named(defaults, monkeypatch):
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(SystemExit, match=r"--slow needs catboost and pytabkit.*catboost"):
        defaults.load_slow()


def test_the_table_has_the_classifiers_that_were_fitted(figures, results):
    assert figures.markdown_table(results, ["ours", "other", "theirs"], ("log_loss",)) == (
        "| log-loss | ours | theirs |\n| --- | --- | --- |\n| noisy | 0.6000 | 0.5000 |\n| clean | 0.0150 | 0.0100 |\n"
    )


class FakeClassifier:
    """Keeps the rows that it is given and finds all classes equally probable."""

    def fit(self, X, y):
        self.X, self.classes_ = X, np.unique(y)

    def predict_proba(self, X):
        self.X_test = X
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_raw_and_standardised_columns_are_those_of_the_same_rows(defaults, units):
    made = []

    def make(seed):
        made.append(FakeClassifier())
        return made[-1]

    split = defaults.split_raw_rows(*load_iris(return_X_y=True), 150, 0)
    before = split[0].copy()
    evaluations = units.make_evaluations(make)
    for evaluation in evaluations.values():
        evaluation(split, 0)
    np.testing.assert_array_equal(split[0], before)
    by_name = dict(zip(evaluations, made, strict=True))
    np.testing.assert_array_equal(by_name["DeepLogisticClassifier"].X, before)
    for raw, standardised in ((by_name[raw], by_name[its]) for raw, its in units.PAIRS.values()):
        mean, deviation = raw.X.mean(axis=0), raw.X.std(axis=0)
        np.testing.assert_allclose(standardised.X, (raw.X - mean) / deviation, atol=1e-8)
        np.testing.assert_allclose(standardised.X_test, (raw.X_test - mean) / deviation, atol=1e-8)


def test_disturbances_tell_nothing_of_the_class(units):
    X = np.random.default_rng(0).exponential(size=(200, 4))
    X[:, 3] = 1.0
    X_before = X.copy()
    rng = np.random.default_rng(0)
    timed, numbered, changed = (
        disturb(X, rng) for disturb in (units.add_unix_time, units.add_row_id, units.change_units)
    )
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(timed[:, :4], X)
    np.testing.assert_allclose(timed[:, 4], 1.6e9, atol=5e5)
    np.testing.assert_array_equal(numbered[:, :4], X)
    np.testing.assert_array_equal(np.sort(numbered[:, 4]), np.arange(200))
    assert not np.array_equal(numbered[:, 4], np.arange(200))
    columns = np.flatnonzero((changed != X).any(axis=0))
    assert len(columns) == 2
    assert 3 not in columns  # a constant column has no units to change
    np.testing.assert_allclose(np.sort(changed[:, columns].mean(axis=0)), [1e-6, 1e9])
    np.testing.assert_allclose(np.sort(changed[:, columns].std(axis=0)), [1e-7, 1e8])
    for j in columns:
        assert np.corrcoef(changed[:, j], X[:, j])[0, 1] == pytest.approx(1.0)


def test_ratios_of_tiny_losses_are_flagged(units, capsys):
    def pairs(raw, standardised):
        return {
            name: runs(loss)
            for pair in units.PAIRS.values()
            for name, loss in zip(pair, (raw, standardised), strict=True)
        }

    units.print_units({"noisy": pairs(0.6, 0.5), "clean": pairs(2e-4, 1e-4), "failed": pairs(0.4, 1e-4)})
    _, _, _, noisy, clean, failed, *summary = capsys.readouterr().out.strip().splitlines()
    assert noisy.split() == ["noisy", "0.500000", "0.600000", *["1.200"] * 4, "1.000"]
    assert clean.split() == ["clean", "0.000100", "0.000200", *["2.000*"] * 4, "1.000*"]
    assert failed.split() == ["failed", "0.000100", "0.400000", *["4000.000"] * 4, "1.000*"]
    assert [line.split()[-2] for line in summary] == ["21.253", "4000.000", "failed", "69.282", "4000.000", "failed"]


def test_no_ratio_is_tiny(units, capsys):
    losses = {raw: runs(0.6) for raw, _ in units.PAIRS.values()} | {its: runs(0.5) for _, its in units.PAIRS.values()}
    units.print_units({"noisy": losses})
    assert "without *" not in capsys.readouterr().out


def test_nested_calls_are_timed_once(defaults, monkeypatch):
    clock = iter([0.0, 5.0, 7.0, 8.0])
    monkeypatch.setattr(defaults.time, "perf_counter", lambda: next(clock))
    watch = defaults.Stopwatch()
    inner = watch(lambda: "inner")
    assert watch(inner)() == "inner"
    assert watch.seconds == 5.0
    assert inner() == "inner"
    assert watch.seconds == 6.0


def test_the_evidence_takes_a_part_of_a_fit(defaults):
    split = defaults.split_rows(*load_iris(return_X_y=True), 150, 0)
    evidence, fit = defaults.time_evidence(split, 0)
    assert 0 < evidence < fit
