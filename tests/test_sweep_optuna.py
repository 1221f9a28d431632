"""hydra/sweeper=optuna: what is asked, what is told, and that a study goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from mvfstrl.config import Config
from mvfstrl.errors import ConfigError
from mvfstrl.outcome import Outcome, State, read_outcome, write_outcome
from mvfstrl.rundir import RunDirectory
from mvfstrl.sweep.config import PrunerConfig
from mvfstrl.sweep.plan import parse
from mvfstrl.sweep.pruning import STUDY, RunPruner, open_storage
from mvfstrl.sweep.space import Space, search_space
from tests.sweep_runs import FakeSweep, state_of, sweep
from tests.test_docs import json_example

__all__ = ["sweep"]  # the fixture

OPTUNA = ("hydra/sweeper=optuna", "reward=linear")
X = "reward.delay_factor=interval(0,1)"


def summary(sweep: FakeSweep) -> Any:
    return json.loads((sweep.folder / "optimization.json").read_text())


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=STUDY, storage=open_storage(folder)).get_trials()


def x(cfg: Config) -> float:
    factor = cfg.reward.delay_factor  # type: ignore[attr-defined]
    assert isinstance(factor, float)
    return factor


def bowl(cfg: Config, run: RunDirectory) -> None:
    """Best at 0.3."""
    run.scores["reward"] = -((x(cfg) - 0.3) ** 2)


def space(**params: str) -> Space:
    return search_space(parse({key.replace("__", "."): text for key, text in params.items()}, [], None))


def test_hydras_words_are_optunas_distributions() -> None:
    found = space(
        a__b="tag(log, interval(1e-5, 1e-3))",
        c="int(interval(1, 9))",
        d="choice([cubic], x, 3)",
        e="range(20, 100, step=20)",
        f="range(0, 1, step=0.25)",
        g="interval(0, 2)",
        h="x,y",
        i="7",
        j="range(100, 20, step=-30)",
        k="tag(log, int(interval(1, 64)))",
    )
    assert found.distributions == {
        "a.b": optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True),
        "c": optuna.distributions.IntDistribution(1, 9),
        "d": optuna.distributions.CategoricalDistribution(["[cubic]", "x", "3"]),
        "e": optuna.distributions.IntDistribution(20, 80, step=20),
        "f": optuna.distributions.FloatDistribution(0, 0.75, step=0.25),
        "g": optuna.distributions.FloatDistribution(0, 2),
        "h": optuna.distributions.CategoricalDistribution(["x", "y"]),
        "j": optuna.distributions.IntDistribution(40, 100, step=30),
        "k": optuna.distributions.IntDistribution(1, 64, log=True),
    }
    assert found.fixed == ["i=7"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("interval(3, 1)", "^a.b: must be an interval from low to high, got 3.0 to 1.0"),
        ("tag(log, interval(0, 1))", "^a.b: a logarithmic interval must begin above 0"),
        ("tag(lgo, interval(1, 2))", "^a.b: unknown tag lgo; there is log"),
        ("tag(log, choice(1, 2))", "^a.b: the tag log is for intervals"),
        ("choice(1, 1)", "^a.b: a choice is there twice"),
        ("interval(1, 2", r"^a.b: not understood in the hydra\.sweeper\.params: "),
        ("7", "^hydra.sweeper.params: nothing to search"),
    ],
)
def test_a_space_that_cannot_be_searched_names_its_key(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        space(a__b=text)


def test_corners_have_all_choices_and_both_ends() -> None:
    corners = space(a="interval(0, 1)", b="x,y,z").corners()
    assert {corner["a"] for corner in corners} == {0.0, 1.0}
    assert {corner["b"] for corner in corners} == {"x", "y", "z"}
    assert len(corners) == 4


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_a_search_tells_its_best_trial(sweep: FakeSweep, sampler: str, capfd: Any) -> None:
    sweep.play = bowl
    words = ("hydra.sweeper.n_trials=6", "hydra.sweeper.startup_trials=2", f"hydra.sweeper.sampler={sampler}")
    played = sweep(*OPTUNA, X, *words)
    best = min(range(6), key=lambda number: abs(x(played[number]) - 0.3))
    told = summary(sweep)
    assert told["best"][0]["number"] == best
    assert told["best"][0]["objective"] == [pytest.approx(-((x(played[best]) - 0.3) ** 2))]
    assert told["trials"] == {"complete": 6}
    assert f"#{best} reward" in capfd.readouterr().err
    found = [trial.params["reward.delay_factor"] for trial in trials(sweep.folder)]
    assert found == [pytest.approx(x(cfg)) for cfg in played]
    assert len(set(found)) == 6


def test_the_best_of_an_objective_to_be_minimised_is_its_least(sweep: FakeSweep, capfd: Any) -> None:
    sweep.play = lambda cfg, run: run.scores.update(loss=float(cfg.seed))
    sweep(*OPTUNA, "seed=int(interval(1,9))", "objective=[loss]", "hydra.sweeper.n_trials=4")
    told = summary(sweep)
    assert told["directions"] == ["minimize"]
    losses = [trial["objective"][0] for trial in told["best"]]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
    assert f"#{told['best'][0]['number']} loss {losses[0]:.4g}:" in capfd.readouterr().err


def test_the_summary_has_the_form_of_its_example(sweep: FakeSweep) -> None:
    sweep.play = bowl
    sweep(*OPTUNA, X, "hydra.sweeper.n_trials=1")
    shown, actual = json_example("optimization"), summary(sweep)
    assert list(shown) == list(actual)
    assert list(shown["best"][0]) == list(actual["best"][0])


def test_samplers_differ(sweep: FakeSweep, tmp_path: Path) -> None:
    sweep.play = bowl
    asked = {}
    for sampler in ("tpe", "cmaes", "random"):
        sweep.folder = tmp_path / sampler
        words = ("hydra.sweeper.n_trials=5", "hydra.sweeper.startup_trials=2")
        asked[sampler] = [x(cfg) for cfg in sweep(*OPTUNA, X, *words, f"hydra.sweeper.sampler={sampler}")]
    assert asked["tpe"][2:] != asked["random"][2:]
    assert asked["cmaes"][2:] != asked["random"][2:]


def test_a_study_goes_on(sweep: FakeSweep) -> None:
    sweep.play = bowl
    first = sweep(*OPTUNA, X, "hydra.sweeper.n_trials=3")
    second = sweep(*OPTUNA, X, "hydra.sweeper.n_trials=5")
    assert (len(first), len(second)) == (3, 2)
    assert len({x(cfg) for cfg in first + second}) == 5
    assert summary(sweep)["trials"] == {"complete": 5}
    assert sweep(*OPTUNA, X, "hydra.sweeper.n_trials=5") == []


def test_a_trial_that_was_lost_is_run_again(sweep: FakeSweep) -> None:
    def dies(cfg: Config, run: RunDirectory) -> None:
        if run.path.name == "1":
            raise SystemExit(9)
        bowl(cfg, run)

    sweep.play = dies
    lost = sweep.fails(9, *OPTUNA, X, "hydra.sweeper.n_trials=3")
    assert [trial.state.name for trial in trials(sweep.folder)] == ["COMPLETE", "RUNNING"]
    sweep.play = bowl
    again = sweep(*OPTUNA, X, "hydra.sweeper.n_trials=3")
    assert len(again) == 2
    assert x(again[0]) == x(lost[1])
    assert [trial.state.name for trial in trials(sweep.folder)] == ["COMPLETE"] * 3
    outcome = read_outcome(sweep.folder / "1")
    assert outcome is not None
    assert outcome.starts == 2


def test_a_run_that_ended_unheard_is_told_at_the_next_start(sweep: FakeSweep) -> None:
    sweep.play = bowl
    sweep(*OPTUNA, X, "hydra.sweeper.n_trials=1")
    study = optuna.load_study(study_name=STUDY, storage=open_storage(sweep.folder))
    study.ask({"reward.delay_factor": optuna.distributions.FloatDistribution(0, 1)})
    record = json.loads((sweep.folder / "sweep.json").read_text())
    record["runs"].append({"number": 1, "folder": "0", "overrides": []})  # it has ended, as run 0 has
    (sweep.folder / "sweep.json").write_text(json.dumps(record))
    assert sweep(*OPTUNA, X, "hydra.sweeper.n_trials=2") == []
    assert [trial.state.name for trial in trials(sweep.folder)] == ["COMPLETE"] * 2


def test_a_run_that_was_given_up_unheard_is_not_started_again(sweep: FakeSweep) -> None:
    def dies(cfg: Config, run: RunDirectory) -> None:
        raise SystemExit(9)

    sweep.play = dies
    sweep.fails(9, *OPTUNA, X, "hydra.sweeper.n_trials=1")
    write_outcome(sweep.folder / "0", Outcome(State.pruned, "train", objective=-3.0))
    assert sweep(*OPTUNA, X, "hydra.sweeper.n_trials=1") == []
    assert summary(sweep)["trials"] == {"pruned": 1}


def test_failed_runs_are_told_and_do_not_stop_the_study(sweep: FakeSweep, capfd: Any) -> None:
    def play(cfg: Config, run: RunDirectory) -> None:
        if run.path.name == "1":
            raise ConfigError("seed: unlucky")
        bowl(cfg, run)

    sweep.play = play
    assert len(sweep.fails(1, *OPTUNA, X, "hydra.sweeper.n_trials=4")) == 4
    assert summary(sweep)["trials"] == {"complete": 3, "fail": 1}
    assert "1 of 4 runs failed" in capfd.readouterr().err


def test_poor_runs_are_pruned_by_the_runs_themselves(sweep: FakeSweep) -> None:
    """The later the worse: after the first three none gets beyond half of its training."""
    reached = {}

    def play(cfg: Config, run: RunDirectory) -> None:
        number = int(run.path.name)
        for percent in range(10, 101, 10):
            reached[number] = percent
            value = -100.0 * number - percent
            if run.prune({"episode_return": value}, percent * cfg.total_steps // 100):
                return
        run.scores["reward"] = -float(number)

    sweep.play = play
    pruner = ("hydra.sweeper.pruner.kind=median", "hydra.sweeper.pruner.startup_trials=3")
    warmup = "hydra.sweeper.pruner.warmup_percent=50"
    sweep(*OPTUNA, X, "mode=train", "agent=impala", "hydra.sweeper.n_trials=5", *pruner, warmup)
    assert reached == {0: 100, 1: 100, 2: 100, 3: 50, 4: 50}
    assert [state_of(sweep.folder / str(number)) for number in range(5)] == ["finished"] * 3 + ["pruned"] * 2
    pruned = read_outcome(sweep.folder / "3")
    assert pruned is not None
    assert pruned.objective == -350.0
    assert trials(sweep.folder)[3].value == -350.0
    assert summary(sweep)["trials"] == {"complete": 3, "pruned": 2}


def test_several_objectives_give_the_front(sweep: FakeSweep, capfd: Any) -> None:
    """Throughput against delay; seed 1 is worse in both."""

    def play(cfg: Config, run: RunDirectory) -> None:
        worse = 0.0 if cfg.seed == 0 else 1.0
        run.scores.update(throughput_mbps=10 * x(cfg) - worse, delay_p95_ms=100 * x(cfg) ** 2 + 100 * worse)

    sweep.play = play
    words = ("objective=[throughput_mbps,delay_p95_ms]", "hydra.sweeper.sampler=nsgaii", "seed=0,1")
    played = sweep(*OPTUNA, X, *words, "hydra.sweeper.n_trials=10", "hydra.sweeper.population=4")
    told = summary(sweep)
    assert told["directions"] == ["maximize", "minimize"]
    front = {trial["number"] for trial in told["best"]}
    assert front == {number for number, cfg in enumerate(played) if cfg.seed == 0}
    assert 1 < len(front) < 10
    assert "throughput_mbps" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("reward.delay_factr=interval(0,1)",), "Did you mean reward.delay_factor"),
        (("test.runs=choice(1,0)",), "error: test.runs: must be at least 1, got 0"),
        (("seed=1",), "error: hydra.sweeper.params: nothing to search"),
        ((X, "hydra.sweeper.sampler=tpee"), "error: hydra.sweeper.sampler: must be one of tpe, cmaes"),
        ((X, "hydra.sweeper.n_trials=0"), "error: hydra.sweeper.n_trials: must be at least 1"),
        ((X, "hydra.sweeper.n_jobs=0"), "error: hydra.sweeper.n_jobs: must be at least 1"),
        ((X, "hydra.sweeper.population=1"), "error: hydra.sweeper.population: must be at least 2"),
        ((X, "hydra.sweeper.pruner.warmup_percent=101"), "warmup_percent: must be from 0 to 100, got 101"),
        ((X, "hydra.sweeper.pruner.reduction_factor=1"), "reduction_factor: must be 2 or more, got 1"),
        ((X, "hydra.sweeper.pruner.kind=medium"), "error: hydra.sweeper.pruner.kind: must be one of none"),
        (
            (X, "hydra.sweeper.pruner.kind=median", "objective=[loss]"),
            "no metric of a training stands for loss",
        ),
        ((X, "hydra.sweeper.pruner.kind=median", "objective=[loss,reward]"), "several objectives"),
        ((X, "objective=[episode_return]"), "error: objective: episode_return comes of a training"),
        (
            (X, "mode=train", "agent=impala", "test_after_train=false"),
            "error: objective: reward comes of the",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(
    sweep: FakeSweep, capfd: Any, words: tuple[str, ...], told: str
) -> None:
    assert sweep.fails(2, *OPTUNA, *words) == []
    assert not sweep.folder.exists()
    assert told in capfd.readouterr().err


def test_another_space_needs_another_folder(sweep: FakeSweep, capfd: Any) -> None:
    sweep.play = bowl
    sweep(*OPTUNA, X, "hydra.sweeper.n_trials=1")
    assert sweep.fails(2, *OPTUNA, "reward.delay_factor=interval(0,2)", "hydra.sweeper.n_trials=2") == []
    assert "reward.delay_factor: the study in" in capfd.readouterr().err
    wider = (X, "env.loss=interval(0,0.1)", "hydra.sweeper.n_trials=2")
    assert sweep.fails(2, *OPTUNA, *wider) == []
    assert f"env.loss: the study in {sweep.folder} does not search it; choose" in capfd.readouterr().err
    assert sweep.fails(2, *OPTUNA, X, "objective=[loss]", "hydra.sweeper.n_trials=2") == []
    assert "has directions ['maximize'], not ['minimize']" in capfd.readouterr().err


def asked(folder: Path, settings: PrunerConfig, objective: str = "reward") -> RunPruner:
    """The pruner of the study's next run, of 1,000 steps."""
    study = optuna.create_study(
        study_name=STUDY, storage=open_storage(folder), direction="maximize", load_if_exists=True
    )
    return RunPruner(folder, study.ask().number, OmegaConf.structured(settings), objective, 1000)


