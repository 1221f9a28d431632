"""`python -m pantheon.traces`: recordings are fetched and checked; no test uses the network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from requests.exceptions import ConnectionError as NoConnection

from pantheon import traces
from pantheon.traces import CATALOGUE, TraceError, fetch, files_of, main, matches, names, take


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes | Exception) -> list[str]:
    """Has every download bring `content`; returns the addresses that are asked for."""
    asked: list[str] = []

    def downloader(**_: Any) -> Any:
        def download(url: str, output: str, pooch: Any) -> None:
            asked.append(url)
            if isinstance(content, Exception):
                raise content
            Path(output).write_bytes(content)

        return download

    monkeypatch.setattr("pooch.HTTPDownloader", downloader)
    return asked


def test_a_name_stands_for_both_directions() -> None:
    assert files_of("Verizon-LTE-short") == ["Verizon-LTE-short.up", "Verizon-LTE-short.down"]
    assert files_of("Verizon-LTE-short.up") == ["Verizon-LTE-short.up"]
    assert len(names()) == 8
    assert all(f"{name}.{side}" in CATALOGUE for name in names() for side in ("up", "down"))


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(TraceError, match="did you mean Verizon-LTE-short"):
        files_of("verizon-lte-short")
    with pytest.raises(TraceError, match=r"pantheon\.traces list"):
        files_of("zzz")


def test_the_checksums_are_those_of_the_shared_traces(shared_data: Path) -> None:
    for file in ("Verizon-LTE-short", "TMobile-UMTS-driving"):
        for name in files_of(file):
            assert matches(shared_data / "traces" / name, CATALOGUE[name])


def test_git_identities_are_checksums_too(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    assert matches(tmp_path / "x", "git:ce013625030ba8dba906f756967f9e9ca394464a")
    assert not matches(tmp_path / "x", "git:de013625030ba8dba906f756967f9e9ca394464a")


@pytest.mark.parametrize("git", [False, True])
def test_a_download_is_checked_and_not_repeated(
    git: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"1\n2\n"
    sha = hashlib.sha256(content).hexdigest()
    blob = hashlib.sha1(b"blob 4\0" + content).hexdigest()
    monkeypatch.setitem(CATALOGUE, "Verizon-LTE-short.up", f"git:{blob}" if git else sha)
    asked = serve(monkeypatch, content)
    for _ in range(2):
        (got,) = fetch("Verizon-LTE-short.up", tmp_path)
        assert got.checked
        assert got.path.read_bytes() == content
    assert asked == [f"{traces.ADDRESS}Verizon-LTE-short.up"]
    assert traces.COMMIT in asked[0]


@pytest.mark.parametrize("file", ["Verizon-LTE-short.up", "Verizon-LTE-driving.up"])
def test_another_files_content_is_refused_and_removed(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(monkeypatch, b"<html>not found</html>")
    assert main(["fetch", file, "--to", str(tmp_path)]) == 2
    assert "checksum differs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(monkeypatch, NoConnection("name resolution failed, and much more"))
    assert main(["fetch", "Verizon-LTE-short", "--to", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--from DIR" in told
    assert "raw.githubusercontent.com" in told


def test_local_files_are_taken_and_checked(shared_data: Path, tmp_path: Path) -> None:
    taken = take("Verizon-LTE-short", shared_data / "traces", tmp_path)
    assert [trace.path.name for trace in taken] == files_of("Verizon-LTE-short")
    assert all(trace.checked and trace.path.is_file() for trace in taken)


def test_a_local_file_of_a_known_name_must_be_that_trace(tmp_path: Path) -> None:
    (tmp_path / "Verizon-LTE-short.up").write_text("1\n")
    with pytest.raises(TraceError, match="checksum differs"):
        take("Verizon-LTE-short.up", tmp_path, tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())


def test_traces_of_ones_own_are_taken_by_their_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.up").write_text("1\n2\n")
    assert main(["fetch", "mine", "--from", str(tmp_path), "--to", str(tmp_path / "to")]) == 0
    told = capsys.readouterr().out
    assert "mine.up (no checksum known: format checked)" in told
    (tmp_path / "mine.up").write_text("2\n1\n")
    assert main(["fetch", "mine", "--from", str(tmp_path), "--to", str(tmp_path / "to")]) == 2
    assert "mine.up:2:" in capsys.readouterr().err


def test_a_folder_without_the_file_is_told_with_near_names(tmp_path: Path) -> None:
    (tmp_path / "mine.up").write_text("1\n")
    with pytest.raises(TraceError, match=r"did you mean mine\.up"):
        take("mime.up", tmp_path, tmp_path)
    with pytest.raises(TraceError, match="no such folder"):
        take("mine", tmp_path / "nowhere", tmp_path)


def test_the_licence_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert "GPL-3.0-or-later" in told
    assert "Verizon-EVDO-driving" in told
