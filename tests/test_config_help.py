"""`run.py --help` and the hints for misspelt names."""

from __future__ import annotations

import pytest
import yaml

from mvfstrl.config import config_folder
from mvfstrl.help import groups, hints


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("env=ltee", "env=lte"),
        ("env=[lte,umst]", "env=[lte,umts]"),
        ("agent=imapla", "agent=impala"),
        ("totl_steps=5", "total_steps=5"),
        ("env.delay=3", "env.delay_ms=3"),
        ("agent.learning_rate=0.1", "agent.optimizer.learning_rate=0.1"),
        ("evn=lte", "env=lte"),
        ("env.scenarios.lte.dealy_ms=3", "env.scenarios.lte.delay_ms=3"),
    ],
)
def test_a_near_match_is_hinted(argument: str, meant: str) -> None:
    assert hints(["seed=1", argument]) == [f"Did you mean {meant}?"]


@pytest.mark.parametrize(
    "argument", ["env=lte", "seed=3", "env=zzzzz", "--help", "a=b=c=[", "env.delay_ms=[1,2]"]
)
def test_nothing_is_hinted_without_a_near_match(argument: str) -> None:
    assert hints([argument]) == []


def test_keys_are_those_of_the_chosen_agent() -> None:
    assert hints(["agent=cubic", "agent.controler.beta=1"]) == ["Did you mean agent.controller.beta=1?"]


def test_help_names_every_group_and_option() -> None:
    template = yaml.safe_load((config_folder() / "hydra/help/mvfst_rl.yaml").read_text())["template"]
    listed = template[template.index("Groups") : template.index("Common knobs")]
    for group, options in groups().items():
        line = next(line for line in listed.splitlines() if line.split()[:1] == [group])
        for option in options:
            assert option in line.replace("|", " ").replace(";", " ").split(), f"{group}={option}"