@pytest.mark.parametrize(
    ("warmup", "factor", "left_at"),
    [(60, 2, [100, 60, 60, 100]), (60, 4, [100, 60, 60, 60]), (30, 4, [100, 30, 30, 30])],
)
def test_hyperband_lets_one_in_so_many_go_on_after_the_warm_up(
    tmp_path: Path, warmup: int, factor: int, left_at: list[int]
) -> None:
    """The last of four runs is the second best: within the better half, not within the best quarter."""
    settings = PrunerConfig(kind="hyperband", warmup_percent=warmup, reduction_factor=factor)
    found = []
    for value in (4.0, 1.0, 2.0, 3.0):
        pruner = asked(tmp_path, settings)
        percents = range(10, 101, 10)
        found.append(next((p for p in percents if pruner({"episode_return": value}, 10 * p)), 100))
    assert found == left_at


def test_a_run_is_compared_by_the_metric_that_stands_for_the_objective(tmp_path: Path) -> None:
    row = {"episode_return": -3.0} | {f"episode_{name}": 5.0 for name in ("utilisation", "throughput_mbps")}
    for objective in ("utilisation", "throughput_mbps"):
        asked(tmp_path, PrunerConfig(), objective)(row, 500)
    assert [trial.intermediate_values for trial in trials(tmp_path)] == [{50: 5.0}] * 2


def test_a_value_that_is_no_number_prunes_nothing(tmp_path: Path) -> None:
    pruner = asked(tmp_path, PrunerConfig(kind="median"))
    assert not pruner({}, 300)
    assert not pruner({"episode_return": math.nan}, 400)
    assert not pruner({"episode_return": 2.0}, 500)
    assert trials(tmp_path)[0].intermediate_values == {50: 2.0}


def test_a_training_that_is_given_up_leaves_a_checkpoint(tmp_path: Path) -> None:
    from mvfstrl.checkpoint import load_checkpoint
    from mvfstrl.config import compose
    from mvfstrl.train import train

    class Impatient:
        value: float | None = None

        def __call__(self, metrics: Any, step: int) -> bool:
            self.value = -float(step)
            return step >= 320

    run = RunDirectory(tmp_path)
    run.pruner = Impatient()
    train(compose(["experiment=debug", "env=constant", "total_steps=100000", "env.episode_ms=3000"]), run)
    assert run.pruned is not None
    assert not run.interrupted
    assert 320 <= load_checkpoint(tmp_path)["step"] < 10_000
