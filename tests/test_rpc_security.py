"""Who may ask a policy server, and where it listens."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mvfstrl.rpc.client import RemotePolicy, ServerError
from mvfstrl.rpc.security import Address, ClientSecurity, SecurityError, ServerSecurity, read_token
from tests.rpc_helpers import PATIENCE_S, SPEC, make_service, observation, serving, step, wait_until
from tests.tls_files import TOKEN, Files, files

__all__ = ["files"]  # the fixture


def ask(address: Address, security: ClientSecurity) -> int:
    policy = RemotePolicy(address, security, lambda _: SPEC)
    try:
        policy.wait_ready(PATIENCE_S)
        policy.begin(lambda: None)
        policy.ask(observation(), step(first=True))
        found: list[int] = []

        def there() -> bool:
            action = policy.poll()
            found.extend([] if action is None else [action])
            return bool(found)

        wait_until(there, "an answer")
        return found[0]
    finally:
        policy.close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "unix"])
def test_the_token_is_asked_for_and_compared(
    address: str, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"unix:{tmp_path}/socket" if address == "unix" else address
    security = ServerSecurity.of(Address(address), files.token, None, None)
    service = make_service(security)
    with serving(service, address, security) as at, caplog.at_level(logging.WARNING):
        for shown, message in (
            (None, "this server wants a token"),
            ("another-token-as-long-as", "this token is not the server's"),
        ):
            with pytest.raises(ServerError, match=message):
                ask(at, ClientSecurity(token=shown))
            assert message in caplog.text
        assert (service.counts.refused, service.counts.joined) == (2, 0)
        assert ask(at, ClientSecurity.of(at, files.token, None)) in range(3)
    assert TOKEN not in caplog.text


def test_what_leaves_the_host_is_encrypted(files: Files) -> None:
    address = Address("127.0.0.1:0")
    security = ServerSecurity.of(address, files.token, files.certificate, files.key)
    service = make_service(security)
    with serving(service, address.text, security) as at:
        assert ask(at, ClientSecurity.of(at, files.token, files.certificate)) in range(3)
        plain = RemotePolicy(at, ClientSecurity(token=TOKEN), lambda _: SPEC)
        with pytest.raises(ServerError, match=r"no answer from the policy server within 0\.5 s"):
            plain.wait_ready(0.5)
        plain.close()
        assert service.counts.joined == 1


@pytest.mark.parametrize(
    "address", ["127.0.0.1:80", "127.8.8.8:1", "[::1]:443", "localhost:5000", "unix:/run/socket"]
)
def test_what_stays_on_the_host_needs_no_secrets(address: str) -> None:
    assert Address(address).local
    assert ServerSecurity.of(Address(address), None, None, None) == ServerSecurity()
    assert ClientSecurity.of(Address(address), None, None) == ClientSecurity()


@pytest.mark.parametrize("address", ["0.0.0.0:5000", "[::]:5000", "10.0.0.1:5000", "learner.example:5000"])
def test_what_leaves_it_needs_all_of_them(address: str, files: Files) -> None:
    for given in ((None, None, None), (files.token, None, None), (None, files.certificate, files.key)):
        with pytest.raises(SecurityError, match="needs token_file, tls_cert and tls_key"):
            ServerSecurity.of(Address(address), *given)
    for pair in ((None, None), (files.token, None), (None, files.certificate)):
        with pytest.raises(SecurityError, match=r"token_file, tls_ca"):
            ClientSecurity.of(Address(address), *pair)
    assert ServerSecurity.of(Address(address), files.token, files.certificate, files.key).token == TOKEN


@pytest.mark.parametrize(
    "text", ["", "5000", "host", "host:port", "host:70000", "a b:1", "unix:", "http://a:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SecurityError, match=r"no address|names no socket"):
        Address(text)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("a-token-of-some-length", 0o644, "others may read it; chmod 600"),
        ("short", 0o600, "at least 16"),
        ("two words that are long", 0o600, "no space"),
        ("größer-als-sechzehn-Zeichen", 0o600, "cannot be read"),
    ],
)
def test_a_token_that_is_none_is_refused_and_not_shown(
    content: str, mode: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(SecurityError, match=message) as raised:
        read_token(path)
    assert content not in str(raised.value)
    with pytest.raises(SecurityError, match="cannot be read"):
        read_token(tmp_path / "none")


def test_half_of_a_pair_is_refused(files: Files) -> None:
    with pytest.raises(SecurityError, match="belong together"):
        ServerSecurity.of(Address("127.0.0.1:1"), None, files.certificate, None)
    with pytest.raises(SecurityError, match="tls_key: cannot be read"):
        ServerSecurity.of(Address("127.0.0.1:1"), None, files.certificate, files.key + "x")


def test_a_port_that_is_taken_is_named(files: Files) -> None:
    import asyncio

    from mvfstrl.rpc.service import listen

    service = make_service()
    with serving(service) as at, pytest.raises(SecurityError, match=f"cannot listen on {at.text}"):
        asyncio.run(listen(make_service(), ServerSecurity(), [at]))
