"""The pages that describe the native spec say what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mvfstrl import spec_doc
from mvfstrl._native import default_alternatives, default_config, observation_fields, observation_spec


def test_the_committed_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert spec_doc.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_or_missing_page_is_noticed_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spec_doc, "PAGE", tmp_path / "environment.md")
    assert spec_doc.main(["--check"]) == 1
    spec_doc.PAGE.write_text(spec_doc.page() + "by hand\n", encoding="utf-8")
    assert spec_doc.main(["--check"]) == 1
    assert "run python -m mvfstrl.spec_doc" in capsys.readouterr().err
    assert spec_doc.main([]) == 0
    assert spec_doc.main(["--check"]) == 0


def test_the_page_places_every_element() -> None:
    size = len(observation_spec(default_config())["observation"])
    ranges = re.findall(r"^\| (\d+)-(\d+) \| `(\w+)`", spec_doc.page(), re.MULTILINE)
    assert [name for _, _, name in ranges] == [field["name"] for field in observation_fields()]
    placed = [0, *(i for first, last, _ in ranges for i in range(int(first), int(last) + 1))]
    [(first, last)] = re.findall(r"^Elements (\d+) to (\d+) are the last", spec_doc.page(), re.MULTILINE)
    placed += range(int(first), int(last) + 1)
    assert placed == list(range(size))


def test_the_rewards_page_has_every_weight_and_its_default(project_root: Path) -> None:
    text = (project_root / "docs" / "rewards.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    rewards = default_alternatives()["reward"]
    assert set(sections) == set(rewards)
    for kind, weights in rewards.items():
        documented = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", sections[kind], re.MULTILINE))
        expected = {name: str(value).lower() for name, value in weights.items() if name != "kind"}
        assert documented == expected, kind
