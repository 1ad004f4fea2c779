"""The quality of default parameters (`benchmarks/defaults.py`): its splits, its ratios and its timers."""

import sys

import pytest
from sklearn.datasets import load_iris

from tests.benchmark_modules import import_benchmark


@pytest.fixture(scope="module")
def defaults():
    yield from import_benchmark("defaults")


def runs(*losses, seconds=1.0):
    return {seed: {"log_loss": loss, "seconds": seconds} for seed, loss in enumerate(losses)}


@pytest.fixture
def results():
    """Two data sets. The slow classifier has the first split of one of them."""
    return {
        "noisy": {"ours": runs(0.4, 0.8), "theirs": runs(0.5, 0.5, seconds=4.0), "slow": runs(0.2)},
        "clean": {"ours": runs(0.015, 0.015), "theirs": runs(0.01, 0.01, seconds=4.0), "slow": {}},
    }


def test_classifiers_are_compared_on_the_splits_that_all_have(defaults, results):
    pairs = defaults.pair_up(results, "log_loss", "ours", "theirs")
    assert pairs == {"noisy": pytest.approx((0.6, 0.5)), "clean": pytest.approx((0.015, 0.01))}
    assert defaults.pair_up(results, "log_loss", "ours", "slow") == {"noisy": (0.4, 0.2)}
    assert defaults.pair_up(results, "log_loss", "ours", "slow", "theirs") == {"noisy": (0.4, 0.2)}
    assert defaults.pair_up(results, "log_loss", "theirs", "slow", "ours") == {"noisy": (0.5, 0.2)}


def test_each_ratio_says_on_how_many_data_sets_it_was_taken(defaults, results, capsys):
    del results["noisy"]["slow"][0]
    defaults.print_ratios("ours over", results, {"theirs": ("ours", "theirs"), "slow": ("ours", "slow")})
    title, _, theirs, slow = capsys.readouterr().out.strip().splitlines()
    assert title == "ours over"
    assert theirs.split() == ["theirs", "2", "1.342", "0.25", "1.50", "clean", "(0.0150,", "0.0100)"]
    assert slow.split() == ["slow", "0"]


def test_the_data_sets_where_a_revision_was_better_are_listed_but_for_small_losses(defaults, results, capsys):
    defaults.print_worse(results, {"ours": ("ours", "theirs")})
    assert capsys.readouterr().out == "ours: more than 1.05 times as high on noisy (0.6000, 0.5000: 1.200)\n"
    defaults.print_worse(results, {"theirs": ("theirs", "ours")})
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
