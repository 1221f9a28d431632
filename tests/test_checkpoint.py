"""Checkpoints survive what a disk does to them, refuse what does not fit, and execute nothing."""

from __future__ import annotations

import logging
import os
import pickle
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from mvfstrl.agents.impala.config import OptimizerKind
from mvfstrl.checkpoint import (
    TornCheckpointError,
    checkpoints_in,
    load_checkpoint,
    read_checkpoint,
    require_same_spec,
    save_checkpoint,
    spec_difference,
)
from mvfstrl.errors import CheckpointError


def content(step: int = 7) -> dict[str, Any]:
    return {
        "step": step,
        "weights": {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3, dtype=torch.int64)},
        "config": {"kind": OptimizerKind.adam, "rate": 0.1, "layers": (1, 2), "none": None, "yes": True},
        "optimizer": {"state": {0: {"step": torch.tensor(2.0)}}},
    }


def test_returns_what_was_saved_as_plain_data(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, content(), step=7)
    loaded = load_checkpoint(path)
    assert loaded["config"] == {"kind": "adam", "rate": 0.1, "layers": [1, 2], "none": None, "yes": True}
    assert type(loaded["config"]["kind"]) is str
    torch.testing.assert_close(loaded["weights"]["w"], torch.arange(6.0).reshape(2, 3))
    assert loaded["optimizer"]["state"][0]["step"] == 2.0


def test_same_content_same_bytes(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path / "a", content(), step=7)
    second = save_checkpoint(tmp_path / "b", content(), step=7)
    assert first.read_bytes() == second.read_bytes()


def test_keeps_the_newest_two_and_no_partial_file(tmp_path: Path) -> None:
    for step in (10, 20, 9000):
        save_checkpoint(tmp_path, content(step), step=step)
    assert [load_checkpoint(p)["step"] for p in checkpoints_in(tmp_path)] == [20, 9000]
    assert sorted(tmp_path.iterdir()) == checkpoints_in(tmp_path)


def test_a_run_directory_stands_for_its_newest_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoints", content(1), step=1)
    save_checkpoint(tmp_path / "checkpoints", content(2), step=2)
    assert load_checkpoint(tmp_path)["step"] == 2


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "zeros"])
def test_torn_file_falls_back_to_the_one_before_and_says_so(
    tmp_path: Path, damage: str, by_name: bool, caplog: pytest.LogCaptureFixture
) -> None:
    save_checkpoint(tmp_path, content(1), step=1)
    torn = save_checkpoint(tmp_path, content(2), step=2)
    damage_file(torn, damage)
    with pytest.raises(TornCheckpointError, match="step_000000000002"):
        read_checkpoint(torn)
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint(torn if by_name else tmp_path)["step"] == 1
    assert "damaged" in caplog.text
    assert "using the checkpoint before it" in caplog.text


def damage_file(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flip":
        place = data.index(torch.arange(6.0).numpy().tobytes()) + 5
        data[place] ^= 1
    elif damage == "empty":
        data = bytearray()
    else:
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)


def test_torn_file_alone_is_an_error(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, content(), step=1)
    damage_file(path, "cut")
    with pytest.raises(CheckpointError, match="no earlier checkpoint"):
        load_checkpoint(tmp_path)


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "absent.pt")


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "step_000000000001.pt"
    torch.save({"format": "mvfst-rl checkpoint", "content": Evil()}, path, pickle_module=pickle)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def test_a_foreign_torch_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of this project"):
        load_checkpoint(path)


def test_only_plain_data_is_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="object"):
        save_checkpoint(tmp_path, {"x": object()}, step=1)


def test_full_disk_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    """A child process may write 10 kB a file at most: its second, larger checkpoint fails half way."""
    save_checkpoint(tmp_path, content(1), step=1)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write() fails with EFBIG, as it does with ENOSPC
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            save_checkpoint(tmp_path, {"step": 2, "big": torch.zeros(50_000)}, step=2)
        except CheckpointError as error:
            os._exit(0 if "step_000000000001.pt is untouched" in str(error) else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["step_000000000001.pt"]
    assert load_checkpoint(tmp_path)["step"] == 1


def test_a_file_gets_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed in the middle of writing leaves nothing that looks like a checkpoint."""
    seen: list[list[Path]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(checkpoints_in(tmp_path))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path = save_checkpoint(tmp_path, content(), step=1)
    assert seen == [[], [path]]  # the content's, then the folder's


SPEC = {
    "version": 1,
    "hash": "abc",
    "observation": [{"name": "delay.mean", "unit": "100 ms"}, {"name": "cwnd.max", "unit": "1000 bytes"}],
    "actions": ["0", "/2"],
    "reward": "log_ratio",
}


def test_equal_specs_pass() -> None:
    require_same_spec(SPEC, {**SPEC, "hash": "other"}, "checkpoint x")


def test_mismatched_spec_names_the_fields() -> None:
    other = {
        **SPEC,
        "observation": [{"name": "delay.mean", "unit": "1 ms"}, {"name": "lost.sum", "unit": "1000 bytes"}],
        "actions": ["0", "*2"],
    }
    with pytest.raises(CheckpointError) as info:
        require_same_spec(SPEC, other, "checkpoint x")
    text = str(info.value)
    assert "checkpoint x" in text
    assert "observation: only in the checkpoint: lost.sum" in text
    assert "observation: not in the checkpoint: cwnd.max" in text
    assert "observation[delay.mean].unit: '1 ms' in the checkpoint, '100 ms' here" in text
    assert "actions: ['0', '*2'] in the checkpoint, ['0', '/2'] here" in text
    assert "reward" not in text


def test_reordered_fields_are_a_difference() -> None:
    swapped = {**SPEC, "observation": SPEC["observation"][::-1]}  # type: ignore[index]
    assert spec_difference(swapped, SPEC) == ["observation: the same names in another order"]
