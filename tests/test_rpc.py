"""The policy server and its client: who is answered, with what, and how both sides go on when one breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from mvfstrl import _native, rpc
from mvfstrl.rpc import actors_pb2 as messages
from mvfstrl.rpc.answers import BatchPolicy, Fixed, Memory, Model, Question
from mvfstrl.rpc.client import RemotePolicy, ServerError
from mvfstrl.rpc.security import Address, ClientSecurity
from mvfstrl.rpc.service import Service
from tests.rpc_helpers import (
    ACTIONS,
    PATIENCE_S,
    SIZE,
    SPEC,
    make_service,
    observation,
    serving,
    small_model,
    step,
    wait_until,
)


def client(address: Address, spec: str = SPEC, **kwargs: object) -> RemotePolicy:
    return RemotePolicy(address, ClientSecurity(), lambda _: spec, **kwargs)  # type: ignore[arg-type]


@pytest.fixture
def service() -> Service:
    return make_service()


@pytest.fixture
def address(service: Service) -> Iterator[Address]:
    with serving(service) as address:
        yield address


def test_the_generated_code_is_fresh(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", f"from tools.generate_rpc import *; generate(Path({str(tmp_path)!r}))"]
    subprocess.run(command, cwd=root, check=True)
    for name in ("actors_pb2.py", "actors_pb2.pyi"):
        assert (tmp_path / "mvfstrl/rpc" / name).read_text() == (root / "mvfstrl/rpc" / name).read_text(), (
            f"run tools/generate_rpc.py: {name} is not what actors.proto makes"
        )


def test_batches_answer_as_one_at_a_time() -> None:
    """Memories do not mix, whoever is asked together with whom."""
    model = small_model()
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 3, SIZE)).astype(np.float32)
    together = BatchPolicy(Fixed(model))
    memories = [Memory(model.network) for _ in range(3)]
    alone = [_native.Policy(model) for _ in range(3)]
    for t, observations in enumerate(rows):
        who = [0, 1, 2] if t % 2 == 0 else [2, 0]
        answers = together.act(
            [Question(observations[i], t == 0, 0, memories[i]) for i in who], [False] * len(who)
        )
        for place, i in enumerate(who):
            action = alone[i].act(observations[i][None], np.array([t == 0]), np.array([0], np.int32))
            assert answers.actions[place] == action[0]
            np.testing.assert_allclose(answers.logits[place], alone[i].logits[0], rtol=1e-5, atol=1e-6)


def test_drawn_actions_are_the_policys_and_others_the_likeliest() -> None:
    model = small_model()
    policy = BatchPolicy(Fixed(model), seed=3)
    memories = [Memory(model.network) for _ in range(400)]
    questions = [Question(observation(0.3), True, 0, memory) for memory in memories]
    answers = policy.act(questions, [i < 300 for i in range(400)])
    likeliest = int(answers.logits[0].argmax())
    assert set(answers.actions[300:]) == {likeliest}
    shares = np.exp(answers.logits[0]) / np.exp(answers.logits[0]).sum()
    counted = np.bincount(answers.actions[:300], minlength=ACTIONS) / 300
    np.testing.assert_allclose(counted, shares, atol=0.12)


def test_newer_parameters_are_taken_over_by_every_size_of_batch() -> None:
    class Changing:
        def __init__(self) -> None:
            self.model = Model(small_model(), 1)

        def newer(self, held: int) -> Model | None:
            return None if held == self.model.version else self.model

    parameters = Changing()
    policy = BatchPolicy(parameters)

    def ask(size: int) -> tuple[np.ndarray, int]:
        memories = [Memory(parameters.model.weights.network) for _ in range(size)]
        answers = policy.act([Question(observation(1), True, 0, m) for m in memories], [False] * size)
        return answers.logits[0], answers.version

    before = {size: ask(size) for size in (1, 2)}
    parameters.model = Model(small_model(), 2)
    policy.refresh()
    for size in (1, 2):
        assert before[size][1] == 1
        assert ask(size)[1] == 2
        assert not np.allclose(ask(size)[0], before[size][0])


def answered(policy: RemotePolicy, value: float, **fields: object) -> int:
    policy.ask(observation(value), step(**fields))  # type: ignore[arg-type]
    found: list[int] = []

    def there() -> bool:
        action = policy.poll()
        if action is not None:
            found.append(action)
        return bool(found)

    wait_until(there, "an answer")
    return found[0]


def test_a_connection_is_answered_and_the_answer_given_once(address: Address, service: Service) -> None:
    policy = client(address)
    assert list(policy.wait_ready(PATIENCE_S).jobs) == ["lte", "umts"]
    woken = threading.Event()
    policy.begin(woken.set)
    assert 0 <= answered(policy, 0.5, first=True) < ACTIONS
    assert woken.wait(PATIENCE_S)
    assert policy.poll() is None
    answered(policy, 0.1, skipped=3)
    policy.end(observation(), step(truncated=True))
    policy.close()
    wait_until(lambda: service.counts.actors == 0, "the actor has left")
    assert (service.counts.answers, service.counts.skipped, service.counts.lost) == (2, 3, 0)
    assert len(service.counts.waited_ms) == 2  # told with the row after, the last one too


def test_who_is_gone_without_a_word_is_woken_in_vain(address: Address) -> None:
    policy = client(address)
    policy.wait_ready(PATIENCE_S)
    loop = asyncio.new_event_loop()
    loop.close()
    policy.begin(lambda: loop.call_soon_threadsafe(print))
    answered(policy, 0, first=True)
    policy.begin(lambda: None)
    answered(policy, 0, first=True)  # the link has not died of it
    policy.close()


def test_no_call_blocks_while_the_server_is_stalled() -> None:
    service = make_service()
    release = threading.Event()
    act = service._policy.act
    service._policy.act = lambda *args: (release.wait(PATIENCE_S), act(*args))[1]  # type: ignore[method-assign]
    with serving(service) as address, contextlib.closing(client(address)) as policy:
        policy.wait_ready(PATIENCE_S)
        policy.begin(lambda: None)
        begin = time.monotonic()
        try:
            policy.ask(observation(), step(first=True))
            for _ in range(100):
                assert policy.poll() is None
            policy.end(observation(), step(truncated=True))
            policy.begin(lambda: None)
            policy.ask(observation(), step(first=True))
            policy._on_said(messages.FromServer(answer=messages.Answer(number=1, action=0)))
            assert policy.poll() is None  # what answers the first question comes too late
            assert time.monotonic() - begin < PATIENCE_S / 2  # it would be PATIENCE_S
        finally:
            release.set()
        wait_until(lambda: policy.poll() is not None, "the second question's answer")
        assert service.counts.answers == 2


@pytest.mark.parametrize(
    ("batch", "batch_ms", "sizes"),
    [(2, 10_000.0, {2}), (8, 10_000.0, {4}), (8, 50.0, {3})],
    ids=["full", "nobody-else", "deadline"],
)
def test_a_batch_is_full_or_late_or_has_nobody_to_wait_for(
    batch: int, batch_ms: float, sizes: set[int]
) -> None:
    service = make_service(batch=batch, batch_ms=batch_ms)
    seen: list[int] = []
    act = service._policy.act
    service._policy.act = lambda q, d: (seen.append(len(q)), act(q, d))[1]  # type: ignore[method-assign]
    with serving(service) as address:
        policies = [client(address) for _ in range(4)]
        for policy in policies:
            policy.wait_ready(PATIENCE_S)
        wait_until(lambda: service.counts.actors == 4, "all are there")
        asking = policies[:3] if batch_ms < 1000 else policies
        for policy in asking:
            policy.begin(lambda: None)
            policy.ask(observation(), step(first=True))
        for policy in asking:
            wait_until(lambda policy=policy: policy.poll() is not None, "an answer")
        if batch_ms < 1000:  # a loaded machine may spread three questions over two deadlines
            assert sum(seen) == 3
            assert len(seen) <= 3
        else:
            assert set(seen) == sizes
        for policy in policies:
            policy.close()


def test_scenarios_are_known_by_name(address: Address, service: Service) -> None:
    seen: list[int] = []
    act = service._policy.act
    service._policy.act = lambda q, d: (seen.extend(x.job for x in q), act(q, d))[1]  # type: ignore[method-assign]
    policy = client(address, scenarios=["umts", "mine", "lte"])
    policy.wait_ready(PATIENCE_S)
    policy.begin(lambda: None)
    for job in (0, 1, 2, -1):
        answered(policy, 0, first=True, job=job)
    assert seen == [1, -1, 0, -1]
    policy.close()


def test_an_open_question_is_asked_again_on_the_next_server() -> None:
    service = make_service()
    service._policy.act = lambda *_: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with serving(service) as address:
        policy = client(address)
        policy.wait_ready(PATIENCE_S)
        policy.begin(lambda: None)
        policy.ask(observation(), step(first=True))
        wait_until(lambda: bool(policy._link.problem), "the server's failure is noticed")
    second = make_service()
    with serving(second, address.text):
        wait_until(lambda: policy.poll() is not None, "the answer of the second server")
        assert (second.counts.rejoined, policy.sessions >= 2) == (1, True)
        policy.close()


def test_nothing_is_said_to_the_next_server_before_it_is_known(tmp_path: Path) -> None:
    """What falls due between hello and welcome would have no place there, and be refused for good."""

    class Slow(Service):
        async def _meet(self, context: Any) -> Any:
            await asyncio.sleep(0.5)
            return await super()._meet(context)

    address = f"unix:{tmp_path}/socket"
    service = make_service()
    with serving(service, address) as at:
        policy = RemotePolicy(at, ClientSecurity(), lambda _: SPEC)
        policy.wait_ready(PATIENCE_S)
        policy.begin(lambda: None)
    slow = make_service(kind=Slow)
    with serving(slow, address), contextlib.closing(policy):

        def answered() -> bool:
            policy.report("{}")
            policy.end(observation(), step(truncated=True))
            policy.begin(lambda: None)
            policy.ask(observation(), step(first=True))
            time.sleep(0.02)
            policy.check()
            return policy.poll() is not None

        wait_until(answered, "an answer of the next server")
        assert slow.counts.refused == 0


class Learning:
    """A trainer, and the only column that it has."""

    play = "{}"

    def __init__(self) -> None:
        self.rows = 0
        self.dropped = threading.Event()

    def next_episode(self) -> tuple[int, int]:
        return 1, 0

    def column(self) -> Learning:
        return self

    def add_row(self, *_: object) -> None:
        self.rows += 1

    def add_answer(self, *_: object) -> None: ...

    def add_episode(self, _: dict[str, Any]) -> None: ...

    def episode_broke_off(self) -> None: ...

    def drop(self) -> None:
        self.dropped.set()


def test_what_an_actor_has_begun_goes_with_it() -> None:
    learning = Learning()
    with serving(make_service(trainer=learning)) as address:
        actor = client(address, purpose=messages.TRAIN)
        actor.wait_ready(PATIENCE_S)
        assert actor.next_episode(PATIENCE_S) is not None
        actor.begin(lambda: None)
        actor.ask(observation(), step(first=True))
        wait_until(lambda: actor.poll() is not None, "an answer")
        assert learning.rows == 1
        assert not learning.dropped.is_set()
        actor.close()
        assert learning.dropped.wait(PATIENCE_S)


# Refusals


def raw(address: Address, *said: bytes, method: str = rpc.METHOD) -> tuple[grpc.StatusCode, str]:
    """How the server ends a stream of such messages."""
    with grpc.insecure_channel(address.text) as channel:
        call = channel.stream_stream(method)(iter(said), timeout=PATIENCE_S)
        with contextlib.suppress(grpc.RpcError):
            list(call)
        return call.code(), call.details()


def hello(**fields: object) -> bytes:
    good = {"protocol": rpc.PROTOCOL, "purpose": messages.EVALUATE}
    return messages.FromActor(hello=messages.Hello(**(good | fields))).SerializeToString()  # type: ignore[arg-type]


READY = messages.FromActor(ready=messages.Ready(spec_hash=SPEC)).SerializeToString()


def row(**fields: object) -> bytes:
    good = {"number": 1, "observation": observation().tobytes(), "asks": True}
    return messages.FromActor(row=messages.Row(**(good | fields))).SerializeToString()  # type: ignore[arg-type]


REFUSED = {
    "malformed": ((b"\xff\xff\xff",), "INVALID_ARGUMENT", "cannot be read"),
    "oversized": ((b"\0" * (rpc.MESSAGE_BYTES + 1),), "RESOURCE_EXHAUSTED", "at most 262144"),
    "huge": ((b"\0" * 2_000_000,), "RESOURCE_EXHAUSTED", "larger than max"),
    "no hello": ((READY,), "INVALID_ARGUMENT", "begins with hello"),
    "version": ((hello(protocol=7),), "FAILED_PRECONDITION", f"version {rpc.PROTOCOL} of"),
    "training": ((hello(purpose=messages.TRAIN),), "FAILED_PRECONDITION", "nothing to train"),
    "purpose": ((hello(purpose=9),), "INVALID_ARGUMENT", "unknown purpose 9"),
    "early row": ((hello(), row()), "INVALID_ARGUMENT", "row where it has no place"),
    "short": ((hello(), READY, row(observation=b"1234")), "INVALID_ARGUMENT", "4 bytes, where 6 numbers"),
    "nan": ((hello(), READY, row(observation=observation(np.nan).tobytes())), "INVALID_ARGUMENT", "none"),
    "reward": ((hello(), READY, row(reward=np.inf)), "INVALID_ARGUMENT", "a reward of inf"),
    "job": ((hello(), READY, row(job=2)), "INVALID_ARGUMENT", "job 2 of 2"),
    "after the end": ((hello(), READY, row(truncated=True)), "INVALID_ARGUMENT", "exactly where"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_and_logged_and_the_server_goes_on(
    case: str, address: Address, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    said, code, words = REFUSED[case]
    with caplog.at_level(logging.WARNING, "mvfstrl.rpc.service"):
        found, details = raw(address, *said)
        assert found is grpc.StatusCode[code]
        assert words in details
        wait_until(lambda: service.counts.refused == 1, "the refusal is counted")
        assert "refused" in caplog.text
        assert case == "huge" or words in caplog.text
    policy = client(address)
    policy.wait_ready(PATIENCE_S)
    policy.begin(lambda: None)
    answered(policy, 0, first=True)
    policy.close()


def test_another_protocol_is_told_what_is_spoken_here(address: Address, service: Service) -> None:
    code, details = raw(address, method="/mvfstrl.rpc.v9.Actors/Play")
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert rpc.METHOD in details
    assert service.counts.refused == 1


def test_another_spec_is_refused_and_not_tried_again(address: Address, service: Service) -> None:
    policy = client(address, "fedcba9876543210")
    wait_until(lambda: policy._link.refused is not None, "the refusal")
    with pytest.raises(ServerError, match=r"spec fedcba9876543210, where the policy's are of spec 0123"):
        policy.check()
    time.sleep(0.5)
    assert service.counts.joined == 1
    policy.close()


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    policy = client(Address(f"unix:{tmp_path}/nobody"))
    with pytest.raises(ServerError, match=r"no answer from the policy server within 0\.3 s"):
        policy.wait_ready(0.3)
    policy.close()
