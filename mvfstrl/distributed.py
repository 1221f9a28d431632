"""Several learners as one: ranks that play their own environments and sum what they learn.

`torchrun` or SLURM's `srun` starts the same command once a rank, and tells each its place (`rank_environment`
reads it). Rank 0 leads: it alone reads the command line, writes the run
directory and tells the others what to train (`Launch`). In training (`Group`) each update has one large
message, the sum of all ranks' gradients and statistics, after which every rank does the same and so stays
equal to the bit.

docs/distributed.md has the whole story.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store

from mvfstrl.errors import ConfigError, MvfstrlError
from mvfstrl.rank_environment import TORCHRUN, available_cores, started

JOIN_S = 300.0
"""Ranks that have not met by then give up."""
FAREWELL_S = 10.0
"""How long the leader waits, at the end, for the others to have heard that nothing follows."""
ROLL_CALL_S = 3.0
"""After a failure, how long ranks wait for word of what failed, or for a sign of each other."""


class RankError(MvfstrlError):
    """Another rank is gone, late or no longer equal."""


class Place(NamedTuple):
    """Where a rank runs."""

    host: str
    pid: int
    cores: frozenset[int]

    @classmethod
    def here(cls) -> Place:
        return cls(socket.gethostname(), os.getpid(), frozenset(os.sched_getaffinity(0)))


class Ranks:
    """A learner alone, and what several have in common: `Group` is the same among many."""

    rank = 0
    size = 1
    local_rank = 0
    """Among the ranks of this host."""

    @property
    def first(self) -> bool:
        """The one that writes."""
        return self.rank == 0

    @property
    def cores(self) -> int:
        """For this rank's environments."""
        return available_cores(os.environ)

    def claim(self, device: torch.device) -> None:
        """Learns on this device from now on. Raises ConfigError where another rank has it."""

    def agree_to_stop(self, asked: bool) -> bool:
        """Whether all ranks stop now: what one asks for, all do after the same update."""
        return asked

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Each tensor's sum over all ranks, in one message."""
        return list(tensors)

    def waiting(self) -> dict[str, float]:
        """The share of the time since the last call that went into sums, slower ranks waited for included."""
        return {}

    def broadcast(self, value: Any) -> Any:
        """Rank 0's."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Every rank's, in order, on rank 0; elsewhere nothing."""
        return [value]

    def require_equal(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        """Raises RankError where a rank's tensors are not those of rank 0, to the bit."""


class Group(Ranks):
    """The ranks of one training. A context: whoever leaves it by an error tells the others why."""

    def __init__(self, store: Store, rank: int, size: int, *, cuda: bool, timeout_s: float) -> None:
        self.rank = rank
        self.size = size
        self._timeout_s = timeout_s
        self._store = store
        self._asked = False
        self._votes = torch.zeros(())
        self._waited_s = 0.0
        self._since = time.monotonic()
        backend = "gloo"
        if cuda:
            backend = "cpu:gloo,cuda:nccl"
            # A peer that died must raise here, as it does with gloo, and not end the process from within.
            os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
        with self._watch("meeting"):
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=size, timeout=timedelta(seconds=timeout_s)
            )
        places: list[Any] = [None] * size
        with self._watch("meeting"):
            dist.all_gather_object(places, Place.here())
        self._places: list[Place] = places
        mine = places[rank]
        self.local_rank = sum(place.host == mine.host for place in places[:rank])

    @property
    def cores(self) -> int:
        """The share of the cores that this rank may use: those that it shares with others are divided."""
        mine = self._places[self.rank]
        sharing = [p for p in self._places if p.host == mine.host and p.cores & mine.cores]
        return max(1, min(available_cores(os.environ), len(mine.cores) // len(sharing)))

    def claim(self, device: torch.device) -> None:
        if device.type != "cuda":
            return
        torch.cuda.set_device(device)
        claims: list[Any] = [None] * self.size
        with self._watch("the start"):
            dist.all_gather_object(claims, str(torch.cuda.get_device_properties(device).uuid))
        owner = claims.index(claims[self.rank])
        if owner < self.rank:
            raise ConfigError(
                f"device: {device} of {self._name(self.rank)} is the GPU of {self._name(owner)} too; start as"
                " many ranks as there are GPUs"
            )

    def agree_to_stop(self, asked: bool) -> bool:
        self._asked = asked
        return bool(self._votes > 0)

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        vote = tensors[0].new_full((1,), float(self._asked))
        flat = torch.cat([*(tensor.reshape(-1) for tensor in tensors), vote])
        begin = time.monotonic()
        with self._watch("an update"):
            dist.all_reduce(flat)
        self._waited_s += time.monotonic() - begin
        *sums, self._votes = torch.split(flat, [*(tensor.numel() for tensor in tensors), 1])
        return [part.view_as(tensor) for part, tensor in zip(sums, tensors, strict=True)]

    def waiting(self) -> dict[str, float]:
        now = time.monotonic()
        share = self._waited_s / max(now - self._since, 1e-9)
        self._waited_s, self._since = 0.0, now
        return {"ranks_waiting": share}

    def broadcast(self, value: Any) -> Any:
        box = [value if self.first else None]
        with self._watch("the start"):
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        gathered: list[Any] | None = [None] * self.size if self.first else None
        with self._watch("a row of metrics or a checkpoint"):
            dist.gather_object(value, gathered, dst=0)
        return gathered or []

    def require_equal(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        mine = torch.stack([_checksum(tensor) for tensor in tensors.values()]).cpu()
        theirs = [torch.empty_like(mine) for _ in range(self.size)]
        with self._watch(f"a comparison of {what}"):
            dist.all_gather(theirs, mine)
        for rank, sums in enumerate(theirs):
            different = [name for name, same in zip(tensors, sums == theirs[0], strict=True) if not same]
            if different:
                raise RankError(
                    f"{what}: {self._name(rank)} is no longer equal to rank 0 in {_some(different)}"
                )

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if value is not None and not isinstance(value, RankError):
            message = f"{self._name(self.rank)}: {kind.__name__ if kind else ''}: {value}"
            with suppress(RuntimeError):
                self._store.set("failure", message)
        with suppress(RuntimeError):
            dist.destroy_process_group()

    def _name(self, rank: int) -> str:
        if not hasattr(self, "_places"):
            return f"rank {rank}"
        return f"rank {rank} ({self._places[rank].host}, process {self._places[rank].pid})"

    @contextmanager
    def _watch(self, what: str) -> Iterator[None]:
        """Turns what torch raises when a peer is gone or late into an error that names it."""
        try:
            yield
        except RuntimeError as error:
            raise RankError(self._roll_call(what, str(error).strip().splitlines()[0])) from error

    def _roll_call(self, what: str, said: str) -> str:
        """The cause that a failing rank left, or who gives no sign of life."""
        try:
            return f"while waiting for {what}: {self._cause()} [{said}]"
        except RuntimeError:
            return f"while waiting for {what}: rank 0's host, where all ranks met, does not answer [{said}]"

    def _cause(self) -> str:
        self._store.set_timeout(timedelta(seconds=ROLL_CALL_S))
        self._store.set(f"here/{self.rank}", "")
        deadline = time.monotonic() + ROLL_CALL_S
        while time.monotonic() < deadline:
            if self._store.check(["failure"]):
                return str(self._store.get("failure"), "utf-8")
            time.sleep(0.05)
        silent = [rank for rank in range(self.size) if not self._store.check([f"here/{rank}"])]
        if not silent:
            return "the connection broke, though all ranks are there"
        names = ", ".join(self._name(rank) for rank in silent)
        message = (
            f"{names}: no sign of life (killed, stopped, or later than ranks.timeout_s={self._timeout_s:g})"
        )
        self._store.set("failure", message)
        return message


class Launch:
    """This process's place among those that were started together; lives as long as the process."""

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._store = store
        self._jobs = 0
        self._dismissed = False

    def announce(self, job: Any) -> None:
        """The leader's word to the others: what to train next."""
        self._store.set(f"job/{self._jobs}", pickle.dumps(job).hex())
        self._jobs += 1

    def next_job(self) -> Any:
        """What the leader announced next, waited for as long as it lives; None: nothing follows."""
        key = f"job/{self._jobs}"
        self._jobs += 1
        try:
            while not self._store.check([key]):
                time.sleep(0.1)
            job = pickle.loads(bytes.fromhex(str(self._store.get(key), "ascii")))
            if job is None:
                self._store.add("dismissed", 1)
        except RuntimeError as error:
            raise RankError("rank 0 is gone") from error
        return job

    def dismiss(self) -> None:
        """Nothing follows: the others may go. Once is enough."""
        if self._dismissed:
            return
        self._dismissed = True
        self.announce(None)
        deadline = time.monotonic() + FAREWELL_S
        with suppress(RuntimeError):
            while self._store.add("dismissed", 0) < self.size - 1 and time.monotonic() < deadline:
                time.sleep(0.02)

    @contextmanager
    def group(self, *, cuda: bool, timeout_s: float) -> Iterator[Group]:
        """For the job announced last."""
        store = PrefixStore(f"training/{self._jobs}", self._store)
        try:
            with Group(store, self.rank, self.size, cuda=cuda, timeout_s=timeout_s) as group:
                yield group
        except BaseException:
            self._dismissed = True  # all ranks fail with one: nobody waits for word
            raise


@cache
def launched() -> Launch | None:
    """Meets the other ranks; None where there are none. Raises ConfigError, RankError."""
    place = started(os.environ)
    if place is None:
        return None
    from torch.distributed.rendezvous import rendezvous

    timeout = timedelta(seconds=JOIN_S)
    try:
        if place.url == TORCHRUN:
            store, rank, size = next(rendezvous(place.url, place.rank, place.size, timeout=timeout))
        else:
            store, rank, size = next(rendezvous(place.url, timeout=timeout))
    except (RuntimeError, ValueError) as error:
        where = place.url.partition("//")[2].partition("?")[0]
        where = where or f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise RankError(
            f"rank {place.rank} of {place.size} did not meet the others at {where}: {error}"
        ) from error
    return Launch(store, rank, size)


def _checksum(tensor: Tensor) -> Tensor:
    """Of every bit; floats that compare equal but differ in their sign of zero differ here."""
    return tensor.detach().contiguous().flatten().view(torch.int32).sum(dtype=torch.int64)


def _some(names: list[str], most: int = 4) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
