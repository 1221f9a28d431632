"""Documentation held against the code: links, configuration keys, the examples of docs/outputs.md."""

from __future__ import annotations

import dataclasses
import json
import re
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


def config_keys() -> set[str]:
    """Every dotted key that some composition of the configuration has."""
    from mvfstrl.config import compose

    def walk(value: Any, path: str) -> set[str]:
        keys = {path} if path else set()
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                keys |= walk(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
        return keys

    choices = [[], ["agent=cubic"], ["reward=linear"]]
    return set().union(*(walk(compose(overrides), "") for overrides in choices))


@pytest.mark.parametrize(
    "page", ["docs/migration.md", "README.md", "docs/architecture.md", "CONTRIBUTING.md"]
)
def test_configuration_keys_in_prose_exist(page: str) -> None:
    groups = "agent|env|actions|reward|history|transport|tracker|test|actors"
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {
        key
        for key in re.findall(rf"(?<![\w./-])((?:{groups})\.\w[\w.]*\w)", text)
        if not key.endswith((".py", ".h"))
    }
    assert not named - config_keys()


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


def test_results_example() -> None:
    from pantheon.results import COLUMNS

    assert list(json_example("results")) == list(COLUMNS)


def test_replay_example() -> None:
    from pantheon.replay import Report, describe

    log = Path("s1.up.gz")
    assert describe(log, Report(1834, 1790, 44, None)) == example("replay")


def test_bench_example(project_root: Path) -> None:
    goals = (project_root / "tools" / "bench.py").read_text(encoding="utf-8")
    for name, figure in json_example("bench").items():
        assert f'"{name}": {figure["goal"]:_},' in goals
        assert list(figure) == ["value", "unit", "goal"]


def test_fidelity_example() -> None:
    from pantheon.fidelity import Difference

    (row,) = json_example("fidelity")
    assert list(row) == ["scenario", "scheme", "repeat", "seeds", "marked", "metrics"]
    fields = [field.name for field in dataclasses.fields(Difference)]
    assert list(row["metrics"]["throughput_mbps"]) == [*fields, "difference", "marked"]
