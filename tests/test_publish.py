"""A published policy is small, is the run's policy, and says how it was trained and tested."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.checkpoint import checkpoints_in, load_checkpoint, save_checkpoint
from mvfstrl.policy import load_policy
from pantheon.publish import KEPT, main, publish
from pantheon.results import COLUMNS, write_results


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a training leaves, of a network that nobody trained."""
    torch.manual_seed(1)
    shape = NetworkShape(observation_size=5, num_actions=3, jobs=2)
    network = NetworkConfig(hidden_size=8)
    learner = {
        "network": ImpalaNetwork(shape, network).state_dict(),
        "value_scale": {"mean": torch.zeros(2)},
        "optimizer": {"state": torch.zeros(10_000)},
    }
    content = {
        "spec": {"version": 1},
        "config": {"seed": 17, "reward": {"kind": "log_power"}, "actions": {"choices": ["0", "/2", "*2"]}},
        "jobs": ["lte", "umts"],
        "shape": shape._asdict(),
        "network": vars(network),
        "step": 640,
        "deterministic": True,
        "learner": learner,
        "returns": {"lte": [1.0]},
        "actor": {"actions": torch.zeros(10_000)},
    }
    folder = tmp_path / "run"
    save_checkpoint(folder / "checkpoints", content, step=640)
    (folder / "config.yaml").write_text("mode: test\n")  # of a later start in the same folder
    return folder


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    rewards = {"impala": (-1.0, -1.2), "random": (-3.0, -3.1), "oracle": (-2.0, -2.0)}
    rows = [
        {
            **dict.fromkeys(COLUMNS, 0.0),
            "scheme": scheme,
            "flow_scheme": scheme,
            "scenario": "lte",
            "seed": seed,
            "reward": reward,
        }
        for scheme, values in rewards.items()
        for seed, reward in enumerate(values)
    ]
    folder = tmp_path / "test"
    folder.mkdir()
    write_results(pd.DataFrame(rows), folder / "results.parquet")
    return folder


def test_the_published_policy_is_the_runs(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "policies" / "lte"
    file = publish(run, target)
    assert checkpoints_in(target) == [file]
    mine, theirs = load_policy(target), load_policy(run)
    assert mine.jobs == ["lte", "umts"]
    weights = theirs.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in mine.network.state_dict().items())
    assert sorted(load_checkpoint(target)) == sorted([*KEPT, "learner"])
    (original,) = checkpoints_in(run / "checkpoints")
    assert file.stat().st_size < original.stat().st_size - 70_000  # two tensors of 10,000 floats
    assert yaml.safe_load((target / "config.yaml").read_text()) == load_checkpoint(run)["config"]


def test_a_second_publication_replaces_the_first(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "policy"
    content = load_checkpoint(run)
    save_checkpoint(target, content, step=999)
    (target / "notes.txt").write_text("mine")
    file = publish(run, target)
    assert checkpoints_in(target) == [file]
    assert names_in(target) == ["README.md", "config.yaml", "notes.txt", file.name]
    assert publish(target, target) == file  # as one does to add a test's results to the page
    assert load_policy(target).jobs == ["lte", "umts"]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("torn", ["save_checkpoint", "write_whole"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_is_cut_short_leaves_what_was_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: str, error: BaseException
) -> None:
    target = tmp_path / "policies" / "lte"
    publish(run, target)
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    later = load_checkpoint(run) | {"step": 1280, "jobs": ["starlink"]}
    save_checkpoint(run / "checkpoints", later, step=1280)

    def cut(*arguments: Any, **keywords: Any) -> None:
        raise error

    monkeypatch.setattr(f"pantheon.publish.{torn}", cut)
    for folder in (target, tmp_path / "fresh"):
        with pytest.raises(type(error)):
            publish(run, folder)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    assert load_policy(target).jobs == ["lte", "umts"]
    assert not (tmp_path / "fresh").exists()


def test_the_page_tells_seed_and_results(run: Path, tested: Path, tmp_path: Path) -> None:
    publish(run, tmp_path / "policy", [tested])
    page = (tmp_path / "policy" / "README.md").read_text()
    assert f"`python run.py mode=test checkpoint={tmp_path}/policy`" in page
    assert "640 decisions, seed 17, reward `log_power`" in page
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    assert rows == ["scheme", "impala", "oracle", "random"]
    # (-1.1 + 3.05) / (-2 + 3.05)
    assert "| impala | -1.100 [-1.200, -1.000] | 1.857 " in page


def test_a_bad_input_is_one_line(
    run: Path, tested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tested / "results.parquet").write_bytes(b"PAR1 torn")
    assert main([str(run), str(tmp_path / "policy"), "--tested", str(tested)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tested / 'results.parquet'}: not a readable results")
    assert not (tmp_path / "policy").exists()  # nothing half done
    assert main([str(tmp_path / "no"), str(tmp_path / "policy")]) == 2
    assert "no checkpoint at" in capsys.readouterr().err
