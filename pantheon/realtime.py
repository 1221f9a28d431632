"""mode=test and mode=test_local in real time: the same comparison over real QUIC and emulated paths.

An episode takes as long as it says, so each is kept by itself as soon as it is finished, and several
connections run at once, each with processes of its own. A policy's arithmetic runs in this process, one
thread a connection; what it takes is part of what is measured, as anywhere in real time.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import aioquic
import pandas as pd
import torch

from mvfstrl.rank_environment import available_cores
from mvfstrl.realtime.worker import LocalModel, RemoteServer, Task, WorkerProcess
from pantheon.benchmark import CONTENT, Benchmark, Cell, Share
from pantheon.cells import CellStore, digest, file_name
from pantheon.local import LocalPolicy
from pantheon.parallel import Tasks
from pantheon.results import REALTIME, fallbacks_of, rows_of, series_of, write_results
from pantheon.schemes import Scheme, ServedPolicy

if TYPE_CHECKING:
    from rich.console import Console

    from mvfstrl.config import Config
    from mvfstrl.policy import Policy
    from mvfstrl.realtime.policy import Floats, Step

EPISODES = "episodes"  # the folder of finished episodes, beside the schemes' folders
CERTIFICATES = "certificates"
LATENCY = "latency.parquet"


def connections_at_once(cfg: Config) -> int:
    """Each keeps a sender's and a receiver's process busy, a few milliseconds of a core for a megabit."""
    return cfg.realtime.parallel or max(available_cores(os.environ) // 2, 1)


class Workers:
    """So many processes, started when first needed; a context manager."""

    def __init__(self, host: str, folder: Path, packet_size: int, most: int) -> None:
        self._start = partial(WorkerProcess, host, folder, packet_size)
        self._idle: queue.SimpleQueue[WorkerProcess | None] = queue.SimpleQueue()
        for _ in range(most):
            self._idle.put(None)
        self._most = most

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in range(self._most):
            worker = self._idle.get()
            if worker is not None:
                worker.close()

    def play(
        self,
        task: Task,
        answer: Callable[[Floats, Step], int] | None,
        progress: Callable[[float], None],
        lost: Callable[[str], None],
    ) -> dict[str, Any]:
        """On whichever is idle. One that failed is let go of."""
        worker = self._idle.get() or self._start()
        try:
            report = worker.play(task, answer, progress, lost)
        except BaseException:
            self._idle.put(None)
            worker.close()
            raise
        self._idle.put(worker)
        return report


class RealtimeBenchmark(Benchmark):
    """Plays in real time what a connection can play; what is computed or searched stays in virtual time."""

    def __init__(self, cfg: Config, folder: Path, store: CellStore, console: Console) -> None:
        super().__init__(cfg, store, console)
        self._folder = folder
        self._episodes = CellStore(store.folder / EPISODES, lambda problem: None)

    def play(self, schemes: Sequence[Scheme]) -> None:
        packet_size = self._cfg.transport["window"]["packet_size_bytes"]
        folder = self._folder / CERTIFICATES
        with Workers(self._cfg.realtime.host, folder, packet_size, self._threads()) as self._workers:
            super().play(schemes)

    def _threads(self) -> int:
        return connections_at_once(self._cfg)

    def _begin(self, tasks: Tasks, cell: Cell) -> None:
        if cell.scheme.computed:
            super()._begin(tasks, cell)
            return
        key = self._key(cell)
        content = self._store.load(cell.scheme.name, cell.scenario, key)
        if content is not None:
            self._finish(cell, content)
            return
        parts: dict[int, dict[str, Any]] = {}

        def done(seed: int, part: dict[str, Any]) -> None:
            self._episodes.save(cell.scheme.name, f"{cell.scenario}-{seed}", key, part)
            parts[seed] = part
            if len(parts) == len(cell.seeds):
                whole = [parts[each] for each in cell.seeds]
                content = {name: [item for p in whole for item in p[name]] for name in (*CONTENT, LATENCIES)}
                self._store.save(cell.scheme.name, cell.scenario, key, content)
                self._finish(cell, content)

        for seed in cell.seeds:
            part = self._episodes.load(cell.scheme.name, f"{cell.scenario}-{seed}", key)
            if part is not None:
                done(seed, part)
            else:
                share = self._meter.share(f"{cell.scheme.name} in {cell.scenario}", 1)
                tasks.add(partial(self._play, cell, seed, share), partial(done, seed))

    def _key(self, cell: Cell) -> str:
        host = self._cfg.realtime.host
        real = [host, aioquic.__version__] if host == "aioquic" else [host]
        return digest({"cell": cell.key(), "real": real})

    def _play(self, cell: Cell, seed: int, share: Share) -> dict[str, Any]:
        policy = cell.scheme.policy
        answer = None
        if policy is not None and not isinstance(policy, LocalPolicy | ServedPolicy):
            answer = _Answers(policy, cell.job)
        report = self._workers.play(self._task(cell, seed), answer, share.reach, self._lost)
        share.done()
        name, scenario = cell.scheme.name, cell.scenario
        real = realtime_columns(report)
        return {
            "rows": [{**row, **real} for row in rows_of(report, name, scenario)],
            "series": [series_of(report, name, scenario)] if seed in cell.seeds[: cell.series_runs] else [],
            "fallbacks": fallbacks_of(report, name, scenario),
            LATENCIES: latencies_of(report, name, scenario),
        }

    def _lost(self, problem: str) -> None:
        server = self._cfg.realtime.server
        self._console.print(f"the policy server at {server} is lost: waiting for one ({problem})")

    def _task(self, cell: Cell, seed: int) -> Task:
        policy, settings = cell.scheme.policy, self._cfg.realtime
        place = Path(file_name(cell.scheme.name)) / f"{file_name(cell.scenario)}-{seed}"
        log = self._folder / "links" / place if settings.log_links else None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        qlog = self._folder / "qlog" / f"{place}.qlog" if settings.qlog else None
        task = Task(cell.config, seed, cell.job, asks=policy is not None, log=log, qlog=qlog)
        if isinstance(policy, LocalPolicy):
            local = LocalModel(str(policy.path), policy.model.instructions, policy.guard)
            return Task(cell.config, seed, policy.jobs[cell.job], local=local, log=log, qlog=qlog)
        if isinstance(policy, ServedPolicy):
            scenarios = tuple(self._cfg.env.scenarios)
            served = RemoteServer(policy.server, scenarios, settings.token_file, settings.tls_ca)
            return Task(cell.config, seed, cell.job, asks=True, remote=served, log=log, qlog=qlog)
        return task


@dataclass
class _Answers:
    """A policy with its memory of one episode."""

    policy: Policy
    job: int

    def __post_init__(self) -> None:
        self._job = torch.full((1,), self.job, dtype=torch.int32)
        self._state = self.policy.initial_state(1)

    def __call__(self, observation: Floats, step: Step) -> int:
        seen = torch.from_numpy(observation.copy())[None]
        with torch.no_grad():
            action, self._state = self.policy.act(seen, torch.tensor([step["first"]]), self._job, self._state)
        return int(action.item())


LATENCIES = "latencies"


def latencies_of(report: dict[str, Any], scheme: str, scenario: str) -> list[dict[str, Any]]:
    """From each question to its answer: a row each."""
    names = {"scheme": scheme, "scenario": scenario, "seed": report["seed"]}
    return [{**names, "latency_ms": latency} for latency in report["realtime"]["latencies_ms"]]


def realtime_columns(report: dict[str, Any]) -> dict[str, Any]:
    """What the machine did to an episode: a row's further columns."""
    real, flow = report["realtime"], report["flows"][0]
    receiver = real["receiver_timers"] or {}
    values = {
        "late": real["late"],
        "lateness_p99_ms": real["lateness_p99_ms"],
        "sender_late_p99_ms": real["sender_timers"]["late_p99_ms"],
        "receiver_late_p99_ms": receiver.get("late_p99_ms", float("nan")),
        "handshake_ms": real["handshake_ms"],
        "decision_latency_p50_ms": flow["decision_latency_p50_ms"],
        "decision_latency_p99_ms": flow["decision_latency_p99_ms"],
        "replayed": real["replayed"],
    }
    return {column: values[column] for column in REALTIME}


