"""wandb: offline where no server answers, one record over all starts of a run, and never in the run's way."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mvfstrl.config import Config, compose
from mvfstrl.metrics import read_metrics
from mvfstrl.rundir import RunDirectory
from mvfstrl.trackers import keep_artifacts, open_tracker, show_comparison
from mvfstrl.trackers.wandb import key_configured, offline_reason, run_id, sweep_of
from mvfstrl.trackers.wandb_files import WandbFileError, files_below, read_file
from tests.tracked_run import picture, run

__all__ = ["picture", "run"]  # the fixtures

ANSWER_WITHIN_S = 2.0


@pytest.fixture(autouse=True)
def no_wandb_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    yield
    if sys.modules.get("wandb") is not None:
        sys.modules["wandb"].teardown()  # what it read of this test's environment


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def stalling_server() -> Iterator[str]:
    """Answers a GET, so that it seems alive, and never the POST that a run starts with."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

        def do_POST(self) -> None:
            ended.wait()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    ended.set()
    server.shutdown()
    server.server_close()


def wandb_config() -> Config:
    return compose(["tracker=wandb", f"tracker.timeout_s={ANSWER_WITHIN_S}"])


def offline_files(run: RunDirectory) -> list[Path]:
    """Once wandb's service, a process of its own, has written the newest to its end."""
    files = files_below(run.path)
    patience = time.monotonic() + 30.0
    while files and not _ended(files[-1]) and time.monotonic() < patience:
        time.sleep(0.05)
    return files


def _ended(file: Path) -> bool:
    try:
        return read_file(file).exit_code is not None
    except WandbFileError:
        return False


def test_without_a_key_wandb_writes_an_offline_file(
    run: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), open_tracker(wandb_config(), run) as tracker:
        tracker.log({"reward": 1.0, "actions": [0.25, 0.75]}, 10)
    (file,) = offline_files(run)
    assert file.stat().st_size > 0
    told = [record.getMessage() for record in caplog.records if record.name.startswith("mvfstrl")]
    assert told == ["wandb: offline, no key is configured (wandb login, or WANDB_API_KEY)"]


