"""A policy server of its own: `python -m mvfstrl.rpc.server --checkpoint FILE --listen HOST:PORT`.

Runs answer it with mode=test policy=rpc. In training the server is in the learner's process instead
(mvfstrl/agents/impala/remote.py).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from mvfstrl.errors import MvfstrlError
from mvfstrl.rpc.answers import BatchPolicy, load_parameters
from mvfstrl.rpc.security import LOOPBACK, Address, ServerSecurity
from mvfstrl.rpc.service import Service, close, listen

logger = logging.getLogger(__name__)


async def serve(
    service: Service,
    security: ServerSecurity,
    address: Address,
    started: Callable[[Address], None],
    stop: asyncio.Event,
) -> None:
    """Answers until told to stop."""
    server, (found,) = await listen(service, security, [address])
    started(found)
    await stop.wait()
    await close(server, grace_s=0.5)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mvfstrl.rpc.server", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="of a training, or an exported policy.mvfstrl")
    parser.add_argument("--listen", default=LOOPBACK, help="HOST:PORT or unix:FILE; port 0: any")
    parser.add_argument("--batch", type=int, default=32, help="questions answered at once, at most")
    parser.add_argument("--batch-ms", type=float, default=1.0, help="how long a question waits for others")
    parser.add_argument("--token-file", help="the token that callers must show")
    parser.add_argument("--tls-cert", help="this server's certificate")
    parser.add_argument("--tls-key", help="its private key")
    return parser


async def _serve(given: argparse.Namespace) -> None:
    address = Address(given.listen)
    security = ServerSecurity.of(address, given.token_file, given.tls_cert, given.tls_key)
    parameters, spec_hash, jobs = load_parameters(Path(given.checkpoint))
    service = Service(
        BatchPolicy(parameters),
        spec_hash=spec_hash,
        jobs=jobs,
        security=security,
        batch=given.batch,
        batch_ms=given.batch_ms,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(service, security, address, lambda at: print(f"listening on {at.text}", flush=True), stop)
    counts = service.counts
    logger.info("%d answers to %d connections, %d refused", counts.answers, counts.joined, counts.refused)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = parser().parse_args()
    if given.batch < 1 or given.batch_ms < 0:
        parser().error("--batch must be at least 1, --batch-ms 0 or more")
    try:
        asyncio.run(_serve(given))
    except MvfstrlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
