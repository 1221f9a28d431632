"""Several ranks learn what one would learn of everything, and none is left waiting when another is gone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mvfstrl.agents.impala.config import ImpalaConfig, NetworkConfig
from mvfstrl.agents.impala.learner import Learner
from mvfstrl.agents.impala.network import NetworkShape
from mvfstrl.agents.impala.trajectory import Batch
from mvfstrl.distributed import Ranks
from tests.ranks import Workers

SHAPE = NetworkShape(observation_size=5, num_actions=3, jobs=2)
UPDATES = 6


def make_learner(ranks: Ranks | None, *, lstm: bool, seed: int = 1) -> Learner:
    torch.manual_seed(seed)
    config = ImpalaConfig(network=NetworkConfig(hidden_size=8, lstm=lstm))
    return Learner(SHAPE, config, total_steps=100_000, device=torch.device("cpu"), siblings=2, ranks=ranks)


def make_batch(seed: int, *, lstm: bool, steps: int = 12, columns: int = 8) -> Batch:
    """Episodes end in some columns only, so that ranks have different numbers of transitions."""
    generator = torch.Generator().manual_seed(seed)
    rows = (steps + 1, columns)
    first = torch.zeros(rows, dtype=torch.bool)
    truncated, terminated = first.clone(), first.clone()
    for column in range(columns // 2 - 1):
        row = int(torch.randint(1, steps - 1, (), generator=generator))
        (truncated if column % 2 else terminated)[row, column] = True
        first[row + 1, column] = True
    sets = torch.randint(0, 2, (columns // 2,), generator=generator, dtype=torch.int32)
    return Batch(
        observation=10 * torch.randn(*rows, 5, generator=generator),
        reward=torch.randn(rows, generator=generator).cumsum(1),
        terminated=terminated,
        truncated=truncated,
        first=first,
        job=sets.repeat_interleave(2).expand(rows).contiguous(),
        action=torch.randint(0, 3, (steps, columns), generator=generator, dtype=torch.int32),
        logits=torch.randn(steps, columns, 3, generator=generator),
        h=torch.randn(int(lstm), columns, 8, generator=generator),
        c=torch.randn(int(lstm), columns, 8, generator=generator),
    )


def tensors_of(learner: Learner) -> dict[str, Tensor]:
    return {**learner.network.state_dict(), **learner.scale.state_dict(prefix="scale.")}


def learn_share(group: Ranks, lstm: bool) -> tuple[dict[str, Tensor], int, list[dict[str, Tensor]]]:
    learner = make_learner(group, lstm=lstm)
    width = 8 // group.size
    rows = []
    for update in range(UPDATES):
        batch = make_batch(update, lstm=lstm).columns(width * group.rank, width * (group.rank + 1))
        rows.append(learner.learn(batch))
    learner.require_equal_ranks()
    return tensors_of(learner), learner.step, rows


@pytest.mark.parametrize("lstm", [False, True])
@pytest.mark.parametrize("size", [2, 4])
def test_ranks_learn_what_one_learns_of_the_whole_batch(size: int, lstm: bool) -> None:
    one, steps, rows = learn_share(Ranks(), lstm)
    outcomes = Workers(learn_share, lstm, size=size).outcomes()
    for other, other_steps, other_rows in outcomes:
        assert other_steps == steps == UPDATES * 12 * 8
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(other, outcomes[0][0], rtol=0, atol=0)
        for mine, theirs in zip(rows, other_rows, strict=True):
            for key in ("loss", "policy_gradient_loss", "baseline_loss", "entropy", "gradient_norm"):
                torch.testing.assert_close(theirs[key], mine[key], rtol=1e-4, atol=1e-5)
