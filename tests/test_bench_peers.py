"""The tool that runs other simulators and libraries beside ours, with peers made up for the purpose."""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from mvfstrl.bench_train import OVERRIDES
from mvfstrl.config import compose, native_config
from pantheon.episodes import play

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.syspath_prepend(str(TOOLS / "peers"))
    return importlib.import_module(name)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("bench_peers", monkeypatch)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("peer_process", monkeypatch)


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("race", monkeypatch)


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


FIGURE = """
import json, os
print("a word of its own")
print(json.dumps({"name": "seconds", "value": float(os.environ["PEER_SECONDS"]), "unit": "s"}))
print(json.dumps({"name": "cubic", "value": float("inf"), "unit": "CPU-s"}))
"""


def test_a_failing_peer_is_listed_and_the_others_go_on(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "KNOWN", ())
    bad = script(tmp_path, "bad.py", "raise SystemExit('it has no licence')")
    good = script(tmp_path, "good.py", FIGURE)
    output = tmp_path / "peers.json"
    status = tool.main(
        [
            "--json",
            "--seconds=7",
            f"--output={output}",
            f"--peer=bad={sys.executable} {bad}",
            f"--peer=good={sys.executable} {good}",
            "--peer=absent=/no/such/program",
        ]
    )
    assert status == 1
    document = json.loads(output.read_text())
    assert document["good"]["figures"] == {
        "seconds": {"value": 7, "unit": "s"},
        "cubic": {"value": None, "unit": "CPU-s"},
    }
    assert document["good"]["errors"] == []
    assert document["bad"]["errors"] == ["exit 1: it has no licence"]
    assert document["absent"]["errors"] == ["cannot start /no/such/program: No such file or directory"]
    out, shown = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"name": "good.seconds", "value": 7.0, "unit": "s"}
    ]
    assert "not reached" in shown


def test_several_seeds_give_their_median(tool: ModuleType, tmp_path: Path) -> None:
    text = 'import sys, json\nseed = int(sys.argv[-1].partition("=")[2])\n'
    text += 'value = [5.0, 9.0, float("inf")][seed]\n'
    text += 'print(json.dumps({"name": "x", "value": value, "unit": "s"}))'
    path = script(tmp_path, "peer.py", text)
    peer = tool.Peer("fake", "training", "1", script=str(path), networks=("h128_mlp",))
    options = tool.parse(["--races=reward", "--seeds=3", f"--output={tmp_path / 'peers.json'}"])
    run = tool.Run(options, tool.Console(quiet=True))
    run.all([peer])
    assert run.errors == {}
    assert run.figures("fake") == {"x": (9.0, "s")}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a figure"),
        ('{"name": "x", "value": "fast", "unit": "s"}', "not a figure"),
        ("", "printed no"),
    ],
)
def test_what_is_no_figure_is_refused(process: ModuleType, line: str, message: str) -> None:
    with pytest.raises(process.PeerError, match=message):
        process.run_peer(["echo", line], limit_s=10)


