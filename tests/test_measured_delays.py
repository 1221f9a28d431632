"""env.action_delay_ms=from:FILE: what real answers took, in the virtual environment."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mvfstrl._native import VectorEnvironment
from mvfstrl.config import compose, config_folder, native_config, register, to_config
from mvfstrl.config.measured_delays import LARGEST, representatives
from mvfstrl.errors import ConfigError


def written(path: Path, latencies: Any, **columns: Any) -> Path:
    pd.DataFrame({"latency_ms": latencies, **columns}).to_parquet(path, index=False)
    return path


def delay_of(given: str) -> dict[str, Any]:
    return dict(native_config(compose([f"env.action_delay_ms={given}"]))["action_delay"])


def test_a_small_file_is_taken_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "latency.parquet", [7.5, 2.0, 2.0], scheme="impala", scenario="lte")
    taken = {"kind": "empirical", "samples_ms": [2.0, 2.0, 7.5]}
    assert delay_of(f"from:{path}") == taken
    assert delay_of(f"from:{tmp_path}") == taken, "the run's folder"


def test_a_large_file_is_represented_by_quantiles_in_any_order_of_its_rows(tmp_path: Path) -> None:
    latencies = np.random.default_rng(0).lognormal(1.0, 0.7, 20_001)
    samples = delay_of(f"from:{written(tmp_path / 'a.parquet', latencies)}")["samples_ms"]
    assert len(samples) == LARGEST
    assert delay_of(f"from:{written(tmp_path / 'b.parquet', latencies[::-1])}")["samples_ms"] == samples
    for share in (0.05, 0.5, 0.95, 0.99):
        assert np.quantile(samples, share) == pytest.approx(np.quantile(latencies, share), rel=0.03)
    assert set(representatives(latencies)) <= {round(value, 4) for value in latencies.tolist()}


def test_the_record_has_the_samples_beside_the_files_name(tmp_path: Path) -> None:
    path = written(tmp_path / "latency.parquet", [3.0, 4.0])
    register()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        composed = hydra.compose("config", overrides=[f"env.action_delay_ms=from:{path}"])
    cfg = to_config(composed)
    expected = {"from": str(path), "samples": [3.0, 4.0]}
    assert cfg.env.action_delay_ms == expected
    path.unlink()
    recorded = OmegaConf.create(OmegaConf.to_yaml(composed, resolve=True))
    assert recorded.env.action_delay_ms == expected
    assert to_config(composed).env.action_delay_ms == expected, "the file is not read again"


def test_the_environment_draws_the_files_delays(tmp_path: Path) -> None:
    """Windows are 100 ms: an answer that takes 150 ms costs one observation, one of 250 ms two."""
    shares = {0: 0.5, 1: 0.3, 2: 0.2}
    path = written(tmp_path / "latency.parquet", [20.0] * 500 + [150.0] * 300 + [250.0] * 200)
    config = native_config(
        compose(["env=constant", f"env.action_delay_ms=from:{path}", "env.episode_ms=100_000"])
    )
    env = VectorEnvironment(config, num_envs=1, num_threads=0)
    env.reset_with(0, np.array([1], np.uint64), np.array([-1], np.int32))
    skipped: list[int] = []
    batch = env.recv(0)
    while not batch.truncated[0]:
        env.send(0, np.array([0], np.int32))
        batch = env.recv(0)
        skipped.append(int(batch.skipped[0]))
    env.close()
    counts, number = Counter(skipped[:-1]), len(skipped) - 1
    assert number > 400
    assert set(counts) == set(shares)
    for windows, share in shares.items():
        deviation = np.sqrt(share * (1 - share) / number)
        assert counts[windows] / number == pytest.approx(share, abs=4 * deviation)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such file; the folder has other\.parquet"),
        (b"text", "not a Parquet file of delays"),
        (
            {"latencyms": [1.0], "scheme": ["a"]},
            r"has no column latency_ms \(did you mean latencyms by it\?\), only",
        ),
        ({"latency_ms": []}, "has no row"),
        ({"latency_ms": ["fast"]}, "not a Parquet file of delays"),
        ({"latency_ms": [1.0, -0.5]}, "latency_ms must be finite and at least 0, row 1 has -0.5"),
        ({"latency_ms": [1.0, 2.0, None]}, "latency_ms must be finite and at least 0, row 2 has nan"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "delays.parquet"
    written(tmp_path / "other.parquet", [1.0])
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        pd.DataFrame(content).to_parquet(path, index=False)
    with pytest.raises(ConfigError, match=rf"^env\.action_delay_ms: {re.escape(str(path))}: {message}"):
        compose([f"env.action_delay_ms=from:{path}"])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file, and no folder .*/nowhere$"):
        compose([f"env.action_delay_ms=from:{tmp_path}/nowhere/latency.parquet"])