def late_lines(table: pd.DataFrame) -> list[str]:
    """What of a table of results is not to be trusted, a line for the reader."""
    if "late" not in table.columns or not table["late"].astype(bool).any():
        return []
    late = table[table["late"].astype(bool)]
    worst = late["lateness_p99_ms"].max()
    line = f"late: the machine could not keep up in {len(late)} of {len(table)} episodes"
    return [f"{line} (its writes came up to {worst:.1f} ms late, p99): their delays are not the path's alone"]


def replay_lines(table: pd.DataFrame) -> list[str]:
    """How often a policy server was lost, a line for the reader."""
    replays = table["replayed"].fillna(0) if "replayed" in table.columns else pd.Series(dtype=float)
    if not replays.any():
        return []
    line = f"{int((replays > 0).sum())} of {len(table)} episodes were played again"
    return [f"{line}: their policy server was lost (in all {int(replays.sum())} times)"]


def write_latencies(contents: Iterable[dict[str, Any]], folder: Path) -> None:
    """`latency.parquet`, which env.action_delay_ms=from:FILE reads, where a policy was asked."""
    rows = [row for content in contents for row in content.get(LATENCIES, [])]
    if rows:
        write_results(pd.DataFrame(rows).astype({"seed": "uint64"}), folder / LATENCY)
