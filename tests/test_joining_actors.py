"""`python -m mvfstrl.actor`, the program, joins a learner over TLS and plays real connections for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.rpc_helpers import PATIENCE_S, wait_until
from tests.test_remote_training import Run, training
from tests.tls_files import TOKEN, Files, files

__all__ = ["files"]  # the fixture


def actor(port: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mvfstrl.actor", "--server", f"127.0.0.1:{port}", *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_who_shows_the_token_plays_and_a_stranger_does_not(tmp_path: Path, files: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    overrides = ["actors.simulated=0", f"actors.listen=127.0.0.1:{port}", "agent.batch_size=1"]
    overrides += ["total_steps=30", "env.rate_mbps=2", "env.delay_ms=5", f"actors.token_file={files.token}"]
    overrides += [f"actors.tls_cert={files.certificate}", f"actors.tls_key={files.key}"]
    with Run(training(tmp_path, *overrides)) as run:
        stranger = actor(port, "--tls-ca", files.certificate)
        assert stranger.wait(PATIENCE_S) == 2
        friend = actor(port, "--tls-ca", files.certificate, "--token-file", files.token)
        wait_until(run.ended, "all steps are learnt")
        assert friend.wait(PATIENCE_S) == 0  # the training is over
    assert run.error is None
    assert run.rows[-1]["realtime/answers"] >= 20
    assert run.rows[-1]["realtime/refused"] == 1
    assert run.rows[-1]["realtime/lost_actors"] == 0
    assert stranger.stderr is not None
    said = stranger.stderr.read()
    assert "refuses: this server wants a token" in said
    assert TOKEN not in said
