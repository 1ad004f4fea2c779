import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skrelu._threads import Team, count_threads


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_blocks", [1, 2, 23])
def test_every_block_is_computed_once_and_merged_in_order(n_threads, n_blocks):
    merged, held = [], {}
    rng = np.random.RandomState(0)
    pauses = rng.rand(n_blocks) / 500

    def compute(member, block):
        assert 0 <= member < n_threads
        time.sleep(pauses[block])
        held[member] = block

    def merge(member, block):
        assert held[member] == block  # a member merges what it has just computed
        merged.append(block)

    with Team(n_threads) as team:
        for _ in range(3):
            team.each_block(n_blocks, compute, merge)
    assert merged == 3 * list(range(n_blocks))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("phase", ["compute", "merge"])
def test_an_error_in_any_thread_reaches_the_caller(n_threads, phase):
    def fail(member, block):
        if block == 7:
            raise RuntimeError("block 7")

    def nothing(member, block):
        pass

    steps = (fail, nothing) if phase == "compute" else (nothing, fail)
    with Team(n_threads) as team:
        with pytest.raises(RuntimeError, match="block 7"):
            team.each_block(20, *steps)
        team.each_block(20, nothing, nothing)  # and the team can go on


def test_an_interrupt_of_the_calling_thread_ends_the_others():
    def interrupted(member, block):
        if member == 0:
            raise KeyboardInterrupt
        time.sleep(0.001)

    with Team(3) as team, pytest.raises(KeyboardInterrupt):
        team.each_block(100, interrupted, interrupted)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skrelu")]


def test_blas_is_held_to_one_thread_and_given_back():
    with threadpool_limits(2, user_api="blas"):
        with Team(1):
            assert blas_threads() == {1}
            with Team(2):  # as a fit inside a callback would
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}


def test_overlapping_teams_leave_blas_as_it_was():
    """The first to come is the first to go: the last one must not restore the limit of 1 that it found."""
    with threadpool_limits(2, user_api="blas"):
        first, second = Team(1), Team(1)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


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
    assert count_threads(-1) >= 1
