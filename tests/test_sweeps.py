"""Sweep files give the jobs that they say, from the command line too."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from mvfstrl.config import compose, config_folder, native_config
from mvfstrl.config.compose import register
from mvfstrl.config.validate import validate
from mvfstrl.sweep.plan import combinations, parse
from mvfstrl.sweep.space import search_space

ROOT = Path(__file__).resolve().parents[1]


def jobs(sweep: str) -> list[list[str]]:
    """The overrides of every job of a sweep file."""
    register()
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        overrides = [f"+sweeps={sweep}", f"hydra.searchpath=[file://{ROOT}]"]
        composed = hydra.compose("config", overrides=overrides, return_hydra_config=True)
        params = [f"{key}={value}" for key, value in composed.hydra.sweeper.params.items()]
    (batch,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(params), None)
    return [list(job) for job in batch]


def sweeper_of(sweep: str) -> Any:
    register()
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        overrides = [f"+sweeps={sweep}", f"hydra.searchpath=[file://{ROOT}]"]
        if "hydra/sweeper=optuna" in (ROOT / "sweeps" / f"{sweep}.yaml").read_text(encoding="utf-8"):
            overrides.append("hydra/sweeper=optuna")
        return hydra.compose("config", overrides=overrides, return_hydra_config=True).hydra.sweeper


def told_runs() -> dict[str, int]:
    """By the table of sweeps/README.md."""
    told = {}
    for row in (ROOT / "sweeps" / "README.md").read_text(encoding="utf-8").splitlines():
        if row.startswith("| `"):
            names, counts = row.split(" | ")[:2]
            told.update(zip(re.findall(r"`(\w+)\.yaml`", names), map(int, counts.split(",")), strict=True))
    return told


def test_the_readme_lists_every_sweep() -> None:
    assert set(told_runs()) == {path.stem for path in (ROOT / "sweeps").glob("*.yaml")}


@pytest.mark.parametrize("sweep", sorted(told_runs()))
def test_a_sweep_has_the_runs_that_are_told_and_they_can_run(sweep: str, tmp_path: Path) -> None:
    sweeper = sweeper_of(sweep)
    if "n_trials" in sweeper:
        space = search_space(parse(sweeper.params, [], None))
        assert sweeper.n_trials == told_runs()[sweep]
        points = [space.overrides(point) for point in space.corners()]
    else:
        points = combinations(parse(sweeper.params, [], None))
        assert len(points) == told_runs()[sweep]
        points = [points[0], points[-1]]
    for point in points:
        classic = ["mode=test", "agent=cubic"] if sweep == "ccbench" else []
        validate(compose([*point, *classic]), tmp_path)


def examples() -> list[str]:
    """Of sweeps/README.md, in their order."""
    text = (ROOT / "sweeps" / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(
    ("index", "runs", "objective"),
    [(0, 12, ["reward"]), (1, 40, ["reward"]), (2, 24, ["throughput_mbps", "delay_p95_ms"])],
)
def test_an_example_of_the_readme_can_run(
    index: int, runs: int, objective: list[str], tmp_path: Path
) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "mine.yaml").write_text(examples()[index])
    register()
    overrides = ["+sweeps=mine", f"hydra.searchpath=[file://{tmp_path}]"]
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        chosen = [*overrides, *(["hydra/sweeper=optuna"] if index else [])]
        composed = hydra.compose("config", overrides=chosen, return_hydra_config=True)
    assert list(composed.objective) == objective
    said = parse(composed.hydra.sweeper.params, [], None)
    if index:
        space = search_space(said)
        assert composed.hydra.sweeper.n_trials == runs
        points = [space.overrides(point) for point in space.corners()]
    else:
        points = combinations(said)
        assert len(points) == runs
    for point in points:
        validate(compose(point), tmp_path)


def path(overrides: list[str]) -> dict[str, Any]:
    (scenario,) = native_config(compose(overrides))["scenarios"]
    assert isinstance(scenario, dict)
    return scenario


def test_ccbench_is_150_different_paths() -> None:
    all_jobs = jobs("ccbench")
    assert len(all_jobs) == len({tuple(job) for job in all_jobs}) == 150
    for job in (all_jobs[0], all_jobs[77], all_jobs[-1]):
        given = dict(override.split("=") for override in job)
        drawn = path(job)
        assert drawn["uplink"]["mbps"]["high"] == float(given["env.rate_mbps"])
        assert drawn["delay_ms"]["high"] == float(given["env.delay_ms"])
        assert drawn["queue"]["bdp"]["high"] == float(given["env.queue.bdp"])
        assert drawn["queue"]["packets"] is None
    grid = itertools.product((12, 24, 48, 96, 192), (5, 10, 20, 40, 80), (0.5, 1, 2, 4, 8, 16))
    found = {
        tuple(float(override.split("=")[1]) for override in job if "env." in override) for job in all_jobs
    }
    assert found == {tuple(map(float, point)) for point in grid}


def test_a_part_of_it_runs_from_the_command_line(tmp_path: Path) -> None:
    arguments = ["run.py", "-m", "--config-dir", ".", "+sweeps=ccbench", "mode=test", "agent=fixed"]
    arguments += ["env.rate_mbps=12", "env.delay_ms=5,10", "env.queue.bdp=1", "env.episode_ms=1000"]
    arguments += [
        "tracker=none",
        "test.schemes=[cubic]",
        "test.anchors=false",
        "test.report=false",
        "test.runs=1",
        f"hydra.sweep.dir={tmp_path}",
    ]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = sorted(folder.name for folder in tmp_path.iterdir() if folder.is_dir())
    assert runs == ["0", "1"]
    assert all((tmp_path / run / "results.parquet").is_file() for run in runs)
