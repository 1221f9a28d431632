"""A token and a certificate for a policy server on loopback, made anew for each module of tests."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from mvfstrl.realtime.certificates import certificate_in

TOKEN = "a-token-of-some-length"


class Files(NamedTuple):
    token: str
    certificate: str
    key: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("secrets")
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    made = certificate_in(folder)
    return Files(str(token), str(made.certificate), str(made.key))
