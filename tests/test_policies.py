"""The policies that the repository carries work with the program as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvfstrl.config import compose
from pantheon.episodes import play
from pantheon.schemes import native_of, trained

ROOT = Path(__file__).resolve().parents[1]


def test_every_policy_is_tested_here() -> None:
    assert sorted(folder.name for folder in (ROOT / "policies").iterdir()) == ["general", "lte", "pantheon"]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("general", ["experiment=general", "env=constant"]),
        ("lte", ["env=lte"]),
        ("pantheon", ["experiment=pantheon", "env=bdp_90kb"]),
    ],
)
def test_a_policy_fills_the_link_and_keeps_the_queue_short(name: str, overrides: list[str]) -> None:
    cfg = compose([*overrides, "mode=test", "env.episode_ms=10000", "device=cpu"])
    scheme = trained(name, ROOT / "policies" / name, cfg, "checkpoint")
    (scenario,) = cfg.env.scenarios
    (report,) = play(native_of(cfg, scheme, scenario), [7], policy=scheme.policy).reports
    (flow,) = report["flows"]
    assert flow["utilisation"] > 0.6
    assert flow["queue_delay_p50_ms"] < 200.0
