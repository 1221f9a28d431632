"""tools/setup.sh on machines that lack something, played by a PATH of chosen commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

NEEDED = """bash cat cut date dirname find head id make mkdir mktemp printf rm sed sha256sum sleep sort tail
uname xargs"""

Machine = Callable[..., subprocess.CompletedProcess[str]]


def stub(folder: Path, name: str, script: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def machine(project_root: Path, tmp_path: Path) -> Machine:
    """Runs the set-up of a copy of the project on a machine with Python and what `stubs` say; no compiler."""
    shutil.copytree(project_root / "tools", tmp_path / "project" / "tools")
    (tmp_path / "project" / "native").mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(project_root / name, tmp_path / "project")
    path = tmp_path / "bin"
    path.mkdir()
    for name in NEEDED.split():
        found = shutil.which(name)
        assert found, name
        (path / name).symlink_to(found)
    stub(path, "python3", f'exec "{sys._base_executable}" "$@"')

    def run(profile: str, **stubs: str) -> subprocess.CompletedProcess[str]:
        for name, script in stubs.items():
            stub(path, name.replace("_", "-"), script)
        command = ["bash", str(tmp_path / "project" / "tools" / "setup.sh"), profile]
        environment = {"PATH": str(path), "PYTHON": "python3", "APT_LOG": str(tmp_path / "apt.log")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_user_is_told_the_line_to_run(machine: Machine, tmp_path: Path) -> None:
    ended = machine("test", id="echo 1000", apt_get='echo "$@" >>"$APT_LOG"')
    assert ended.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends g++ libgtest-dev" in ended.stderr
    assert not (tmp_path / "apt.log").exists()


def test_another_package_manager_gets_its_own_names(machine: Machine) -> None:
    ended = machine("test", id="echo 1000", dnf="exit 0")
    assert "sudo dnf install -y gcc-c++ gtest-devel" in ended.stderr


def test_root_on_debian_gets_it_installed(machine: Machine, tmp_path: Path) -> None:
    ended = machine("train", id="echo 0", apt_get='echo "$@" >>"$APT_LOG"')
    assert (tmp_path / "apt.log").read_text().splitlines() == [
        "update",
        "install -y --no-install-recommends g++",
    ]
    assert ended.returncode == 1  # this apt-get brought nothing
    assert "still missing after the install: compiler" in ended.stderr


def test_a_failed_install_shows_why(machine: Machine) -> None:
    ended = machine("train", id="echo 0", apt_get="echo no route to the mirror; exit 100")
    assert ended.returncode == 1
    assert "no route to the mirror" in ended.stderr
    assert "failed (exit 100)" in ended.stderr


def test_an_old_python_is_refused(machine: Machine) -> None:
    ended = machine("train", id="echo 1000", python3="echo old", apt_get="exit 0")
    assert ended.returncode == 1
    assert "python3 python3-venv python3-dev" in ended.stderr


def test_a_python_without_headers_gets_its_own_packages(machine: Machine) -> None:
    python = 'if [[ "$1" == -c ]]; then echo python3.12; else echo incomplete; fi'
    ended = machine("train", id="echo 1000", python3=python, apt_get="exit 0")
    assert "python3.12 python3.12-venv python3.12-dev" in ended.stderr


@pytest.mark.parametrize(
    ("cmake", "packages"),
    [
        ("exit 1", "g++ cmake"),
        ("echo cmake version 3.18.4", "g++ cmake"),
        ("echo cmake version 3.22.0", "g++"),
    ],
    ids=["none", "old", "enough"],
)
def test_deployment_asks_for_no_python(machine: Machine, cmake: str, packages: str) -> None:
    ended = machine("inference", id="echo 1000", python3="echo absent", apt_get="exit 0", cmake=cmake)
    assert ended.returncode == 1
    assert f"apt-get install -y --no-install-recommends {packages}\n" in ended.stderr


def test_other_systems_and_profiles_are_refused(machine: Machine) -> None:
    assert "runs on Linux; this is Darwin" in machine("train", uname="echo Darwin").stderr
    assert "unknown profile 'nonsense'" in machine("nonsense").stderr
