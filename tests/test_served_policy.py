"""mode=test policy=rpc: a policy server answers, is told who asks, and may die meanwhile."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from mvfstrl.realtime import worker
from mvfstrl.realtime.errors import RealtimeError
from mvfstrl.rundir import RunDirectory
from pantheon import realtime
from pantheon.schemes import schemes_of
from tests.rpc_helpers import PATIENCE_S, wait_until
from tests.test_local import checkpoint
from tests.test_realtime import config, table_of
from tests.tls_files import Files, files

__all__ = ["files"]  # the fixture


@contextmanager
def policy_server(trained: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The program; its address."""
    command = [sys.executable, "-m", "mvfstrl.rpc.server", "--checkpoint", str(trained), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("listening on ").strip(), process
        finally:
            process.terminate()
            assert process.wait(30) in (0, -signal.SIGKILL)


def secrets(files: Files) -> list[str]:
    return ["--token-file", files.token, "--tls-cert", files.certificate, "--tls-key", files.key]


def test_a_policy_server_answers_where_policy_is_rpc(tmp_path: Path, files: Files) -> None:
    with policy_server(checkpoint(tmp_path / "trained"), *secrets(files)) as (address, _):
        asked = ["agent=impala", "policy=rpc", f"realtime.server={address}", "env.episode_ms=600"]
        asked += [f"realtime.tls_ca={files.certificate}", "test.runs=1", "test.schemes=[fixed]"]
        cfg = config(*asked, f"realtime.token_file={files.token}")
        (scheme, *_) = schemes_of(cfg, RunDirectory(tmp_path))
        assert scheme.policy == realtime.ServedPolicy(address)
        table = table_of(cfg, tmp_path / "run")
        with pytest.raises(RealtimeError, match="this server wants a token"):
            table_of(config(*asked), tmp_path / "strangers")
    mine = table[table["scheme"] == "impala"].iloc[0]
    assert mine["steps"] >= 3
    assert mine["decision_latency_p50_ms"] > 0
    assert (tmp_path / "run" / realtime.LATENCY).is_file()


def test_a_policy_server_that_dies_is_waited_for_and_its_episode_played_again(tmp_path: Path) -> None:
    trained, said = checkpoint(tmp_path / "trained"), io.StringIO()
    tables: list[pd.DataFrame] = []
    with policy_server(trained) as (address, first):
        asked = ["agent=impala", "policy=rpc", f"realtime.server={address}", "realtime.parallel=1"]
        cfg = config(*asked, "env.episode_ms=2000", "test.schemes=[impala]")
        test = threading.Thread(target=lambda: tables.append(table_of(cfg, tmp_path / "run", said)))
        test.start()
        kept = tmp_path / "run/cells/episodes/impala"
        wait_until(lambda: len(list(kept.glob("*-1000000.*"))) == 1, "the first episode is over")
        time.sleep(0.5)  # into the second
        first.kill()
        wait_until(lambda: "is lost: waiting for one" in said.getvalue(), "the test has noticed")
    with policy_server(trained, "--listen", address):
        test.join(PATIENCE_S)
    (table,) = tables
    assert list(table["replayed"]) == [0, 1]
    assert (table["steps"] + table["skipped_observations"]).between(17, 20).all()  # whole episodes
    assert (table["steps"] > 10).all()
    assert "1 of 2 episodes were played again: their policy server was lost" in said.getvalue()


def test_a_policy_server_that_stays_away_ends_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        connected, problem = False, "Connection refused"

        def check(self) -> None: ...

    said: list[tuple[str, float]] = []
    monkeypatch.setattr(worker, "LOST_SERVER_S", 0.6)
    player = worker._Player(None, SimpleNamespace(send=said.append), worker.PipedPolicy)  # type: ignore[arg-type]
    with pytest.raises(RealtimeError, match=r"no policy server for 0\.6 s: Connection refused"):
        player._await(Gone())  # type: ignore[arg-type]
    assert len(said) >= 2
    assert set(said) == {("progress", 0.0)}  # by which a stop is noticed
