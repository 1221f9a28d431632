"""The real-input check: which links it plays, and that a policy really plays them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mvfstrl._native import default_config, observation_spec
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.policy import NetworkPolicy
from pantheon import real_traces
from pantheon.results import read_results
from tests.saved_policy import save_policy

SHARED = Path(os.environ.get("MVFSTRL_SHARED", Path(__file__).parents[1] / ".." / "shared"))
TRACES = SHARED / "traces"
needs_shared = pytest.mark.skipif(not TRACES.exists(), reason="no reference data (MVFSTRL_SHARED)")


@needs_shared
def test_second_halves_with_acks_over_the_reverse_trace() -> None:
    found = real_traces.scenarios(TRACES)
    assert list(found) == [f"{link}.{side}" for link in real_traces.LINKS for side in ("up", "down")]
    first = found["Verizon-LTE-short.up"]
    assert first.downlink is not None
    assert Path(first.uplink["file"]).name == "Verizon-LTE-short.up"
    assert Path(first.downlink["file"]).name == "Verizon-LTE-short.down"
    assert first.uplink["from_fraction"] == 0.5


def test_missing_traces_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert real_traces.main(["some.pt", "--traces", str(tmp_path)]) == 2
    assert "Verizon-LTE-short.up: no such trace file" in capsys.readouterr().err


@needs_shared
def test_a_policy_plays_all_four_links(tmp_path: Path) -> None:
    spec = observation_spec(default_config())
    torch.manual_seed(0)
    shape = NetworkShape(len(spec["observation"]), len(spec["actions"]), jobs=1)
    network = ImpalaNetwork(shape, NetworkConfig(hidden_size=8))
    policy = NetworkPolicy(network, spec=spec, jobs=["lte"], step=1)
    checkpoint = save_policy(tmp_path / "checkpoints", policy, hidden_size=8)
    options = ["--folder", str(tmp_path / "out"), "--traces", str(TRACES)]
    assert real_traces.main([str(checkpoint), *options, "test.runs=2", "env.episode_ms=3000"]) == 0
    table = read_results(tmp_path / "out" / "results.parquet")
    assert set(table["scheme"]) == {"impala", "cubic", "newreno", "random", "oracle"}
    assert table.groupby(["scheme", "scenario"]).size().tolist() == [2] * 20
    assert table["delay_mean_ms"].min() > 20.0
