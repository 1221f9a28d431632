"""Configuration: what the groups compose to, what the native core is given, what is refused and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException

from mvfstrl.agents.impala.config import ImpalaConfig
from mvfstrl.agents.schemes import SCHEMES
from mvfstrl.config import Config, compose, native_config
from mvfstrl.config.ranges import parse_range
from mvfstrl.config.validate import _user_key, validate
from mvfstrl.errors import ConfigError
from mvfstrl.help import groups
from mvfstrl.native_defaults import native_default

TRACE = "1\n2\n2\n5\n"


def constant(value: float) -> dict[str, Any]:
    return {"low": value, "high": value, "log": False}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "path.up"
    file.write_text(TRACE)
    return file


# --- composition ---


@pytest.mark.parametrize(
    "override", [f"{group}={option}" for group, options in groups().items() for option in options]
)
def test_every_option_of_every_group_composes(override: str) -> None:
    assert native_config(compose([override, *(["env.uplink=x"] if override == "env=trace" else [])]))


def test_code_gets_typed_objects() -> None:
    cfg = compose(["agent.optimizer.learning_rate=0.25"])
    assert isinstance(cfg, Config)
    assert isinstance(cfg.agent, ImpalaConfig)
    assert cfg.agent.optimizer.learning_rate == 0.25
    assert isinstance(compose(["agent=cubic"]).agent, SCHEMES["cubic"])


def test_without_overrides_the_core_gets_its_own_defaults() -> None:
    """Each default stands once; `env=constant` alone restates its link, delay and queue, to be read."""
    built = native_config(compose(["env=constant"]))
    built["scenarios"][0]["name"] = native_default("scenarios.0.name")
    defaults = {key: value for key, value in native_default("").items() if key != "kinds"}
    assert built == defaults


def test_typed_groups_have_exactly_the_native_keys() -> None:
    for reward in groups()["reward"]:
        assert set(native_config(compose([f"reward={reward}"]))["reward"]) == set(
            native_default(f"kinds.reward.{reward}")
        )


def test_several_environments_become_one_multi_task_run() -> None:
    cfg = compose(["env=[lte,umts]"])
    assert [scenario["name"] for scenario in native_config(cfg)["scenarios"]] == ["lte", "umts"]


def test_unknown_names_and_wrong_types_are_refused_by_hydra() -> None:
    for override in ("env=lt", "env.delay=3", "agent.nope=1", "total_steps=many", "mode=trian"):
        with pytest.raises((HydraException, OSError)):
            compose([override])


# --- ranges ---


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (12, constant(12.0)),
        ([6, 24], {"low": 6.0, "high": 24.0, "log": False}),
        ({"low": 1, "high": 100, "log": True}, {"low": 1.0, "high": 100.0, "log": True}),
        ({"low": 1, "high": 100}, {"low": 1.0, "high": 100.0, "log": False}),
    ],
)
def test_ranges(given: Any, expected: dict[str, Any]) -> None:
    assert parse_range("env.rate_mbps", given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "must be above 0, got 0"),
        (-3, "must be above 0, got -3"),
        ([0, 5], "must be above 0, got 0"),
        ([5, 1], "low end 5 is above its high end 1"),
        ([1, 2, 3], r"a range is \[low, high\]"),
        ("fast", "must be a number"),
        (True, "must be a number"),
        (None, "must be a number"),
        (float("nan"), "must be finite"),
        ({"low": 1}, "a range has low, high"),
        ({"low": 1, "high": 2, "lgo": True}, "a range has low, high"),
        ({"low": 1, "high": 2, "log": 1}, r"\.log: must be true or false"),
    ],
)
def test_bad_ranges_name_the_key(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^env.rate_mbps.*{message}"):
        parse_range("env.rate_mbps", given, above=0.0)


def test_a_logarithmic_range_needs_a_positive_low_end() -> None:
    with pytest.raises(ConfigError, match="logarithmic range needs a low end above 0"):
        parse_range("env.loss", {"low": 0, "high": 1, "log": True}, at_least=0.0)


# --- overrides for every scenario ---


def test_overrides_reach_every_scenario() -> None:
    cfg = compose(["env=[constant,poisson]", "env.rate_mbps=[6,24]", "env.delay_ms=[10,80]", "env.loss=0.01"])
    for scenario in native_config(cfg)["scenarios"]:
        assert scenario["uplink"]["mbps"] == {"low": 6.0, "high": 24.0, "log": False}
        assert scenario["downlink"]["mbps"] == {"low": 6.0, "high": 24.0, "log": False}
        assert scenario["delay_ms"] == {"low": 10.0, "high": 80.0, "log": False}
        assert scenario["loss"] == constant(0.01)


def test_one_scenario_can_be_changed_alone() -> None:
    cfg = compose(["env=[constant,poisson]", "env.scenarios.poisson.delay_ms=7"])
    assert [scenario["delay_ms"]["low"] for scenario in native_config(cfg)["scenarios"]] == [20.0, 7.0]


def test_asking_for_loss_means_in_every_episode() -> None:
    random = native_config(compose(["env=random"]))["scenarios"][0]
    assert random["loss_probability"] == 0.2
    assert native_config(compose(["env=random", "env.loss=0.02"]))["scenarios"][0]["loss_probability"] == 1.0
    both = compose(["env=random", "env.loss=0.02", "env.loss_probability=0.5"])
    assert native_config(both)["scenarios"][0]["loss_probability"] == 0.5


def test_a_queue_bound_replaces_the_scenarios_own_bounds() -> None:
    queue = native_config(compose(["env=random", "env.queue.packets=50"]))["scenarios"][0]["queue"]
    assert (queue["packets"], queue["bytes"], queue["bdp"]) == (constant(50.0), None, None)


def test_a_queue_kind_keeps_the_bounds_unless_it_has_none() -> None:
    codel = native_config(compose(["env=constant", "env.queue.kind=codel", "env.queue.codel={target_ms: 9}"]))
    assert codel["scenarios"][0]["queue"]["packets"] == constant(100.0)
    assert codel["scenarios"][0]["queue"]["codel"] == {
        **native_default("scenarios.0.queue.codel"),
        "target_ms": 9,
    }
    infinite = native_config(compose(["env=constant", "env.queue.kind=infinite"]))["scenarios"][0]["queue"]
    assert infinite["packets"] is None


def test_rate_scale_multiplies_links_of_known_rate() -> None:
    scaled = native_config(compose(["env=constant", "env.rate_scale=[0.5,2]"]))["scenarios"][0]
    assert scaled["uplink"]["mbps"] == {"low": 6.0, "high": 24.0, "log": False}
    cellular = compose(["env=constant", "env.rate_scale=[0.5,2]"])
    cellular.env.scenarios["constant"].uplink = {"kind": "cellular"}
    assert native_config(cellular)["scenarios"][0]["uplink"]["scale"] == {
        "low": 0.5,
        "high": 2.0,
        "log": False,
    }


def test_a_trace_plays_the_files_and_the_part_that_env_names() -> None:
    cfg = compose(["env=trace", "env.uplink=a.up", "env.downlink=a.down", "env.from_fraction=0.5"])
    scenario = native_config(cfg)["scenarios"][0]
    assert scenario["uplink"]["file"] == "a.up"
    assert scenario["downlink"]["file"] == "a.down"
    assert scenario["uplink"]["from_fraction"] == scenario["downlink"]["from_fraction"] == 0.5


def test_a_trace_without_downlink_plays_the_uplinks_file() -> None:
    scenario = native_config(compose(["env=trace", "env.uplink=a.up"]))["scenarios"][0]
    assert scenario["downlink"]["file"] == "a.up"


# --- agents, actions, flows ---


def test_agents_become_controllers() -> None:
    cfg = compose(["agent=cubic", "agent.controller.beta=0.5"])
    assert native_config(cfg)["flows"][0]["controller"] == {
        **native_default("kinds.controller.cubic"),
        "beta": 0.5,
    }
    assert native_config(compose())["flows"][0]["controller"] == {"kind": "external"}
    assert native_config(compose(), agent=cfg.agent)["flows"][0]["controller"]["beta"] == 0.5


def test_every_typed_knob_reaches_the_core() -> None:
    overrides = ["history=count", "history.window_ms=50", "history.window_events=3", "history.length=7"]
    overrides += ["reward=linear", "reward.delay_factor=0.25", "env.episode_ms=5000"]
    overrides += ["actions.min_window_packets=3", "actions.max_window_packets=9"]
    overrides += ["actions.initial_window_packets=5", "transport=virtual_paced"]
    cfg = compose(overrides)
    built = native_config(cfg)
    expected = {"window_kind": "count", "window_ms": 50.0, "window_events": 3, "history": 7}
    assert built["observation"] == expected
    assert (built["reward"]["kind"], built["reward"]["delay_factor"]) == ("linear", 0.25)
    assert built["episode_ms"] == 5000.0
    assert built["transport"]["pacing"] == "always"
    bounds = [built["actions"][f"{name}_window_packets"] for name in ("min", "initial", "max")]
    assert bounds == [3, 5, 9]


def test_unquoted_actions_keep_their_signs() -> None:
    cfg = compose(["actions.choices=[0,/2,-10,+10,*2,*1.1]"])
    assert native_config(cfg)["actions"]["list"] == ["0", "/2", "-10", "+10", "*2", "*1.1"]


def test_flows_share_the_path() -> None:
    cubic = "{scheme: cubic, start_ms: 5000, controller: {beta: 0.5}, app: on_off}"
    cfg = compose([f"env.flows=[{{scheme: agent}},{cubic}]"])
    flow = native_config(cfg)["flows"][1]
    assert flow["controller"] == {**native_default("kinds.controller.cubic"), "beta": 0.5}
    assert flow["start_ms"] == 5000
    assert flow["app"] == native_default("kinds.app.on_off")


def test_flows_of_scheme_agent_are_what_drives_flow_0() -> None:
    flows = "[{scheme: agent, stop_ms: 9000},{scheme: agent, app: on_off}]"
    built = native_config(compose(["env.app=fixed_size", f"env.flows={flows}"]), SCHEMES["copa"]())["flows"]
    assert [flow["controller"]["kind"] for flow in built] == ["copa", "copa"]
    assert [flow["app"]["kind"] for flow in built] == ["fixed_size", "on_off"]
    assert built[0]["stop_ms"] == 9000


def test_cross_traffic() -> None:
    transfers = "{kind: poisson_flows, mbps: 5, scheme: cubic, controller: {beta: 0.6}}"
    cfg = compose([f"env.cross_traffic=[{{kind: constant}},{transfers}]"])
    even, short = native_config(cfg)["cross_traffic"]
    assert even == {"kind": "constant", **native_default("kinds.cross_traffic.constant")}
    assert short["controller"] == {**native_default("kinds.controller.cubic"), "beta": 0.6}
    assert short["mbps"] == 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("7", {"kind": "constant", "ms": 7.0}),
        ("[2,10]", {"kind": "uniform", "low_ms": 2.0, "high_ms": 10.0}),
        ("{samples: [1.5, 4]}", {"kind": "empirical", "samples_ms": [1.5, 4]}),
    ],
)
def test_action_delays(given: str, expected: dict[str, Any]) -> None:
    assert native_config(compose([f"env.action_delay_ms={given}"]))["action_delay"] == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["actions.choices=[/2,0]"], "actions.choices: the first action must be 0"),
        (["actions.choices=[]"], "actions.choices: the first action must be 0"),
        (["env.delay_ms=0"], "env.delay_ms: must be above 0, got 0"),
        (["env.delay_ms=-20"], "env.delay_ms: must be above 0, got -20"),
        (["env=constant", "env.rate_mbps=0"], "env.rate_mbps: must be above 0, got 0"),
        (["env=constant", "env.rate_mbps=-1"], "env.rate_mbps: must be above 0, got -1"),
        (["env.loss=1.5"], "env.loss: must be at most 1, got 1.5"),
        (["env.queue.packets=0"], "env.queue.packets: must be above 0, got 0"),
        (
            ["env=trace", "env.uplink=a", "env.rate_mbps=3"],
            "env.rate_mbps: env.scenarios.trace.uplink is a trace",
        ),
        (["env=random", "env.rate_scale=2"], "env.rate_scale: .* drawn from a range already"),
        (["env.app=bulky"], "env.app.kind: must be one of bulk, "),
        (["env.app={kind: on_off, onn_ms: 3}"], "env.app.onn_ms: unknown key"),
        (["env.app=3"], "env.app: must be an application's name"),
        (["env.action_delay_ms=-1"], "env.action_delay_ms: must be at least 0"),
        (["env.flows=[]"], "env.flows: the first flow's scheme must be agent"),
        (["env.flows=[{scheme: cubic}]"], "env.flows: the first flow's scheme must be agent"),
        (
            ["env.flows=[{scheme: agent},{scheme: cubci}]"],
            r"env.flows\[1\].scheme: must be one of .*did you mean cubic",
        ),
        (
            ["env.flows=[{scheme: agent},{scheme: cubic, strat_ms: 3}]"],
            r"env.flows\[1\].strat_ms: unknown key",
        ),
        (["env.flows=[{scheme: agent, controller: {}}]"], r"env.flows\[0\].controller: the agent's"),
        (["env.cross_traffic=[{kind: flood}]"], r"env.cross_traffic\[0\].kind: must be one of constant"),
        (["env.cross_traffic=[{kind: constant, mpbs: 3}]"], r"env.cross_traffic\[0\].mpbs: unknown key"),
        (
            ["env.cross_traffic=[{kind: constant, scheme: cubic}]"],
            r"env.cross_traffic\[0\].scheme: unknown key",
        ),
        (
            ["env.cross_traffic=[{kind: poisson_flows, scheme: random}]"],
            r"env.cross_traffic\[0\].scheme: must be one of",
        ),
    ],
)
def test_what_cannot_become_a_native_configuration(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        native_config(compose(overrides))


# --- validation before a run ---


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["total_steps=0"], "total_steps: must be at least 1, got 0"),
        (["seed=-1"], "seed: must be 0 or more"),
        (["history.length=0"], "history.length: must be at least 1, got 0"),
        (["agent.unroll_length=0"], "agent.unroll_length: must be at least 1, got 0"),
        (["agent.optimizer.learning_rate=0"], "agent.optimizer.learning_rate: must be above 0"),
        (["actors.simulated=0"], "actors.simulated: must be at least 1"),
        (["actors.simulated=5", "actors.groups=2"], "actors.simulated: 5 do not split into 2 equal groups"),
        (["device=gpu"], "device: must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (["deterministic=true", "device=cuda"], "deterministic: holds on the CPU only"),
        (["test.runs=0"], "test.runs: must be at least 1"),
        (
            ["test.schemes=[cubci]"],
            r"test.schemes: unknown scheme 'cubci' \(did you mean cubic\?\); there are newreno",
        ),
        (["test.schemes=[]"], "test.schemes: is empty; name what to compare with: newreno"),
        (["test.series_runs=-1"], "test.series_runs: must be 0 or more"),
        (["test.threads=-1"], "test.threads: must be 0 .* or more"),
        (
            ["mode=test", "agent=cubic", "test.schemes=[impala]"],
            "checkpoint: impala in test.schemes needs one",
        ),
        (["+test.policies.mine=nowhere.pt"], "test.policies.mine: no such file: nowhere.pt"),
        (["+test.policies.cubic=nowhere.pt"], "test.policies: cubic is a scheme's name"),
        (["agent=cubic"], "agent: cubic has nothing to train; use mode=test"),
        (["agent=cubic", "mode=trace"], "checkpoint: mode=trace|agent: cubic has nothing to trace"),
        (["mode=test"], "checkpoint: mode=test of agent=impala needs one"),
        (["mode=trace"], "checkpoint: mode=trace of agent=impala needs one"),
        (["checkpoint=nowhere.pt"], "checkpoint: no such file: nowhere.pt"),
        (["env=trace"], "env.uplink: env=trace needs a mahimahi trace file"),
        (["env=trace", "env.uplink=nowhere.up"], "env.uplink: no such trace file: nowhere.up"),
    ],
)
def test_bad_runs_are_refused_before_they_start(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^({message})"):
        validate(compose(overrides), tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["actions.choices=[0,/0]"], "actions.choices"),
        (["actions.choices=[0,half]"], "actions.choices"),
        (["env.queue.kind=dorptail"], "env.scenarios.lte.queue.kind: .*droptail"),
        (["env.episode_ms=0"], "env.episode_ms: must be positive"),
        (["history.window_ms=-1"], "history.window_ms: must be positive"),
        (["agent=cubic", "mode=test", "agent.controller.beta=0"], "agent.controller.beta: must be above 0"),
        (
            ["env.flows=[{scheme: agent},{scheme: cubic, start_ms: -1}]"],
            r"env.flows\[1\].start_ms: must be zero or more",
        ),
        (
            ["env.cross_traffic=[{kind: poisson_flows, pareto_shape: 1}]"],
            r"env.cross_traffic\[0\].pareto_shape: must be above 1",
        ),
        (
            ["env.flows=[{scheme: agent},{scheme: agent}]", "history=count"],
            "history.window_kind: must be time",
        ),
        (
            ["env.flows=[{scheme: agent},{scheme: agent}]", "env.action_delay_ms=101"],
            "env.action_delay_ms: must not exceed the observation window",
        ),
        (["transport.window.initial_packets=0"], "transport.window.initial_packets: must be at least 1"),
    ],
)
def test_what_the_core_refuses_is_told_in_the_users_keys(
    overrides: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        validate(compose(overrides), tmp_path)


def test_a_broken_trace_is_refused_with_file_and_line(trace: Path, tmp_path: Path) -> None:
    trace.write_text("1\n5\n3\n")
    with pytest.raises(ConfigError, match=r"path\.up.*3"):
        validate(compose(["env=trace", f"env.uplink={trace}"]), tmp_path)


def test_a_good_run_passes(trace: Path, tmp_path: Path) -> None:
    validate(compose(), tmp_path)
    validate(compose(["env=trace", f"env.uplink={trace}"]), tmp_path)
    (tmp_path / "checkpoints").mkdir()
    validate(compose(["mode=test"]), tmp_path)


@pytest.mark.parametrize(
    ("native", "user"),
    [
        ("scenarios[1].uplink.mbps.low: x", "env.scenarios.umts.uplink.mbps.low: x"),
        ("flows[0].controller.beta: x", "agent.controller.beta: x"),
        ("flows[0].app.on_ms: x", "env.app.on_ms: x"),
        ("flows[2].start_ms: x", "env.flows[2].start_ms: x"),
        ("flows[0].stop_ms: x", "env.flows[0].stop_ms: x"),
        ("cross_traffic[1].mbps: x", "env.cross_traffic[1].mbps: x"),
        ("observation.history: x", "history.length: x"),
        ("observation.window_ms: x", "history.window_ms: x"),
        ("action_delay.ms: x", "env.action_delay_ms: x"),
        ("reward.scale: x", "reward.scale: x"),
    ],
)
def test_native_keys_as_the_user_knows_them(native: str, user: str) -> None:
    assert _user_key(native, ["lte", "umts"]) == user
