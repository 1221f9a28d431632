"""One update's columns, shared between threads of the learner.

A loss is a sum over columns, so is its gradient. Threads that each take some columns use several cores at the
full speed of each, where threads inside every matrix product would wait for each other thousands of times an
update.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from mvfstrl.agents.impala.loss import Sum

T = TypeVar("T")

COLUMNS_A_THREAD = 16
"""With fewer, a recurrent layer's products are bound by reading its weights, and a thread gains little..."""
WEIGHTS = 100_000
"""...nor does it where a network has fewer of them: starting its small operations is most of the time."""


def default_threads(columns: int, cores: int, weights: int) -> int:
    return max(1, min(cores, columns // COLUMNS_A_THREAD)) if weights >= WEIGHTS else 1


def split(columns: int, siblings: int, threads: int) -> list[tuple[int, int]]:
    """Ranges of columns, one a thread, nearly even; siblings stay together."""
    sets = columns // siblings
    parts = min(threads, sets)
    bounds = [part * sets // parts * siblings for part in range(parts + 1)]
    return list(itertools.pairwise(bounds))


class Shares:
    """Threads that stay from update to update."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "learner", torch.set_num_threads, (1,))

    def run(self, shares: Sequence[Callable[[Sum], T]], sum_ranks: Sum) -> list[T]:
        """The results in the order of the shares. Each share is given the `Sum` over all of them and over
        all ranks, and all of them have to call it equally often. Raises what a share raises."""
        if len(shares) == 1:
            return [shares[0](sum_ranks)]
        meeting = _Meeting(len(shares), sum_ranks)
        futures = [self._pool.submit(meeting.attend, place, share) for place, share in enumerate(shares)]
        errors = [error for error in map(Future.exception, futures) if error is not None]
        if errors:  # those that only waited for one that failed say nothing of the cause
            raise min(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError))
        return [future.result() for future in futures]


class _Meeting:
    """Where threads add up tensors: in the order of their places, whoever comes first."""

    def __init__(self, size: int, sum_ranks: Sum) -> None:
        self._parts: list[Tensor] = [torch.empty(0)] * size
        self._total = torch.empty(0)
        self._sum_ranks = sum_ranks
        self._barrier = threading.Barrier(size, action=self._add)

    def attend(self, place: int, share: Callable[[Sum], T]) -> T:
        def total(part: Tensor) -> Tensor:
            self._parts[place] = part
            self._barrier.wait()
            return self._total

        try:
            return share(total)
        except Exception:
            self._barrier.abort()
            raise

    def _add(self) -> None:
        self._total = self._sum_ranks(torch.stack(self._parts).sum(dim=0))
