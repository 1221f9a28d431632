"""Where a policy server listens, and who may ask it. What leaves the host is encrypted, and who sends it has
shown a token; both come from files, so that neither a command line nor a record of the run has them."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from mvfstrl.errors import MvfstrlError

TOKEN_KEY = "authorization"
SHORTEST_TOKEN = 16
LOOPBACK = "127.0.0.1:0"
"""Any free port."""


class SecurityError(MvfstrlError):
    """An address, or what is to protect it, that is not to be used."""


@dataclass(frozen=True)
class Address:
    """`unix:FILE`, or `HOST:PORT`."""

    text: str

    def __post_init__(self) -> None:
        if self.socket is not None:
            if not self.socket.name:
                raise SecurityError(f"{self.text}: names no socket; write unix:FILE or HOST:PORT")
        elif not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}", self.text) or self.port > 65_535:
            raise SecurityError(f"{self.text!r} is no address: write HOST:PORT, [IPV6]:PORT or unix:FILE")

    @property
    def socket(self) -> Path | None:
        return Path(self.text.removeprefix("unix:")) if self.text.startswith("unix:") else None

    @property
    def host(self) -> str:
        return self.text.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.text.rpartition(":")[2])

    def at(self, port: int) -> Address:
        """With the port that was given out for port 0."""
        return self if self.socket is not None else Address(f"{self.text.rpartition(':')[0]}:{port}")

    @property
    def local(self) -> bool:
        """Whether what is sent there stays on this host."""
        if self.socket is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_token(path: str | Path) -> str:
    """The shared token in a file that nobody but its owner may read."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecurityError(f"token file {path}: cannot be read: {error}") from error
    if mode & 0o077:
        raise SecurityError(f"token file {path}: others may read it; chmod 600 {path}")
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise SecurityError(
            f"token file {path}: a token has at least {SHORTEST_TOKEN} printable characters and no space"
        )
    return token


@dataclass(frozen=True)
class ServerSecurity:
    """What a server asks for and shows."""

    token: str | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    @classmethod
    def of(
        cls, address: Address, token: str | None, certificate: str | None, key: str | None
    ) -> ServerSecurity:
        """From files. Raises SecurityError where they do not suffice for the address."""
        if (certificate is None) != (key is None):
            raise SecurityError(
                "a certificate and its key belong together: one of tls_cert, tls_key is missing"
            )
        if not address.local and (token is None or certificate is None):
            raise SecurityError(
                f"{address.text} can be reached from other hosts: it needs token_file, tls_cert and tls_key"
            )
        return cls(
            None if token is None else read_token(token),
            None if certificate is None else _read("tls_cert", certificate),
            None if key is None else _read("tls_key", key),
        )

    def bind(self, server: Any, address: Address) -> int:
        """Opens the port; returns its number. Raises SecurityError where it cannot be had."""
        try:
            if self.certificate is None or address.socket is not None:
                port: int = server.add_insecure_port(address.text)
            else:
                assert self.key is not None
                pairs = [(self.key, self.certificate)]
                port = server.add_secure_port(address.text, grpc.ssl_server_credentials(pairs))
        except RuntimeError as error:
            raise SecurityError(f"cannot listen on {address.text}: {error}") from error
        return port

    def refusal(self, metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
        """Why a caller with these headers is turned away."""
        if self.token is None:
            return None
        shown = [value for key, value in metadata if key == TOKEN_KEY]
        if not shown:
            return "this server wants a token: give its file (token_file)"
        value = shown[0].encode() if isinstance(shown[0], str) else shown[0]
        good = len(shown) == 1 and hmac.compare_digest(value, f"Bearer {self.token}".encode())
        return None if good else "this token is not the server's"


@dataclass(frozen=True)
class ClientSecurity:
    """What a client shows and trusts."""

    token: str | None = None
    authority: bytes | None = None

    @classmethod
    def of(cls, address: Address, token: str | None, authority: str | None) -> ClientSecurity:
        """From files. Raises SecurityError where they do not suffice for the address."""
        if not address.local and (token is None or authority is None):
            raise SecurityError(
                f"{address.text} is another host: its server wants a token file and a certificate to trust"
                " (token_file, tls_ca)"
            )
        return cls(
            None if token is None else read_token(token),
            None if authority is None else _read("tls_ca", authority),
        )

    def channel(self, address: Address, options: list[tuple[str, Any]]) -> grpc.Channel:
        channel: grpc.Channel
        if self.authority is None or address.socket is not None:
            channel = grpc.insecure_channel(address.text, options=options)
        else:
            credentials = grpc.ssl_channel_credentials(root_certificates=self.authority)
            channel = grpc.secure_channel(address.text, credentials, options=options)
        return channel

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self.token is None else ((TOKEN_KEY, f"Bearer {self.token}"),)


def _read(key: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SecurityError(f"{key}: cannot be read: {error}") from error
