"""As much of a wandb server as `wandb sync` and `wandb.Api` need of it for a run without artifacts.

The operations' names and forms are those that wandb 0.31's own client sends; an unknown one is refused by its
name. What this cannot show: how the real server words its refusals, and how it thins long histories.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ENTITY = "us"
CREATED = "2026-01-02T03:04:05Z"


@dataclass
class ServedRun:
    """What the server knows of a run."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    """Of each streamed file, by its name."""
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    def rows(self, name: str = "wandb-history.jsonl") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.get(name, [])]

    def stream(self, name: str, offset: int, content: list[str]) -> None:
        """As the file stream's protocol has it: lines replace those that were there from the offset on."""
        kept = self.lines.setdefault(name, [])
        if name == "wandb-summary.json":
            kept[:] = content
        else:
            assert offset <= len(kept), f"{name}: a gap before line {offset}"
            kept[offset:] = content


class WandbServer:
    def __init__(self) -> None:
        self.runs: dict[str, ServedRun] = {}
        self.asked: list[str] = []
        """Names of the operations, in order."""
        self.unknown: list[str] = []
        self.address = ""

    def answer(self, query: dict[str, Any]) -> dict[str, Any] | None:
        """To a GraphQL request; None: not one that is known."""
        name = re.findall(r"(?:query|mutation)\s+(\w+)", query["query"])[0]
        variables = query.get("variables") or {}
        self.asked.append(name)
        known = getattr(self, f"_{name}", None)
        if known is None:
            self.unknown.append(json.dumps(query))
            return None
        found: dict[str, Any] = known(variables)
        return found

    def stream(self, run: str, content: dict[str, Any]) -> None:
        served = self.runs[run]
        for name, chunk in content.get("files", {}).items():
            served.stream(name, chunk["offset"], chunk["content"])
        if content.get("complete"):
            served.exit_code = content["exitcode"]

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], ServedRun(given["name"]))
        run.fields |= {key: value for key, value in given.items() if value is not None}
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": inserted}}

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(given["name"])
        bucket = None if run is None else self._bucket(run)
        return {"model": self._project(given["project"]) | {"bucket": bucket}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        at = f"{self.address}/storage/{given['run']}"
        files = [{"name": name, "uploadUrl": f"{at}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _Viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        user = {"id": "user", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}"}
        return {"viewer": user | {"teams": {"edges": []}}}

    _GetDefaultEntity = _Viewer

    def _Runs(self, given: dict[str, Any]) -> dict[str, Any]:
        edges = [{"node": self._read(run), "cursor": run.id} for run in self.runs.values()]
        page = {"endCursor": None, "hasNextPage": False}
        found = {"internalId": "1", "runCount": len(edges), "readOnly": False}
        return {"project": found | {"runs": {"edges": edges, "pageInfo": page}}}

    def _Run(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": self._read(self.runs[given["name"]])}}

    _RunHistoryKeys = _Run

    def _RunParquetHistory(self, given: dict[str, Any]) -> dict[str, Any]:
        """Nothing is exported yet: all rows are live."""
        live = {
            "parquetUrls": [],
            "liveData": [{"_step": row["_step"]} for row in self.runs[given["runName"]].rows()],
        }
        return {"project": {"run": {"parquetHistory": live}}}

    def _HistoryPage(self, given: dict[str, Any]) -> dict[str, Any]:
        asked = range(given["minStep"], given["maxStep"])
        rows = [json.dumps(row) for row in self.runs[given["run"]].rows() if row["_step"] in asked]
        return {"project": {"run": {"history": rows[: given["pageSize"]]}}}

    def _RunFiles(self, given: dict[str, Any]) -> dict[str, Any]:
        files = self.runs[given["name"]].files
        at = f"{self.address}/storage/{given['name']}"
        nodes = [
            {"id": name, "name": name, "url": f"{at}/{name}", "sizeBytes": len(files[name])}
            for name in given["fileNames"]
            if name in files
        ]
        found = {"edges": [{"node": node, "cursor": node["id"]} for node in nodes]}
        page = {"endCursor": None, "hasNextPage": False}
        run = {"fileCount": len(nodes), "files": found | {"pageInfo": page}}
        return {"project": {"internalId": "1", "run": run}}

    def _read(self, run: ServedRun) -> dict[str, Any]:
        """As those who read runs are told of one."""
        rows = run.rows()
        states = {None: "running", 0: "finished"}
        return self._bucket(run) | {
            "projectId": "1",
            "state": states.get(run.exit_code, "failed"),
            "group": run.fields.get("groupName"),
            "jobType": None,
            "commit": None,
            "readOnly": False,
            "createdAt": CREATED,
            "heartbeatAt": CREATED,
            "systemMetrics": "{}",
            "user": {"name": ENTITY, "username": ENTITY},
            "historyKeys": {"lastStep": rows[-1]["_step"] if rows else -1, "sets": [], "keys": {}},
        }

    def _project(self, name: str) -> dict[str, Any]:
        return {"id": "project", "name": name, "entity": {"id": "entity", "name": ENTITY}}

    def _bucket(self, run: ServedRun) -> dict[str, Any]:
        history = run.lines.get("wandb-history.jsonl", [])
        events = run.lines.get("wandb-events.jsonl", [])
        return {
            "id": base64.b64encode(f"Run:{run.id}".encode()).decode(),
            "name": run.id,
            "displayName": run.fields.get("displayName", run.id),
            "description": "",
            "config": run.fields.get("config", "{}"),
            "summaryMetrics": "".join(run.lines.get("wandb-summary.json", ["{}"])),
            "tags": run.fields.get("tags", []),
            "notes": "",
            "sweepName": None,
            "project": self._project(run.fields["project"]),
            "wandbConfig": "{}",
            "logLineCount": 0,
            "historyLineCount": len(history),
            "eventsLineCount": len(events),
            "historyTail": json.dumps(history[-1:]),
            "eventsTail": json.dumps(events[-1:]),
        }


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = json.loads(self._body())
            if self.path == "/graphql":
                data = server.answer(content)
                refused = {"errors": [{"message": f"unknown operation {content.get('operationName')}"}]}
                self._send(200 if data is not None else 400, refused if data is None else {"data": data})
            else:  # /files/ENTITY/PROJECT/RUN/file_stream
                server.stream(self.path.split("/")[4], content)
                self._send(200, {})

        def do_PUT(self) -> None:
            _, _, run, name = unquote(self.path).split("/", 3)
            server.runs[run].files[name] = self._body()
            self._send(200, {})

        def do_GET(self) -> None:
            _, _, run, name = unquote(self.path).split("/", 3)
            self._send_bytes(200, server.runs[run].files[name])

        def _body(self) -> bytes:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

        def _send(self, status: int, content: dict[str, Any]) -> None:
            self._send_bytes(status, json.dumps(content).encode())

        def _send_bytes(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handle(self) -> None:
            with suppress(ConnectionResetError):  # wandb's way to hang up
                super().handle()

        def log_message(self, *_: Any) -> None: ...

    return Handler


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    served = WandbServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    server.daemon_threads = True
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
