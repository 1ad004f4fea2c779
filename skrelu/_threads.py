"""A team of threads that works through blocks and merges their results in the order of the blocks.

Which thread computes a block never changes a bit of the answer: the blocks are cut without regard to the number of
threads, BLAS is held to one thread while they are computed, and the results are added first block first.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Condition, Lock
from types import TracebackType
from typing import Any, Self

import joblib
from threadpoolctl import ThreadpoolController

Work = Callable[[int, int], None]


@cache
def _blas() -> ThreadpoolController:
    # Looking the loaded libraries up takes milliseconds, so it is done once a process.
    return ThreadpoolController().select(user_api="blas")


class _BlasHold:
    """Holds BLAS to one thread for as long as anyone asks for it.

    The limit is one of the process, and several fits may overlap in several threads. If each restored what it had
    found, the one that found the other's limit could be the last to leave and BLAS would stay at one thread for good.
    So the first to come sets the limit and the last to go restores it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_holders = 0
        self._limiter: Any = None
        self._n_threads_before = 1

    def n_threads(self) -> int:
        """Return how many threads BLAS may use when it is not held."""
        with self._lock:
            return self._n_threads_before if self._n_holders else self._read()

    @staticmethod
    def _read() -> int:
        counts = [library["num_threads"] for library in _blas().info()]
        return max(counts, default=joblib.cpu_count())  # a BLAS that cannot be asked, such as Accelerate

    def __enter__(self) -> None:
        with self._lock:
            if self._n_holders == 0:
                self._n_threads_before = self._read()
                self._limiter = _blas().limit(limits=1)
            self._n_holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_holders -= 1
            if self._n_holders == 0:
                self._limiter.restore_original_limits()


_blas_hold = _BlasHold()


def count_threads(n_jobs: int | None) -> int:
    """Return the number of threads that `n_jobs` stands for: None means as many as BLAS may use."""
    return _blas_hold.n_threads() if n_jobs is None else int(joblib.effective_n_jobs(n_jobs))


class Team:
    """Threads for the time of a `with` statement, during which BLAS is held to one thread.

    Parameters
    ----------
    n_threads : int
        The caller's own thread is one of them.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        _blas_hold.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _blas_hold.__exit__()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def each_block(self, n_blocks: int, compute: Work, merge: Work) -> None:
        """Call `compute(member, block)` for every block, and `merge(member, block)` in the order of the blocks.

        `member` numbers the threads from 0, so that each can have arrays of its own; a member merges a block before
        it computes the next one.
        """
        n_members = min(self.n_threads, n_blocks)
        if n_members <= 1:
            for block in range(n_blocks):
                compute(0, block)
                merge(0, block)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads - 1, thread_name_prefix="skrelu")
        turns = _Turns(n_blocks, compute, merge)
        others: list[Future[None]] = [self._pool.submit(turns.work, member) for member in range(1, n_members)]
        try:
            turns.work(0)
        finally:
            errors = [other.exception() for other in others]  # waits for them, also when this thread was interrupted
        for error in errors:
            if error is not None:
                raise error


class _Turns:
    """Hands out blocks and lets their results be merged one after the other."""

    def __init__(self, n_blocks: int, compute: Work, merge: Work) -> None:
        self.n_blocks, self.compute, self.merge = n_blocks, compute, merge
        self.changed = Condition()
        self.next_block = 0  # the next one to be computed
        self.turn = 0  # the next one to be merged
        self.failed = False

    def work(self, member: int) -> None:
        try:
            while (block := self._take()) is not None:
                self.compute(member, block)
                with self.changed:
                    while self.turn != block and not self.failed:
                        self.changed.wait()
                if self.failed:
                    return
                self.merge(member, block)
                with self.changed:
                    self.turn += 1
                    self.changed.notify_all()
        except BaseException:
            with self.changed:
                self.failed = True
                self.changed.notify_all()
            raise

    def _take(self) -> int | None:
        with self.changed:
            if self.failed or self.next_block == self.n_blocks:
                return None
            self.next_block += 1
            return self.next_block - 1
