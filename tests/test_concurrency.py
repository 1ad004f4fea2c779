"""One model in many threads, fits in forked and in spawned workers: the same bits, and no lock that is never opened.

Everything here has a time limit, so that a deadlock fails. `tests/test_threads.py` has the parts.
"""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

import skrelu
from skrelu import DeepLogisticClassifier
from skrelu._core import blocks
from skrelu._laplace import posterior

SECONDS = 60
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def make_rows(n_rows):
    X = np.random.RandomState(0).randn(n_rows, 20)
    return X, (X[:, 0] * X[:, 1] > X[:, 2]).astype(int) + (X[:, 3] > 1)


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def at_once(calls):
    """Return what the calls return, each made in a thread of its own when all threads are there."""
    together = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def make(number):
        together.wait(SECONDS)
        try:
            results[number] = calls[number]()
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=make, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive(), "a thread does not come back"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


class TestThreads:
    @pytest.fixture(autouse=True)
    def two_blas_threads(self, monkeypatch):
        monkeypatch.setattr(blocks, "_MAX_MULTIPLY_ADDS", 1)  # blocks of 512 rows, so that several threads have work
        monkeypatch.setattr(posterior, "_MAX_VALUES", 512 * 50)
        with threadpool_limits(2, user_api="blas"):
            yield
            assert set(blas_threads()) <= {2}

    @pytest.mark.parametrize("n_jobs", [None, 2])
    @pytest.mark.parametrize("predictive", ["map", "laplace"])
    def test_sixteen_predict_with_one_model(self, n_jobs, predictive):
        X, y = make_rows(2000)
        model = DeepLogisticClassifier(
            (30,), n_jobs=n_jobs, predictive=predictive, n_curvature_terms=200, random_state=0
        )
        model.fit(X[:1000], y[:1000])
        # Of different numbers of rows: single ones, a few, and several blocks for several threads.
        parts = [X[start : start + n_rows] for start, n_rows in enumerate([1, 12, 300, 1900] * 4)]
        expected = [[getattr(model, method)(rows) for method in METHODS] for rows in parts]
        before = {name: np.copy(value) for name, value in vars(model).items() if isinstance(value, np.ndarray)}

        def predict(rows):
            return [[getattr(model, method)(rows) for method in METHODS] for _ in range(2)]

        found = at_once([lambda rows=rows: predict(rows) for rows in parts])
        for rounds, wanted in zip(found, expected, strict=True):
            for results in rounds:
                for result, right in zip(results, wanted, strict=True):
                    assert_array_equal(result, right)
        for name, value in before.items():
            assert_array_equal(vars(model)[name], value)

    def test_eight_fit_at_a_time(self):
        X, y = make_rows(1200)
        models = [
            DeepLogisticClassifier((10,), alpha=10.0, n_jobs=n_jobs, random_state=seed)
            for seed in range(4)
            for n_jobs in (None, 2)
        ]
        expected = [clone(model).fit(X, y) for model in models]
        for model, right in zip(
            at_once([lambda m=model: clone(m).fit(X, y) for model in models]), expected, strict=True
        ):
            assert_array_equal(model.coefs_[0], right.coefs_[0])
            assert model.loss_curve_ == right.loss_curve_
        assert len({right.loss_ for right in expected}) == 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_fits_in_workers(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} on this platform")
    path = os.pathsep.join([str(Path(skrelu.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fit_in_workers.py")), method],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "the same bits"), done.stderr
