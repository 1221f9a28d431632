"""The notebooks: kept without outputs, and each runs from top to bottom over real, small runs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "analysis"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> nbformat.NotebookNode:
    """From the folder that it lies in, as Jupyter does."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> str:
    """Everything that cells said, tracebacks aside: there are none."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found.append(output.get("text") or str(output.get("data", {}).get("text/plain", "")))
    return "\n".join(found)


def figures(notebook: nbformat.NotebookNode) -> int:
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in shown)


def test_there_are_four() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize(("name", "least"), [("01", 4), ("02", 3), ("03", 3)])
def test_runs_over_small_runs(
    name: str, least: int, small_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = [path for path in NOTEBOOKS if path.name.startswith(name)]
    notebook = executed(path, monkeypatch, MVFSTRL_RUNS=str(small_study))
    assert figures(notebook) >= least
    told = outputs(notebook)
    if name == "02":
        assert "varied: agent.loss.discount" in told
        assert "discount 0.9: 2 runs" in told


def test_truth_is_compared_where_it_is(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"MVFSTRL_SHARED": str(shared_data), "MVFSTRL_SCENARIOS": "s15"}
    notebook = executed(NOTEBOOKS[-1], monkeypatch, **chosen)
    assert "real runs to play, of s15" in outputs(notebook)
    assert "Set MVFSTRL_SHARED" not in outputs(notebook)
    assert figures(notebook) == 1


def test_absent_truth_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(NOTEBOOKS[-1], monkeypatch, MVFSTRL_SHARED=str(tmp_path))
    assert f"{tmp_path / 'truth' / 'mahimahi_mvfst.csv'} is not there" in outputs(notebook)
