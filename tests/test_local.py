"""mode=test_local: exported policies under a guard, held against mode=test of the same policy."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console

from mvfstrl._native import observation_spec
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.config import Config, compose, native_config
from mvfstrl.errors import CheckpointError, ConfigError
from mvfstrl.policy import NetworkPolicy, load_policy
from mvfstrl.policy_file import write
from mvfstrl.rundir import RunDirectory
from pantheon.evaluate import evaluate
from pantheon.local import LocalPolicy
from pantheon.results import GUARD, GUARD_REASONS, fallbacks_of, frame, rows_of
from pantheon.schemes import schemes_of
from pantheon.table import guard_lines
from tests.saved_policy import save_policy

ROOT = Path(__file__).parents[1]
BASE = ["agent=impala", "tracker=none", "env=constant", "test.schemes=[cubic]", "test.anchors=false"]


def config(*overrides: str, mode: str = "test_local") -> Config:
    return compose([*BASE, f"mode={mode}", "test.runs=12", "env.episode_ms=3000", *overrides])


def checkpoint(folder: Path, *, lstm: bool = True, bias: list[float] | None = None) -> Path:
    """A policy that has not learnt anything, but does not always do the same."""
    torch.manual_seed(3)
    cfg = config()
    own = observation_spec(native_config(cfg))
    shape = NetworkShape(len(own["observation"]), len(own["actions"]), jobs=1)
    network = ImpalaNetwork(shape, NetworkConfig(hidden_size=16, lstm=lstm))
    with torch.no_grad():
        network.policy.weight *= 50  # so that an action depends on what is seen
        if bias is not None:
            network.policy.bias.copy_(torch.tensor(bias))
    policy = NetworkPolicy(network, spec=own, config=asdict(cfg), jobs=["constant"], step=1)
    return save_policy(folder, policy, hidden_size=16, lstm=lstm)


def table_of(cfg: Config, folder: Path) -> pd.DataFrame:
    run = RunDirectory(folder)
    table = evaluate(cfg, schemes_of(cfg, run), run.path, Console(quiet=True))
    return table[(table["scheme"] == "impala") & (table["flow"] == 0)]


@pytest.mark.parametrize("lstm", [False, True])
def test_it_plays_what_mode_test_plays(tmp_path: Path, lstm: bool) -> None:
    trained, untrained = ROOT / "policies" / "lte", tmp_path / "untrained"
    path = next(trained.glob("*.pt")) if lstm else checkpoint(untrained, lstm=False)
    overrides = [f"checkpoint={path}", "test.runs=30", "env.rate_mbps=[2,40]", "env.delay_ms=[5,60]"]
    local = table_of(config(*overrides), tmp_path / "local")
    tested = table_of(config(*overrides, mode="test"), tmp_path / "test")
    pd.testing.assert_frame_equal(local, tested)
    assert local["reward"].nunique() >= 20
    actions = pd.read_parquet(tmp_path / "local" / "series.parquet")["action"]
    assert actions.nunique() >= 3
    assert (tmp_path / "local" / "policy.mvfstrl").is_file()
    assert len(pd.read_parquet(tmp_path / "local" / "fallbacks.parquet")) == 0
    assert not (tmp_path / "test" / "fallbacks.parquet").exists()


def test_several_agents_each_have_a_policy(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "trained")
    flows = "env.flows=[{scheme: agent}, {scheme: agent, start_ms: 700}, {scheme: cubic}]"
    tables = []
    for mode in ("test_local", "test"):
        run = RunDirectory(tmp_path / mode)
        cfg = config(f"checkpoint={path}", flows, "test.runs=3", mode=mode)
        tables.append(evaluate(cfg, schemes_of(cfg, run), run.path, Console(quiet=True)))
    pd.testing.assert_frame_equal(tables[0], tables[1])


def test_an_exported_file_does_as_its_checkpoint(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "trained")
    write(load_policy(path), tmp_path / "mine.mvfstrl")
    of_file = table_of(config(f"checkpoint={tmp_path / 'mine.mvfstrl'}"), tmp_path / "a")
    pd.testing.assert_frame_equal(of_file, table_of(config(f"checkpoint={path}"), tmp_path / "b"))


def test_what_is_finished_is_not_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint(tmp_path / "trained")
    first = table_of(config(f"checkpoint={path}"), tmp_path / "run")

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("played again")

    with monkeypatch.context() as patched:
        patched.setattr(LocalPolicy, "play", never)
        pd.testing.assert_frame_equal(first, table_of(config(f"checkpoint={path}"), tmp_path / "run"))
        with pytest.raises(AssertionError, match="played again"):  # another guard, another result
            table_of(config(f"checkpoint={path}", "guard.pinned_windows=50"), tmp_path / "run")


def test_a_tight_bound_falls_back_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = config(f"checkpoint={checkpoint(tmp_path / 'trained')}", "guard.max_latency_ms=1")
    run = RunDirectory(tmp_path / "run")
    table = evaluate(cfg, schemes_of(cfg, run), run.path)
    own = table[table["scheme"] == "impala"]
    assert (own["guard_late"] == 1).all()
    assert (own["fallback_share"] > 0.9).all()
    assert (table.loc[table["scheme"] == "cubic", list(GUARD)] == 0).all(axis=None)
    assert (
        "guard: impala in constant fell back 12 times (late 12) in 12 of 12 episodes"
        in capsys.readouterr().out
    )
    fallbacks = pd.read_parquet(run.path / "fallbacks.parquet")
    assert list(fallbacks["seed"]) == list(own["seed"])
    assert set(fallbacks["reason"]) == {"late"}
    assert (fallbacks["time_ms"] == 101).all()
    assert fallbacks["until_ms"].isna().all()


@pytest.mark.parametrize(
    "override",
    [
        "guard.enabled=false",
        "guard.fallback=newreno",
        "guard.fallback={kind: fixed, window_packets: 77}",
        "guard.max_latency_ms=500",
        "guard.return_after=100",
        "guard.max_return_after=5",
    ],
)
def test_each_option_of_the_guard_changes_the_outcome(tmp_path: Path, override: str) -> None:
    """Under answers that are late now and then."""
    path = checkpoint(tmp_path / "trained")
    basis = [f"checkpoint={path}", "test.runs=4", "env.episode_ms=12000", "guard.return_after=4"]
    basis += [
        "guard.max_return_after=30",
        "env.action_delay_ms={samples: [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 150]}",
    ]
    if override == "guard.return_after=100":
        basis[-2] = "guard.max_return_after=100"
    plain = table_of(config(*basis), tmp_path / "plain")
    changed = table_of(config(*basis, override), tmp_path / "changed")
    assert plain["guard_late"].sum() > 0
    assert not plain["throughput_mbps"].equals(changed["throughput_mbps"])


def test_pinned_windows_changes_the_outcome(tmp_path: Path) -> None:
    doubles = checkpoint(tmp_path / "trained", bias=[0.0, 0.0, 0.0, 0.0, 1e6])
    basis = [f"checkpoint={doubles}", "test.runs=2"]
    assert table_of(config(*basis), tmp_path / "plain")["guard_pinned_max"].sum() == 0
    tight = table_of(config(*basis, "guard.pinned_windows=5"), tmp_path / "tight")
    assert (tight["guard_pinned_max"] >= 1).all()


def test_a_policy_without_numbers_falls_back(tmp_path: Path) -> None:
    broken = checkpoint(tmp_path / "trained", bias=[0.0, math.nan, 0.0, 0.0, 0.0])
    table = table_of(config(f"checkpoint={broken}", "test.runs=2"), tmp_path / "run")
    assert (table["guard_non_finite"] == 1).all()


def test_precision_and_instructions_are_those_that_play(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "trained")
    models = {}
    for precision in ("fp32", "bf16"):
        cfg = config(f"checkpoint={path}", f"local.precision={precision}", "local.instructions=portable")
        policy = schemes_of(cfg, RunDirectory(tmp_path / precision))[0].policy
        assert isinstance(policy, LocalPolicy)
        assert policy.model.instructions == "portable"
        models[precision] = policy.model
    assert models["fp32"].precision == "fp32"
    assert models["bf16"].precision == "bf16"
    assert models["bf16"].weight_bytes < models["fp32"].weight_bytes
    wanted = config(f"checkpoint={tmp_path / 'bf16' / 'policy.mvfstrl'}", "local.precision=fp32")
    with pytest.raises(CheckpointError, match=r"local\.precision: .* holds bf16, not fp32"):
        schemes_of(wanted, RunDirectory(tmp_path / "again"))


def test_a_file_of_another_spec_is_refused_with_the_difference(tmp_path: Path) -> None:
    write(load_policy(checkpoint(tmp_path / "trained")), tmp_path / "mine.mvfstrl")
    cfg = config(f"checkpoint={tmp_path / 'mine.mvfstrl'}", "history.window_ms=50")
    with pytest.raises(CheckpointError, match="window_ms=100"):
        schemes_of(cfg, RunDirectory(tmp_path / "run"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("guard.fallback=cubik", "guard.fallback: must be one of .*did you mean cubic"),
        ("guard.fallback=random", "guard.fallback: must be one of"),
        ("guard.fallback={kind: cubic, betta: 1}", "guard.fallback.betta: unknown key"),
        ("guard.max_latency_ms=0", "guard.max_latency_ms: must be positive"),
        ("guard.max_return_after=3", "guard.max_return_after: must be at least return_after"),
        ("local.precision=fp16", "local.precision: must be one of auto, fp32, bf16"),
        ("local.instructions=mmx", "local.instructions: must be one of auto, portable"),
        ("test.shuffle_observations=true", "test.shuffle_observations: mode=test plays it"),
    ],
)
def test_bad_options_are_named(tmp_path: Path, override: str, message: str) -> None:
    from mvfstrl.config.validate import validate

    cfg = config(f"checkpoint={checkpoint(tmp_path / 'trained')}", override)
    with pytest.raises(ConfigError, match=message):
        validate(cfg, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), (b"MVFSTRLP torn", "policy.mvfstrl")]
)
def test_a_missing_or_torn_file_ends_the_run_with_its_cause(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "policy.mvfstrl"
    if content is not None:
        path.write_bytes(content)
    command = [sys.executable, str(ROOT / "run.py"), *BASE, "mode=test_local", f"checkpoint={path}"]
    done = subprocess.run(
        [*command, f"hydra.run.dir={tmp_path / 'run'}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: checkpoint: ")
    assert message in done.stderr


def test_rows_and_lines_of_a_guarded_flow() -> None:
    def event(time_ms: float, driver: str) -> dict[str, Any]:
        return {"time_ms": time_ms, "driver": driver, "reason": "late", "window_bytes": 12520}

    counts = dict.fromkeys(GUARD_REASONS, 0) | {"late": 2}
    events = [event(100.0, "fallback"), event(2100.0, "policy"), event(2500.0, "fallback")]
    flow: dict[str, Any] = dict.fromkeys(("throughput_mbps", "utilisation", "delay_mean_ms", "loss"), 1.0)
    flow |= dict.fromkeys(("delay_p95_ms", "queue_loss", "queue_delay_mean_ms", "queue_delay_p95_ms"), 1.0)
    flow |= {"flow": 0, "scheme": "external"}
    flow["guard"] = {"fallbacks": counts, "fallback_share": 0.25, "events": events}
    report = {"seed": 7, "steps": 10, "skipped_observations": 0, "return": 1.0, "flows": [flow]}
    first, second = fallbacks_of(report, "impala", "lte")
    assert (first["time_ms"], first["until_ms"]) == (100.0, 2100.0)
    assert second["time_ms"] == 2500.0
    assert math.isnan(second["until_ms"])
    (line,) = guard_lines(frame(rows_of(report, "impala", "lte")))
    assert line == "guard: impala in lte fell back 2 times (late 2) in 1 of 1 episodes, 25.0% of the time"
