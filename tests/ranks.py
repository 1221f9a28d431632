"""Starts a function once a rank, in processes that meet on the loopback, and gathers what each gives back.

Processes are forked from one that has torch loaded already: a start costs milliseconds, not seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch.distributed import TCPStore

from mvfstrl.distributed import Group

LIMIT_S = 240.0
"""Nothing here takes seconds; a machine under load may take minutes."""


class Workers:
    """One process a rank; each runs `function(group, *arguments)`."""

    def __init__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        size: int = 2,
        timeout_s: float = LIMIT_S,
        **options: Any,
    ) -> None:
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([function.__module__])
        self.processes: list[BaseProcess] = []
        self._ends: list[Connection] = []
        for rank in range(size):
            mine, theirs = context.Pipe(duplex=False)
            work = (function, arguments, options, rank, size, self._store.port, timeout_s, theirs)
            process = context.Process(target=_work, args=work, daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self._ends.append(mine)

    def outcomes(self, ranks: list[int] | None = None) -> list[Any]:
        """What each of `ranks` (all) returned, or the exception that it ended with, as `Type: message`."""
        deadline = time.monotonic() + LIMIT_S
        try:
            return [self._outcome(rank, deadline) for rank in ranks or range(len(self.processes))]
        finally:
            for process in self.processes:
                process.kill()
                process.join()

    def _outcome(self, rank: int, deadline: float) -> Any:
        assert self._ends[rank].poll(max(deadline - time.monotonic(), 0)), f"rank {rank} hangs"
        try:
            return pickle.loads(self._ends[rank].recv_bytes())
        except EOFError:
            return "killed"


def _work(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    rank: int,
    size: int,
    port: int,
    timeout_s: float,
    result: Connection,
) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    try:
        store = TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=LIMIT_S))
        with Group(store, rank, size, cuda=False, timeout_s=timeout_s) as group:
            outcome = function(group, *arguments, **options)
    except BaseException as error:  # noqa: BLE001  the test judges it
        traceback.print_exc()
        outcome = f"{type(error).__name__}: {error}"
    result.send_bytes(pickle.dumps(outcome))
