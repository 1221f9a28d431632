"""What is finished of a test, a file a cell, so that a test that was killed goes on where it stood.

A cell is a scheme in a scenario. Its file holds the key of what was played: a hash over the configuration,
the episodes, the policy's weights, the contents of traces and the native core itself. Only a whole file with
the very key that is asked for is used; any other is named, and its cell is played again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mvfstrl.files import write_whole

FORMAT = "mvfst-rl cell"
VERSION = 1


class CellStore:
    """The folder of finished cells, `FOLDER/SCHEME/SCENARIO.json.gz`."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._say = say

    def path(self, scheme: str, scenario: str) -> Path:
        return self.folder / file_name(scheme) / f"{file_name(scenario)}.json.gz"

    def load(self, scheme: str, scenario: str, key: str) -> dict[str, Any] | None:
        """The content that was saved under this key; None where there is none that can be used."""
        path = self.path(scheme, scenario)
        try:
            document = json.loads(gzip.decompress(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, zlib.error) as error:
            self._say(f"{path} is torn or no cell ({error}): played again")
            return None
        problem, content = _problem(document, key)
        if problem:
            self._say(f"{path} {problem}: played again")
        return content

    def save(self, scheme: str, scenario: str, key: str, content: Mapping[str, Any]) -> None:
        path = self.path(scheme, scenario)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"format": FORMAT, "version": VERSION, "key": key, "digest": digest(content)}
        text = json.dumps(document | {"content": content})
        write_whole(path, gzip.compress(text.encode(), compresslevel=1, mtime=0))


def _problem(document: Any, key: str) -> tuple[str, dict[str, Any] | None]:
    """What is wrong with a file's document, or its content."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return "is no cell of a test", None
    if document.get("version") != VERSION or document.get("key") != key:
        return "is of another configuration, policy or program", None
    content = document.get("content")
    if not isinstance(content, dict) or document.get("digest") != digest(content):
        return "is damaged: its content does not match its digest", None
    return "", content


def digest(content: Any) -> str:
    """SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def cell_key(config: Mapping[str, Any], **more: Any) -> str:
    """The key of what `config`, a native configuration, plays; `more` is whatever else shapes the result."""
    traces = {name: _file_digest(name) for name in sorted(set(_files(config)))}
    return digest({"config": config, "traces": traces, "core": _core(), **more})


def _files(node: Any) -> Iterator[str]:
    """Every trace file that a configuration names."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "file" and isinstance(value, str):
                yield value
            else:
                yield from _files(value)
    elif isinstance(node, list):
        for item in node:
            yield from _files(item)


def _file_digest(name: str) -> str | None:
    path = Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


@cache
def _core() -> str | None:
    """The native core's own bytes: another build may play differently."""
    from mvfstrl import _native

    return _file_digest(_native.__file__)


def file_name(name: str) -> str:
    return quote(name, safe=" ()+,=@")
