"""`run.py --help` and the hints for misspelt names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from mvfstrl.config import compose, config_folder, native_config
from mvfstrl.help import groups, hints

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("env=ltee", "env=lte"),
        ("env=[lte,umst]", "env=[lte,umts]"),
        ("agent=imapla", "agent=impala"),
        ("totl_steps=5", "total_steps=5"),
        ("env.delay=3", "env.delay_ms=3"),
        ("agent.learning_rate=0.1", "agent.optimizer.learning_rate=0.1"),
        ("job_id=critic", "agent.network.job_id=critic"),
        ("evn=lte", "env=lte"),
        ("actors.envs=8", "actors.simulated=8"),
        ("env.scenarios.lte.dealy_ms=3", "env.scenarios.lte.delay_ms=3"),
    ],
)
def test_a_near_match_is_hinted(argument: str, meant: str) -> None:
    assert hints(["seed=1", argument]) == [f"Did you mean {meant}?"]


@pytest.mark.parametrize(
    "argument", ["env=lte", "seed=3", "env=satellite", "--help", "a=b=c=[", "env.delay_ms=[1,2]"]
)
def test_nothing_is_hinted_without_a_near_match(argument: str) -> None:
    assert hints([argument]) == []


def test_keys_are_those_of_the_chosen_agent() -> None:
    assert hints(["agent=cubic", "agent.controler.beta=1"]) == ["Did you mean agent.controller.beta=1?"]


def examples() -> list[str]:
    """The command lines that the help and the guide show."""
    pages = (config_folder() / "hydra/help/mvfst_rl.yaml", ROOT / "docs/configuration.md", ROOT / "README.md")
    lines = [line.strip() for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    return sorted(
        {line.split("  ")[0] for line in lines if line.startswith("python run.py ") and "[mode" not in line}
    )


@pytest.mark.parametrize("line", examples())
def test_examples_compose(line: str) -> None:
    arguments = shlex.split(line.split(" #")[0])[2:]
    overrides = [
        a for a in arguments if not a.startswith("-") and a not in ("job",) and not a.startswith("hydra.")
    ]
    if "-m" in arguments:  # each combination is a run of its own
        overrides = [override.split(",")[0] for override in overrides]
    native_config(compose(overrides))


@pytest.mark.parametrize("group", groups())
def test_the_guide_has_every_option(group: str) -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    section = next(part for part in text.split("\n## ") if part.startswith(f"`{group}`"))
    assert [option for option in groups()[group] if f"`{option}`" not in section] == []


def test_help_names_every_group_and_option() -> None:
    template = yaml.safe_load((config_folder() / "hydra/help/mvfst_rl.yaml").read_text())["template"]
    listed = template[template.index("Groups") : template.index("Common knobs")]
    for group, options in groups().items():
        told = re.search(rf"^  {group} .*(\n {{8}}.*)*", listed, re.MULTILINE)
        assert told, group
        missing = [option for option in options if option not in re.split(r"[\s|;,:]+", told[0])]
        assert missing == [], group


@pytest.mark.parametrize(
    "key", ["seed", "total_steps", "device", "agent.optimizer.learning_rate", "actors.simulated"]
)
def test_help_shows_defaults_as_they_are(key: str) -> None:
    template = yaml.safe_load((config_folder() / "hydra/help/mvfst_rl.yaml").read_text())["template"]
    shown = re.search(rf"^  {re.escape(key)}=(\S+)", template, re.MULTILINE)
    assert shown
    assert compose([f"{key}={shown[1]}"]) == compose([])
