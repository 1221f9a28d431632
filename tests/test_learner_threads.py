"""An update whose columns several threads share is the update that one thread does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.shares import COLUMNS_A_THREAD, WEIGHTS, Shares, default_threads, split
from mvfstrl.config import compose
from mvfstrl.distributed import Ranks
from mvfstrl.train import make_setup
from tests.ranks import Workers
from tests.test_distributed import SHAPE, UPDATES, learn_share, make_batch, tensors_of


def learnt(threads: int, *, lstm: bool, ranks: Ranks | None = None) -> dict[str, Tensor]:
    torch.manual_seed(1)
    config = ImpalaConfig(network=NetworkConfig(hidden_size=8, lstm=lstm))
    learner = Learner(
        SHAPE,
        config,
        total_steps=100_000,
        device=torch.device("cpu"),
        siblings=2,
        ranks=ranks,
        threads=threads,
    )
    ranks = learner.ranks
    width = 8 // ranks.size
    metrics: dict[str, Tensor] = {}
    for update in range(UPDATES):
        batch = make_batch(update, lstm=lstm).columns(width * ranks.rank, width * (ranks.rank + 1))
        metrics = learner.learn(batch)
    names = ("loss", "entropy", "kl", "explained_variance", "gradient_norm", "action_histogram")
    return tensors_of(learner) | {name: metrics[name] for name in names}


@pytest.mark.parametrize("lstm", [False, True])
@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_learn_what_one_learns(threads: int, lstm: bool) -> None:
    shared = learnt(threads, lstm=lstm)
    torch.testing.assert_close(shared, learnt(1, lstm=lstm), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(shared, learnt(threads, lstm=lstm), rtol=0, atol=0)  # whoever is first


def learn_in_threads(group: Ranks) -> dict[str, Tensor]:
    return learnt(2, lstm=True, ranks=group)


def test_ranks_may_have_threads() -> None:
    one, _, _ = learn_share(Ranks(), True)
    for outcome in Workers(learn_in_threads, size=2).outcomes():
        torch.testing.assert_close({name: outcome[name] for name in one}, one, rtol=1e-5, atol=1e-6)


def test_siblings_stay_together_and_nothing_is_left_out() -> None:
    assert split(32, 4, 2) == [(0, 16), (16, 32)]
    assert split(32, 4, 3) == [(0, 8), (8, 20), (20, 32)]
    assert split(8, 4, 5) == [(0, 4), (4, 8)]
    assert split(1, 1, 2) == [(0, 1)]


def test_as_many_threads_as_are_of_use() -> None:
    enough = 2 * COLUMNS_A_THREAD
    assert default_threads(enough, cores=8, weights=WEIGHTS) == 2
    assert default_threads(enough, cores=1, weights=WEIGHTS) == 1
    assert default_threads(enough - 1, cores=8, weights=WEIGHTS) == 1
    assert default_threads(enough, cores=8, weights=WEIGHTS - 1) == 1


def test_the_cause_of_a_failure_is_told_and_the_threads_go_on() -> None:
    shares = Shares(3)

    def good(total: object) -> Tensor:
        return total(torch.ones(1))  # type: ignore[operator]

    def bad(total: object) -> Tensor:
        raise RuntimeError("of share 1")

    with pytest.raises(RuntimeError, match="of share 1"):
        shares.run([good, bad, good], lambda sums: sums)
    assert [t.item() for t in shares.run([good, good, good], lambda sums: 10 * sums)] == [30, 30, 30]


@pytest.mark.parametrize(
    ("overrides", "threads"),
    [([], 0), (["deterministic=true"], 1), (["deterministic=true", "agent.learner_threads=2"], 2)],
)
def test_no_machine_decides_a_deterministic_runs_sums(
    overrides: list[str], threads: int, tmp_path: Path
) -> None:
    cfg = compose(["agent=impala", "tracker=none", *overrides])
    assert isinstance(cfg.agent, ImpalaConfig)
    assert make_setup(cfg, cfg.agent, tmp_path).learner_threads == threads


def test_each_share_has_a_thread_of_its_own() -> None:
    def where(total: object) -> str:
        total(torch.ones(1))  # type: ignore[operator]
        return threading.current_thread().name

    assert len(set(Shares(2).run([where, where], lambda sums: sums))) == 2
