"""Checkpoints: one file each, written whole or not at all, verified when read, and free of code.

A file is `torch.save` of plain data and tensors, `checkpoints/step_<steps>.pt`; the newest two are kept.
Reading never executes anything (`weights_only=True`), and compares the digest of the content, because torch
itself does not notice a flipped bit. Where the newest file is torn, the one before is used and a warning says
so.
"""

from __future__ import annotations

import hashlib
import io
import logging
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from mvfstrl.errors import CheckpointError
from mvfstrl.files import write_whole

logger = logging.getLogger(__name__)

FORMAT = "mvfst-rl checkpoint"
VERSION = 1
SUFFIX = ".pt"
T = TypeVar("T")


class TornCheckpointError(CheckpointError):
    """A file that is incomplete or damaged."""


def save_checkpoint(folder: Path, content: Mapping[str, Any], *, step: int, keep: int = 2) -> Path:
    """Writes `content` (plain data and tensors) as the folder's newest checkpoint; drops all but the newest
    `keep`.

    Atomic: whatever goes wrong, a full disk included, earlier checkpoints stay as they were.
    """
    assert keep >= 1
    folder.mkdir(parents=True, exist_ok=True)
    body = plain(content)
    document = {"format": FORMAT, "version": VERSION, "digest": digest(body), "content": body}
    memory = io.BytesIO()
    torch.save(document, memory)
    path = folder / f"step_{step:012d}{SUFFIX}"
    try:
        write_whole(path, memory.getbuffer(), durable=True)
    except OSError as error:
        kept = checkpoints_in(folder)
        hint = f"; {kept[-1]} is untouched" if kept else ""
        raise CheckpointError(f"cannot write checkpoint {path}: {error.strerror or error}{hint}") from error
    for old in checkpoints_in(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of the checkpoint at `path`: a file, a folder of checkpoints or a run directory.

    Of a folder, the newest whole one. Where the file itself is torn, the one before it in its folder.
    """
    candidates = _candidates(path)
    problems: list[str] = []
    for candidate in candidates:
        try:
            content = read_checkpoint(candidate)
        except TornCheckpointError as error:
            logger.warning("%s", error)
            problems.append(str(error))
            continue
        if problems:
            logger.warning(
                "using the checkpoint before it, %s (step %s)", candidate, content.get("step", "?")
            )
        return content
    raise CheckpointError("; ".join(problems) + "; and there is no earlier checkpoint")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of exactly this file."""
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint at {path}") from error
    except Exception as error:
        reason = _first_line(error)
        raise TornCheckpointError(f"checkpoint {path} is damaged or no checkpoint: {reason}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this project")
    if document.get("version") != VERSION:
        raise CheckpointError(
            f"checkpoint {path} has format version {document.get('version')}, this program reads {VERSION}"
        )
    content = document.get("content")
    if not isinstance(content, dict) or document.get("digest") != digest(content):
        raise TornCheckpointError(f"checkpoint {path} is damaged: its content does not match its digest")
    return content


def checkpoints_in(folder: Path) -> list[Path]:
    """Oldest first; files still being written are none."""
    return sorted(folder.glob(f"step_*{SUFFIX}"))


def require_same_spec(mine: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> None:
    """Raises, naming what differs, unless a checkpoint's spec is the environment's."""
    differences = spec_difference(theirs, mine)
    if differences:
        lines = "\n".join(f"  {line}" for line in differences)
        raise CheckpointError(
            f"{where} was made for another observation or action spec than this configuration's:\n{lines}"
        )


def spec_difference(old: Any, new: Any, path: str = "") -> list[str]:
    """Differences of two specs, a line each. Lists of named items are compared by name."""
    if path.rpartition(".")[2] == "hash":
        return []  # says only that something else differs
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines = []
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in new:
                lines.append(f"{below}: only in the checkpoint")
            elif key not in old:
                lines.append(f"{below}: not in the checkpoint")
            else:
                lines += spec_difference(old[key], new[key], below)
        return lines
    if _named(old) and _named(new):
        return _named_difference(old, new, path)
    return [] if old == new else [f"{path}: {old!r} in the checkpoint, {new!r} here"]


def trained_section(config: Mapping[str, Any], name: str, section: type[T]) -> T | None:
    """A section of the configuration that a policy was trained with, if it has one. Keys that have since gone
    are the business of the comparison of specs.
    """
    given = config.get(name)
    if not isinstance(given, Mapping):
        return None
    known = {field.name for field in fields(section)}  # type: ignore[arg-type]
    return section(**{key: value for key, value in given.items() if key in known})


def plain(value: Any) -> Any:
    """A copy made of dicts, lists, numbers, strings and CPU tensors: what `weights_only` loading allows."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True).contiguous()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, int) else plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        # pickle refers back to an object it has met: with one object a text, equal contents are equal bytes.
        return sys.intern(str(value))
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"a checkpoint holds plain data and tensors, not {type(value).__name__}")


def digest(value: Any) -> str:
    """SHA-256 of plain data, over every byte of every tensor."""
    sha = hashlib.sha256()
    _feed(sha, value)
    return sha.hexdigest()


def _feed(sha: hashlib._Hash, value: Any) -> None:
    if isinstance(value, Tensor):
        sha.update(f"tensor {value.dtype} {tuple(value.shape)};".encode())
        sha.update(value.contiguous().flatten().view(torch.uint8).numpy().data)
    elif isinstance(value, dict):
        sha.update(f"dict {len(value)};".encode())
        for key, item in value.items():
            _feed(sha, key)
            _feed(sha, item)
    elif isinstance(value, list):
        sha.update(f"list {len(value)};".encode())
        for item in value:
            _feed(sha, item)
    elif isinstance(value, float):
        sha.update(b"float" + struct.pack("<d", value))
    else:
        sha.update(f"{type(value).__name__} {value!r};".encode())


def _candidates(path: Path) -> list[Path]:
    """Files to try, best first."""
    if path.is_dir():
        found = checkpoints_in(path) or checkpoints_in(path / "checkpoints")
        if not found:
            raise CheckpointError(f"no checkpoint in {path}")
        return found[::-1]
    if not path.exists():
        raise CheckpointError(f"no checkpoint at {path}")
    return [path, *(other for other in checkpoints_in(path.parent)[::-1] if other.name < path.name)]


def _named(value: Any) -> bool:
    if not isinstance(value, Sequence) or not value:
        return False
    return all(isinstance(item, Mapping) and "name" in item for item in value)


def _named_difference(old: Sequence[Any], new: Sequence[Any], path: str) -> list[str]:
    mine, theirs = {item["name"]: item for item in new}, {item["name"]: item for item in old}
    lines = _listed(f"{path}: only in the checkpoint", [name for name in theirs if name not in mine])
    lines += _listed(f"{path}: not in the checkpoint", [name for name in mine if name not in theirs])
    for name, item in theirs.items():
        if name in mine:
            lines += spec_difference(item, mine[name], f"{path}[{name}]")
    if not lines and list(mine) != list(theirs):
        lines.append(f"{path}: the same names in another order")
    return lines


def _listed(label: str, names: list[str], most: int = 12) -> list[str]:
    if not names:
        return []
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{label}: {', '.join(names[:most])}{rest}"]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