CHILD = "import os, sys\nprint(os.getpid(), file=open(sys.argv[1], 'w'), flush=True)\nwhile True: pass"


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_peer_that_hangs_is_ended_with_its_children(process: ModuleType, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = script(tmp_path, "child.py", CHILD)
    command = ["sh", "-c", f"{sys.executable} {child} {pid_file} & sleep 1000"]
    with pytest.raises(process.PeerError, match=r"not done after \d+ CPU-s"):
        process.run_peer(command, limit_s=0.5)
    assert gone(int(pid_file.read_text()))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_peer_and_shows_what_there_is(tmp_path: Path, sign: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    child = script(tmp_path, "child.py", CHILD)
    good = script(tmp_path, "good.py", FIGURE)
    wrapper = "import sys, bench_peers; bench_peers.KNOWN = (); sys.exit(bench_peers.main(sys.argv[1:]))"
    command = [sys.executable, "-c", wrapper, f"--output={tmp_path / 'peers.json'}"]
    command += [f"--peer=good={sys.executable} {good}", f"--peer=slow={sys.executable} {child} {pid_file}"]
    variables = {**os.environ, "PYTHONPATH": str(TOOLS)}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as tool:
        while not (pid_file.exists() and pid_file.read_text()):
            assert tool.poll() is None
            time.sleep(0.05)
        tool.send_signal(sign)
        out, _ = tool.communicate()
    assert tool.returncode == 130
    assert "interrupted" in out
    assert "seconds" in out
    assert gone(int(pid_file.read_text()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulators"], "'simulators' is unknown; the parts are environment, training"),
        (["--only=ns3"], "'ns3' is unknown; there are"),
        (["--peer=htsim"], "must be NAME=COMMAND"),
        (["--peer=ours=true"], "'ours' is the name of a known peer"),
        (["--networks=h64_mlp"], "'h64_mlp' is unknown; there are h128_mlp"),
    ],
)
def test_wrong_arguments_are_refused(
    tool: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        tool.main(arguments)
    assert message in capsys.readouterr().err


def test_an_environment_is_made_once_for_its_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: ModuleType
) -> None:
    venv = load("peer_venv", monkeypatch)
    ran: list[list[str]] = []
    broken = False

    def pretend(command: list[str], log: Path, say: Any) -> None:
        ran.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        elif broken:
            raise venv.PeerError("no network")

    monkeypatch.setattr(venv, "_quietly", pretend)
    one = tool.Peer("p", "environment", "1", requirements=("a==1",))
    for _ in range(2):
        assert venv.make_venv(one, lambda text: None, tmp_path) == tmp_path / "p" / "bin" / "python"
    assert len(ran) == 2  # the environment and its packages, once
    assert ran[1][-1] == "a==1"
    other, broken = tool.Peer("p", "environment", "1", requirements=("a==2",)), True
    with pytest.raises(venv.PeerError):
        venv.make_venv(other, lambda text: None, tmp_path)
    broken = False
    venv.make_venv(other, lambda text: None, tmp_path)
    assert len(ran) == 6  # what was left half made is made anew


def test_every_known_peer_is_pinned_and_has_its_script(tool: ModuleType) -> None:
    for peer in tool.KNOWN:
        assert (TOOLS.parent / peer.script).is_file()
        assert all(requirement.count("==") == 1 for requirement in peer.requirements)
        assert bool(peer.networks) == (peer.part == "training")


def test_a_flow_that_idles_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = load("flow", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["peer", "--seconds=1"])
    packets = 12e6 * flow.EPISODE_S / 8 / flow.PACKET
    with pytest.raises(SystemExit, match="the flow used 50% of 12 Mbit/s"):
        flow.report(lambda mbps, seconds: (1.0, packets / 2), 12)


def test_a_flow_is_told_in_windows_and_packets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = load("flow", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["peer", "--seconds=1"])
    flow.report(lambda mbps, seconds: (1.0, 70_000.0), 12, flows=2)
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(f["name"], f["value"]) for f in figures] == [
        ("windows_per_second_12mbps", 600.0),
        ("packets_per_second_12mbps", 70_000.0),
        ("link_use_12mbps", 0.996),
    ]


def test_the_speed_race_is_on_our_benchmarks_path(race: ModuleType) -> None:
    assert {"env=constant", *race.SPEED_TASK} <= set(OVERRIDES)


def test_cpu_time_is_that_of_the_whole_tree(race: ModuleType) -> None:
    before = race.tree_cpu_seconds()
    code = "import time\nwhile time.process_time() < 1.5: pass\nprint(1, flush=True)\ntime.sleep(100)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        running = race.tree_cpu_seconds() - before
    finally:
        child.kill()
        child.communicate()
    waited_for = race.tree_cpu_seconds() - before
    assert running >= 1.4
    assert waited_for >= 1.4


class Keep:
    """A policy that never moves its window."""

    def initial_state(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(0), torch.zeros(0)

    def act(self, observation: Any, first: Any, job: Any, state: Any) -> tuple[torch.Tensor, Any]:
        return torch.zeros(len(observation), dtype=torch.int64), state


def test_evaluation_plays_the_episodes_of_mode_test(
    race: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race, "EPISODES", 2)
    firsts = []

    def make_player(count: int) -> Any:
        def player(observation: Any, first: Any) -> Any:
            firsts.append(first.tolist())
            return np.zeros(count, dtype=np.int64)

        return player

    config = native_config(compose(["env=lte"]))
    truth = race.mean_reward(play(config, [1_000_000, 1_000_001], policy=Keep()).reports)
    assert race.evaluate(make_player) == pytest.approx(truth)
    assert firsts[:2] == [[True, True], [False, False]]
    assert race.cubic_reward() == pytest.approx(
        race.mean_reward(play(native_config(compose(["agent=cubic"])), [1_000_000, 1_000_001]).reports)
    )


@pytest.mark.parametrize(
    ("rewards", "arrival"),
    [([0.0, 2.0, 0.0, 2.0, 3.0], 4.0), ([0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0], math.inf)],
)
def test_two_evaluations_in_a_row_must_beat_cubic(
    race: ModuleType, monkeypatch: pytest.MonkeyPatch, rewards: list[float], arrival: float
) -> None:
    one = race.Race("reward", limit=7.0, every=1.0, cubic=1.0)
    clock = iter(range(1, 100))
    monkeypatch.setattr(race, "evaluate", lambda make_player: rewards.pop(0))
    monkeypatch.setattr(race.Race, "cpu_seconds", lambda self: float(next(clock)))
    monkeypatch.setattr(one, "_checked", -1.0)
    steps = 0
    while not one.over(steps, lambda count: None):
        monkeypatch.setattr(one, "_checked", -1.0)
        steps += 10
    assert one.result["cpu_seconds_to_cubic_lte_h128_mlp"] == (arrival, "CPU-s")
    assert one.result["best_reward_lte_h128_mlp"][0] == max([2.0, *([3.0] if arrival < 7 else [])])
    assert rewards == []
