"""Documentation held against the code: links, configuration keys, the examples of docs/outputs.md."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def example(name: str) -> str:
    """The fenced block after `<!-- check: NAME -->`."""
    text = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- check: {name} -->\n```\w+\n(.*?)\n```", text, re.DOTALL)
    assert found, f"docs/outputs.md has no example {name}"
    return found.group(1)


def json_example(name: str) -> Any:
    return json.loads(example(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


TREES = "conf|docs|mvfstrl|native|pantheon|tests|tools"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    if page.parent.name == "decisions":
        return  # records of their day
    named = set(re.findall(rf"(?<![\w./])((?:{TREES})/[\w./-]*\w)", page.read_text(encoding="utf-8")))
    placeholders = re.compile(r"NAME|-v\d$")  # -v0: an environment of Gymnasium's registry
    assert not {name for name in named if not placeholders.search(name) and not (ROOT / name).exists()}


def config_keys() -> set[str]:
    """Every dotted key that some composition of the configuration has."""
    from mvfstrl.config import compose

    def walk(value: Any, path: str) -> set[str]:
        keys = {path} if path else set()
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                keys |= walk(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
        elif path == "transport":
            keys |= {f"{path}.{key}" for key in value}
        return keys

    choices = [[], ["agent=cubic"], ["reward=linear"]]
    return set().union(*(walk(compose(overrides), "") for overrides in choices))


@pytest.mark.parametrize(
    "page", ["docs/migration.md", "README.md", "docs/architecture.md", "CONTRIBUTING.md"]
)
def test_configuration_keys_in_prose_exist(page: str) -> None:
    groups = "agent|env|actions|reward|history|transport|tracker|test|local|guard|actors"
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {
        key
        for key in re.findall(rf"(?<![\w./-])((?:{groups})\.\w[\w.]*\w)", text)
        if not key.endswith((".py", ".h", ".md"))
    }
    assert not named - config_keys()


def test_defaults_named_in_the_migration_table() -> None:
    from mvfstrl.config import compose

    cfg, wrong, seen = compose(), [], 0
    for row in (ROOT / "docs" / "migration.md").read_text(encoding="utf-8").splitlines():
        ours = row.split(" | ")[-1] if row.startswith("| `") else ""
        for key, told in re.findall(r"`([a-z_.]+)` \(([\w.-]+)[),]", ours):
            value: Any = cfg
            for part in key.split("."):
                value = getattr(value, part)
            seen += 1
            if yaml.safe_load(told) != value:
                wrong.append(f"{key}: told {told}, is {value}")
    assert not wrong
    assert seen >= 10


def test_config_example() -> None:
    from mvfstrl.config import compose

    shown = yaml.safe_load(example("config"))
    actual = dataclasses.asdict(compose())
    assert list(shown) == list(actual)
    for key, value in shown.items():
        for inner in value if isinstance(value, dict) else {}:
            assert inner in actual[key], f"{key}.{inner}"


def test_versions_example() -> None:
    from mvfstrl.rundir import versions

    shown, actual = json_example("versions"), versions()
    assert list(shown) == list(actual)
    assert set(shown["packages"]) <= set(actual["packages"])
    assert set(shown["git"]) == {"revision", "dirty"}


def test_outcome_example() -> None:
    from mvfstrl.outcome import OBJECTIVES, Outcome, State

    shown = json_example("outcome")
    assert list(shown) == [field.name for field in dataclasses.fields(Outcome)]
    assert set(shown["scores"]) == set(OBJECTIVES)
    text = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    assert all(f"`{state}`" in text for state in State)


def test_sweep_example() -> None:
    from mvfstrl.sweep.record import Run, SweepRecord

    shown = json_example("sweep")
    assert list(shown) == [field.name for field in dataclasses.fields(SweepRecord)]
    assert list(shown["runs"][0]) == [field.name for field in dataclasses.fields(Run)]


def test_jobs_example(tmp_path: Path) -> None:
    from mvfstrl.cluster.jobs import Job, write_jobs

    shown = json_example("jobs")
    write_jobs(tmp_path, [Job(*job.values()) for job in shown["jobs"]])
    written = json.loads((tmp_path / "jobs.json").read_text())
    assert list(written) == list(shown)
    assert written["jobs"] == shown["jobs"]
    assert [list(job) for job in written["jobs"]] == [list(job) for job in shown["jobs"]]


def test_results_example() -> None:
    from pantheon.results import COLUMNS

    assert list(json_example("results")) == list(COLUMNS)


def test_series_example() -> None:
    from pantheon.results import SERIES, SERIES_KEYS

    assert list(json_example("series")) == [*SERIES_KEYS, *SERIES]


def test_fallbacks_example() -> None:
    from pantheon.results import FALLBACKS

    assert list(json_example("fallbacks")) == list(FALLBACKS)


def test_cell_example(tmp_path: Path) -> None:
    import gzip

    from pantheon.cells import CellStore

    shown = json_example("cell")
    store = CellStore(tmp_path, print)
    store.save("cubic", "lte", shown["key"], shown["content"])
    actual = json.loads(gzip.decompress(store.path("cubic", "lte").read_bytes()))
    assert list(shown) == list(actual)
    assert (shown["format"], shown["version"]) == (actual["format"], actual["version"])


def test_agreement_example() -> None:
    from mvfstrl.agreement import Agreement, describe

    assert describe("fp32 avx512", Agreement(1_000_192, 1.3e-6, 0)) == example("agreement")


def test_replay_example() -> None:
    from pantheon.replay import Report, describe

    log = Path("s1.up.gz")
    assert describe(log, Report(1834, 1790, 44, None)) == example("replay")


def test_bench_example(project_root: Path) -> None:
    from mvfstrl import bench_train

    native = (project_root / "tools" / "bench.py").read_text(encoding="utf-8")
    for name, figure in json_example("bench").items():
        network = name.removeprefix("train_steps_per_cpu_second_")
        assert bench_train.GOALS.get(network) == figure["goal"] or f'"{name}": {figure["goal"]:_},' in native
        assert list(figure) == ["value", "unit", "goal", "recorded"]


def test_fidelity_example() -> None:
    from pantheon.fidelity import Difference

    (row,) = json_example("fidelity")
    assert list(row) == ["scenario", "scheme", "repeat", "seeds", "marked", "metrics"]
    fields = [field.name for field in dataclasses.fields(Difference)]
    assert list(row["metrics"]["throughput_mbps"]) == [*fields, "difference", "marked"]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training run."""
    folder = tmp_path_factory.mktemp("run")
    overrides = ["env=constant", "total_steps=1000", "agent.unroll_length=10", "actors.simulated=4"]
    overrides += ["env.episode_ms=2000", "tracker=none", "device=cpu", "test.runs=1", "test.schemes=[cubic]"]
    command = [sys.executable, str(ROOT / "run.py"), *overrides, f"hydra.run.dir={folder}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_a_run_leaves_the_files_that_the_page_lists(finished_run: Path) -> None:
    table = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8").split("### config.yaml")[0]
    listed = {re.sub(r"\d{12}", "*", name) for name in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}
    files = [file.relative_to(finished_run) for file in finished_run.rglob("*") if file.is_file()]
    left = {re.sub(r"\d{12}", "*", str(file)) for file in files if file.parts[0] != ".hydra"}
    left = {re.sub(r"^cells/.*", "cells/SCHEME/SCENARIO.json.gz", file) for file in left}
    left = {re.sub(r"^report/figures/.*", "report/figures/FIGURE", file) for file in left}
    assert left <= listed
    optional = {"non_finite_batch_*.pt", "qlog/SCHEME/SCENARIO-SEED-flowN.sqlog"}
    optional |= {"policy.onnx", "policy.pt2", "fallbacks.parquet"}
    optional |= {
        "certificates/",
        "latency.parquet",
        "cells/episodes/SCHEME/SCENARIO-SEED.json.gz",
    }  # real time
    optional |= {"qlog/SCHEME/SCENARIO-SEED.qlog", "links/SCHEME/SCENARIO-SEED.uplink.log"}
    assert listed - left == optional


def test_metrics_example(finished_run: Path) -> None:
    rows = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    assert set(json_example("metrics")) == set().union(*rows)


def test_checkpoint_example(finished_run: Path) -> None:
    import torch

    (path, *_) = sorted((finished_run / "checkpoints").iterdir())
    shown, actual = json_example("checkpoint"), torch.load(path, weights_only=True)
    assert list(shown) == list(actual)
    assert set(shown["content"]) == set(actual["content"])
    assert (shown["format"], shown["version"]) == (actual["format"], actual["version"])