def test_a_server_that_stalls_at_the_start_is_left_alone(
    run: RunDirectory, stalling_server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", stalling_server)
    started = time.monotonic()
    tracker = open_tracker(wandb_config(), run)
    tracker.log({"reward": 1.0}, 10)
    assert time.monotonic() - started < 1.0, "the run itself waits for nothing"
    tracker.close()
    tried, kept = offline_files(run)
    assert (tried.parent.name[:4], kept.parent.name[:8]) == ("run-", "offline-")
    told = [record.getMessage() for record in caplog.records if record.name.startswith("mvfstrl")]
    assert len(told) == 1
    assert told[0].startswith("wandb: offline, the server refused or did not answer in time")


def test_a_broken_wandb_does_not_fail_a_run(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it raises
    with open_tracker(wandb_config(), run) as tracker:
        tracker.log({"reward": 1.0}, 10)
    assert [row["step"] for row in read_metrics(run.path / "metrics.jsonl")] == [10]
    assert any("tracker wandb stopped" in record.getMessage() for record in caplog.records)


def test_a_silent_server_is_given_up_in_time(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    started = time.monotonic()
    assert offline_reason(silent_server, started + 0.5) == f"{silent_server} does not answer"
    assert time.monotonic() - started < 1.5


def test_a_stuck_name_look_up_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)

    def look_up(*_: Any, **__: Any) -> None:
        stuck.wait(5)
        raise OSError("no such host")

    monkeypatch.setattr("urllib.request.urlopen", look_up)
    started = time.monotonic()
    assert offline_reason("https://wandb.example", started + 0.3) is not None
    assert time.monotonic() - started < 2.0
    stuck.set()


def test_an_absent_server_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    started = time.monotonic()
    assert offline_reason("http://127.0.0.1:1", started + 60) is not None
    assert time.monotonic() - started < 5


def test_an_answering_server_is_tried(stalling_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert offline_reason(stalling_server, time.monotonic() + 10) is None


def test_the_users_mode_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert offline_reason("http://127.0.0.1:1", time.monotonic()) == "as WANDB_MODE=offline asks"


def test_keys_are_found_where_wandb_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not key_configured("https://wandb.example")
    (tmp_path / "netrc").write_text("machine wandb.example login user password secret\n")
    assert key_configured("https://wandb.example")
    assert not key_configured("https://other.example")
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert key_configured("https://other.example")


def test_a_resumed_run_keeps_its_wandb_id(run: RunDirectory, tmp_path: Path) -> None:
    assert run_id(run) == run_id(RunDirectory(run.path)) != run_id(RunDirectory(tmp_path / "other"))


def test_a_comparison_follows_the_training_into_the_same_run(
    run: RunDirectory, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_tracker(wandb_config(), run) as tracker:
        tracker.log({"reward": 1.0}, 10)
    show_comparison(wandb_config(), run, pd.DataFrame({"scheme": ["cubic"], "reward": [1.0]}), picture)
    assert {file.stem for file in offline_files(run)} == {f"run-{run_id(run)}"}
    assert len(offline_files(run)) == 2
    assert not any("stopped" in record.getMessage() for record in caplog.records)


def checkpoint(run: RunDirectory, step: int) -> None:
    run.checkpoints.mkdir(exist_ok=True)
    (run.checkpoints / f"step_{step:012d}.pt").write_bytes(b"weights")


def logged(run: RunDirectory) -> list[tuple[int, float]]:
    """All starts' rows of figures, in the order in which `wandb sync` sends them."""
    offline_files(run)
    return logged_at_once(run)


def logged_at_once(run: RunDirectory) -> list[tuple[int, float]]:
    rows = [row for file in files_below(run.path) for row in read_file(file).rows]
    return [(row["step"], row["reward"]) for row in rows if "reward" in row]


def recorded(run: RunDirectory) -> list[tuple[int, float]]:
    return [(row["step"], row["reward"]) for row in read_metrics(run.path / "metrics.jsonl")]


def test_starts_of_a_run_make_one_record_without_gaps_or_duplicates(run: RunDirectory) -> None:
    """The first is killed after step 30, and its checkpoint was at 20; the second ends well."""
    with open_tracker(wandb_config(), run) as tracker:
        for step in (10, 20, 30):
            tracker.log({"reward": 1.0}, step)
        checkpoint(run, 20)
    assert logged(run) == [(10, 1.0), (20, 1.0)]
    with open_tracker(wandb_config(), run, after=20) as tracker:
        for step in (25, 35):
            tracker.log({"reward": 2.0}, step)
        checkpoint(run, 35)
    assert len(offline_files(run)) == 2
    assert logged(run) == recorded(run) == [(10, 1.0), (20, 1.0), (25, 2.0), (35, 2.0)]


def test_rows_that_a_killed_start_did_not_hand_over_are_made_up(run: RunDirectory) -> None:
    steps = [1111, 2222, 3333]
    with open_tracker(wandb_config(), run) as tracker:
        for step in steps:
            tracker.log({"reward": 1.0}, step)
        checkpoint(run, 3333)
    (file,) = offline_files(run)
    data = file.read_bytes()
    file.write_bytes(data[: data.index(b"2222")])
    assert logged_at_once(run) == [(1111, 1.0)]
    with open_tracker(wandb_config(), run, after=3333) as tracker:
        tracker.log({"reward": 2.0}, 4444)
        checkpoint(run, 4444)
    assert logged(run) == recorded(run)
    assert [step for step, _ in recorded(run)] == [*steps, 4444]


def test_wandb_has_configuration_group_tags_and_system_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_X_STATS_SAMPLING_INTERVAL", "0.1")
    run = RunDirectory(tmp_path / "wide_sweep" / "3")
    (tmp_path / "wide_sweep" / "multirun.yaml").touch()
    (run.path / "outcome.json").write_text('{"sweep": {"number": 3}}')
    cfg = compose(["tracker=wandb", "tracker.tags=[mine]", "agent.loss.discount=0.75"])
    with open_tracker(cfg, run):
        patience = time.monotonic() + 30.0
        while not files_below(run.path) and time.monotonic() < patience:
            time.sleep(0.05)  # wandb starts beside the run, in seconds
        time.sleep(0.5)
    (found,) = (read_file(file) for file in offline_files(run))
    assert (found.id, found.name, found.group) == (run_id(run), "3", "wide_sweep")
    assert found.tags == ["mine", "impala", *cfg.env.scenarios, "run-3"]
    assert found.config["agent"]["loss"]["discount"] == 0.75
    assert {"proc.memory.rssMB", "proc.cpu.threads"} <= found.system[0].keys()
    assert found.exit_code == 0


def test_wandb_is_told_where_a_run_belongs(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    asked: dict[str, Any] = {}

    def init(**keywords: Any) -> Any:
        asked.update(keywords)
        return started(**{name: value for name, value in keywords.items() if name != "entity"})

    started = wandb.init
    monkeypatch.setattr(wandb, "init", init)
    long = "x" * 65
    cfg = compose(
        ["tracker=wandb", "tracker.entity=lab", "tracker.project=lte_study", f"tracker.tags=[{long}]"]
    )
    with open_tracker(cfg, run) as tracker:
        tracker.log({"reward": 1.0}, 10)
    assert (asked["entity"], asked["project"]) == ("lab", "lte_study")
    (found,) = (read_file(file) for file in offline_files(run))
    assert (found.project, found.tags[0]) == ("lte_study", long[:64])  # wandb refuses longer ones


def test_a_single_run_has_no_group_and_a_chosen_group_wins(tmp_path: Path) -> None:
    (tmp_path / "outcome.json").write_text('{"sweep": {"number": null}}')
    assert sweep_of(tmp_path) is None
    (tmp_path / "outcome.json").write_text('{"sweep": {"number": 0}}')
    assert sweep_of(tmp_path) == (tmp_path.parent.name, 0)
    run = RunDirectory(tmp_path)
    with open_tracker(compose(["tracker=wandb", "tracker.group=ours"]), run):
        pass
    assert [read_file(file).group for file in offline_files(run)] == ["ours"]


@pytest.mark.parametrize("artifacts", [True, False])
def test_checkpoint_and_policy_are_artifacts_if_asked_for(run: RunDirectory, artifacts: bool) -> None:
    checkpoint(run, 10)
    checkpoint(run, 20)
    (run.path / "policy.mvfstrl").write_bytes(b"policy")
    keep_artifacts(compose(["tracker=wandb", f"tracker.artifacts={artifacts}"]), run)
    found = [artifact for file in offline_files(run) for artifact in read_file(file).artifacts]
    aliases = ["latest", "step-20"]
    names = [(kind, f"{kind}-{run_id(run)}", aliases) for kind in ("checkpoint", "policy")]
    assert [(kind, name, sorted(a)) for kind, name, a in found] == (names if artifacts else [])


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_talks_nonsense_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            connection.sendall(b"no HTTP at all\r\n\r\n")
            connection.close()

        threading.Thread(target=babble, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert offline_reason(address, time.monotonic() + 1.0) == f"{address} does not answer"


def test_a_file_that_is_not_wandbs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run-x.wandb").write_bytes(b"something else")
    with pytest.raises(WandbFileError, match=r"run-x\.wandb: not a file of wandb's"):
        read_file(tmp_path / "run-x.wandb")
