import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skrelu._core import threads
from skrelu._core.threads import Team, count_threads


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_blocks", [1, 2, 23])
def test_every_block_is_computed_once_and_merged_in_order(n_threads, n_blocks):
    merged, computed = [], set()
    rng = np.random.RandomState(0)
    pauses = rng.rand(n_blocks) / 500

    def compute(member, block):
        assert 0 <= member < n_threads
        time.sleep(pauses[block])
        computed.add(block)

    def merge(block):
        computed.remove(block)
        merged.append(block)

    with Team(n_threads) as team:
        for _ in range(3):
            team.each_block(n_blocks, compute, merge)
    assert merged == 3 * list(range(n_blocks))


def test_a_thread_that_is_held_up_holds_up_no_other():
    """While block 0 takes its time, another member computes all others; they are merged when it is there."""
    merged, others_are_done = [], threading.Event()

    def compute(member, block):
        if block == 0:
            assert others_are_done.wait(10)
        elif block == 9:
            others_are_done.set()

    with Team(2) as team:
        team.each_block(10, compute, merged.append)
    assert merged == list(range(10))


def test_no_more_blocks_are_ahead_than_asked_for():
    started, merged, lock = [], [], threading.Lock()

    def compute(member, block):
        with lock:
            started.append(block)
            assert block < len(merged) + 4
        time.sleep(0.01 if block % 5 == 0 else 0)

    def merge(block):
        with lock:
            merged.append(block)

    with Team(3) as team:
        team.each_block(60, compute, merge, n_ahead=4)
    assert merged == sorted(started) == list(range(60))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("phase", ["compute", "merge"])
def test_an_error_in_any_thread_reaches_the_caller(n_threads, phase):
    def fail(*numbers):
        if numbers[-1] == 7:
            raise RuntimeError("block 7")

    def nothing(*numbers):
        pass

    steps = (fail, nothing) if phase == "compute" else (nothing, fail)
    with Team(n_threads) as team:
        with pytest.raises(RuntimeError, match="block 7"):
            team.each_block(20, *steps, n_ahead=4)
        team.each_block(20, nothing, nothing)  # and the team can go on


def test_an_interrupt_of_the_calling_thread_ends_the_others():
    def interrupted(member, block):
        if member == 0:
            raise KeyboardInterrupt
        time.sleep(0.001)

    with Team(3) as team, pytest.raises(KeyboardInterrupt):
        team.each_block(100, interrupted, lambda block: None)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skrelu")]


def test_an_interrupt_while_the_threads_are_called_stops_them(monkeypatch):
    computed = []

    def interrupted(self, work, member):
        submit(self, work, member)
        raise KeyboardInterrupt

    submit = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with Team(2) as team, pytest.raises(KeyboardInterrupt):
        team.each_block(1000, lambda member, block: (computed.append(block), time.sleep(0.001)), lambda *_: None)
    assert len(computed) < 100
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skrelu")]


@pytest.mark.parametrize("moment", ["_hold_this_thread", "_set_threads"])
def test_an_interrupt_while_blas_is_held_or_given_back_leaves_it_as_it_was(monkeypatch, moment):
    with threadpool_limits(2, user_api="blas"):
        original, calls = getattr(threads, moment), [0]

        def interrupted(*arguments):
            calls[0] += 1
            if moment == "_hold_this_thread" or calls[0] == len(threads._blas_libraries()) + 1:
                raise KeyboardInterrupt
            original(*arguments)

        monkeypatch.setattr(threads, moment, interrupted)
        with pytest.raises(KeyboardInterrupt), Team(1):
            pass
        monkeypatch.undo()
        assert blas_threads() == {2}
        with Team(1):
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_blas_is_held_to_one_thread_and_given_back():
    with threadpool_limits(2, user_api="blas"):
        with Team(1):
            assert blas_threads() == {1}
            with Team(2):  # as a fit inside a callback would
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}


@pytest.mark.parametrize("first_to_leave", [0, 1])
def test_overlapping_teams_of_several_threads_leave_blas_as_it_was(first_to_leave):
    """The one that finds the other's limit may be the last to go, and either may be the first ever to set it."""
    entered, leave = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]
    seen = []

    def hold(number):
        with Team(1):
            entered[number].set()
            leave[number].wait(10)
            seen.append(blas_threads())

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as pool:
        futures = []
        for number in range(2):
            futures.append(pool.submit(hold, number))
            entered[number].wait(10)
        for number in (first_to_leave, 1 - first_to_leave):
            leave[number].set()
            futures[number].result(10)
        assert seen == [{1}, {1}]
        assert blas_threads() == {2}
    with threadpool_limits(1, user_api="blas"):  # and others can still set theirs
        assert blas_threads() == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_a_process_forked_during_a_fit_starts_anew():
    reader, writer = os.pipe()
    with threadpool_limits(2, user_api="blas"), Team(1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is what is tested
            child = os.fork()
        if child == 0:  # pragma: no cover - in another process
            free = blas_threads()
            with Team(1):
                held = blas_threads()
            os.write(writer, f"{free} {held} {blas_threads()}".encode())
            os._exit(0)
        os.waitpid(child, 0)
    assert os.read(reader, 100).decode() == "{2} {1} {2}"


def test_blas_is_given_back_after_an_error():
    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"), Team(2):
        raise RuntimeError("inside")
    assert blas_threads() == before


def test_n_jobs_none_is_what_blas_may_use():
    for limit in (1, 2):
        with threadpool_limits(limit, user_api="blas"):
            assert count_threads(None) == limit
            with Team(1):  # while a fit holds BLAS, the limit it will give back counts
                assert count_threads(None) == limit
    assert count_threads(3) == 3


def test_workers_of_joblib_share_the_processors():
    counts = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(count_threads)(None) for _ in range(2))
    assert max(counts) <= max(joblib.cpu_count() // 2, 1)


def test_all_processors_may_be_asked_for():
    assert count_threads(-1) >= 1
