"""A team of threads that works through blocks and merges their results in the order of the blocks.

The result is the same, bit for bit, whichever thread computes a block. The size of the blocks does not depend on the
number of threads, BLAS is held to one thread while they are computed, and the results are added in the order of the
blocks.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Condition, Lock
from types import TracebackType
from typing import Any, Self

import joblib
import numpy as np
from threadpoolctl import ThreadpoolController

Compute = Callable[[int, int], None]  # of a member and a block
Merge = Callable[[int], None]  # of a block


@cache
def _blas_libraries() -> list[Any]:
    # The search for the loaded libraries takes milliseconds, so it is done once in a process.
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(library: Any, n_threads: int) -> None:
    # Since threadpoolctl 3.8 `set_num_threads` works only in the thread that called it first. This module counts the
    # holders of BLAS in all threads itself, so it calls the library's own setter.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


def _is_per_thread(library: Any) -> bool:
    """Return whether each thread that calls the library has a limit of its own, as under OpenMP."""
    return getattr(library, "threading_layer", None) == "openmp"


def _hold_this_thread() -> None:
    for library in _blas_libraries():
        _set_threads(library, 1)


def _begin_member() -> None:
    """Prepare a thread of a team as the calling thread is: a single BLAS thread, and no warnings of overflow."""
    _hold_this_thread()
    np.seterr(all="ignore")


class _BlasHold:
    """Holds BLAS to one thread while there are holders.

    The limit mostly applies to the whole process, and fits in several threads may overlap. If each fit restored the
    limit that it found, a fit that found the limit of another one could end last, and BLAS would stay at one thread for
    good. So the first holder saves the limits and the last one restores them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_holders = 0
        self._before: list[int] = []

    def n_threads(self) -> int:
        """Return the number of threads that BLAS may use when it is not held."""
        with self._lock:
            limits = self._before if self._n_holders else self._read()
        return max(limits) if limits else int(joblib.cpu_count())  # if threadpoolctl knows no BLAS, as on a Mac

    @staticmethod
    def _read() -> list[int]:
        return [library.num_threads for library in _blas_libraries()]

    def __enter__(self) -> None:
        with self._lock:
            if self._n_holders == 0:
                self._before = self._read()
            self._n_holders += 1
            try:
                _hold_this_thread()
            except BaseException:  # Ctrl-C, after which __exit__ is not called
                self._let_go()
                raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        self._n_holders = max(self._n_holders - 1, 0)
        try:
            self._restore()
        except BaseException:  # Ctrl-C must not leave BLAS at one thread for good
            self._restore()
            raise

    def _restore(self) -> None:
        for library, n_threads in zip(_blas_libraries(), self._before, strict=True):
            if self._n_holders == 0 or _is_per_thread(library):
                _set_threads(library, n_threads)

    def start_anew(self) -> None:
        """In a forked process, forget the holders, which were threads of its parent."""
        self._lock = Lock()
        if self._n_holders:
            self._n_holders = 0
            self._restore()


_blas_hold = _BlasHold()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_blas_hold.start_anew)


def count_threads(n_jobs: int | None) -> int:
    """Return the number of threads that `n_jobs` stands for: None means as many as BLAS may use."""
    return _blas_hold.n_threads() if n_jobs is None else int(joblib.effective_n_jobs(n_jobs))


class Team:
    """Threads for the time of a `with` statement, in which BLAS is held to one thread and nothing warns of overflow.

    Parameters
    ----------
    n_threads : int
        The caller's own thread is one of them.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None
        self._silence: np.errstate | None = None

    def __enter__(self) -> Self:
        _blas_hold.__enter__()
        self._silence = np.errstate(all="ignore")  # an errstate of NumPy can be entered only once
        self._silence.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._silence is not None:
            self._silence.__exit__(exc_type, exc, traceback)
        _blas_hold.__exit__()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def each_block(
        self, n_blocks: int, compute: Compute, merge: Merge | None = None, n_ahead: int | None = None
    ) -> None:
        """Call `compute(member, block)` for every block, and `merge(block)` in the order of the blocks.

        `member` is the number of the thread, from 0, so that each thread can have its own arrays. A member goes on to
        the next block while an earlier one is not yet computed, so a slow thread does not delay the others. Any member
        may merge, one at a time.

        Parameters
        ----------
        n_blocks : int
        compute, merge : callable
        n_ahead : int or None
            The maximum number of blocks that are computed and not yet merged, at least one for each thread. Their
            results can be kept in a ring of this many places. None sets no limit.
        """
        n_members = min(self.n_threads, n_blocks)
        if n_members <= 1:
            for block in range(n_blocks):
                compute(0, block)
                if merge is not None:
                    merge(block)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads - 1, thread_name_prefix="skrelu", initializer=_begin_member)
        line = _Line(n_blocks, compute, merge, n_blocks if merge is None or n_ahead is None else n_ahead)
        others: list[Future[None]] = []
        try:
            others += [self._pool.submit(line.work, member) for member in range(1, n_members)]
            line.work(0)
        except BaseException:
            line.give_up()
            raise
        finally:
            errors = [other.exception() for other in others]  # waits for them, also when this thread was interrupted
        for error in errors:
            if error is not None:
                raise error


class _Line:
    """Hands out blocks in order, and has their results merged in the same order."""

    def __init__(self, n_blocks: int, compute: Compute, merge: Merge | None, n_ahead: int) -> None:
        self.n_blocks, self.compute, self.merge, self.n_ahead = n_blocks, compute, merge, n_ahead
        self.changed = Condition()
        self.next_block = 0  # the next one to be computed
        self.n_merged = 0
        self.computed: set[int] = set()  # and not merged
        self.is_merging = False
        self.failed = False

    def work(self, member: int) -> None:
        try:
            while (block := self._take()) is not None:
                self.compute(member, block)
                if self.merge is not None:
                    self._hand_in(block, self.merge)
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Let every member stop after the block that it is computing."""
        with self.changed:
            self.failed = True
            self.changed.notify_all()

    def _take(self) -> int | None:
        with self.changed:
            if self.merge is not None:
                while not self.failed and self.n_merged + self.n_ahead <= self.next_block < self.n_blocks:
                    self.changed.wait()
            if self.failed or self.next_block == self.n_blocks:
                return None
            self.next_block += 1
            return self.next_block - 1

    def _hand_in(self, block: int, merge: Merge) -> None:
        """Add a result. Unless another member is merging, merge all results that are next in order."""
        with self.changed:
            self.computed.add(block)
            if self.is_merging:
                return  # the merging member will find this block
            self.is_merging = True
        while (following := self._following()) is not None:
            merge(following)
            with self.changed:
                self.computed.remove(following)
                self.n_merged += 1
                self.changed.notify_all()

    def _following(self) -> int | None:
        """Return the next block to merge. If there is none, or after an error, this member stops merging."""
        with self.changed:
            if self.n_merged in self.computed and not self.failed:
                return self.n_merged
            self.is_merging = False
            return None
