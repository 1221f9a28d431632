"""Writes mvfstrl/rpc/actors_pb2.py and its types from actors.proto."""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "mvfstrl" / "rpc" / "actors.proto"


def generate(target: Path) -> None:
    """Writes `mvfstrl/rpc/actors_pb2.py` and `.pyi` below `target`."""
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        str(PROTO.relative_to(ROOT)),
    ]
    if protoc.main(arguments) != 0:
        sys.exit(f"{PROTO}: protoc refuses it, see above")


if __name__ == "__main__":
    generate(ROOT)
