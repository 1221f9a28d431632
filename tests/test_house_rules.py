"""The rules of docs/architecture.md and CONTRIBUTING.md that a machine can check over all files."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# native/: folder -> folders that it may include, itself aside. The link lines of native/CMakeLists.txt say
# the same to the linker; headers alone would slip through there.
INCLUDES: dict[str, set[str]] = {
    "common": set(),
    "path": {"common"},
    "traffic": {"common"},
    "congestion": {"common"},
    "observe": {"common", "congestion"},
    "policy": {"common", "congestion", "observe"},
    "host": {"common", "congestion", "observe", "policy"},
    "mvfst": {"common", "congestion", "host", "observe", "policy", "traffic"},
    "policy_torch": {"common", "congestion", "observe", "policy"},
    "tools": {
        "common",
        "congestion",
        "environment",
        "host",
        "mvfst",
        "observe",
        "policy",
        "policy_torch",
        "traffic",
        "transport",
    },
    "transport": {"common", "congestion", "path", "traffic"},
    "environment": {"common", "congestion", "host", "observe", "path", "policy", "traffic", "transport"},
    "emulator": {"common", "path"},
    "bindings": {
        "common",
        "congestion",
        "host",
        "mvfst",
        "observe",
        "path",
        "policy",
        "traffic",
        "transport",
        "environment",
        "emulator",
    },
    "bench": {"common", "congestion", "observe", "path", "transport", "environment", "emulator"},
}
# A host's tests hold it to virtual time.
INCLUDED_BY_TESTS = {"mvfst": {"environment"}}

# Python: package -> packages of this repository that it must not import.
FORBIDDEN_IMPORTS: dict[str, set[str]] = {
    "mvfstrl": {"pantheon", "analysis", "run"},
    "pantheon": {"analysis", "run"},
    "analysis": {"run", "mvfstrl.train", "pantheon.evaluate"},  # it reads finished runs, it starts none
}

# Modules that may need an extra of pyproject.toml; they are imported only where it is asked for.
EXTRAS: dict[str, str] = {"mvfstrl/export_onnx.py": "export"}

# Import name -> name in pyproject.toml, where they differ.
DISTRIBUTIONS = {
    "google": "protobuf",
    "grpc": "grpcio",
    "hydra": "hydra-core",
    "hydra_plugins": "hydra-submitit-launcher",
    "mpl_toolkits": "matplotlib",
    "yaml": "pyyaml",
}


def tracked(*suffixes: str) -> list[Path]:
    """Files that are, or would be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name.endswith(suffixes)]
    return [file for file in files if file.is_file()]


def lines_matching(files: list[Path], pattern: str) -> list[str]:
    found = []
    for file in files:
        for number, line in enumerate(
            file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        ):
            if re.search(pattern, line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


def native_sources() -> list[Path]:
    return [file for file in tracked(".h", ".cpp") if file.is_relative_to(ROOT / "native")]


def python_sources(*folders: str) -> list[Path]:
    return [file for file in tracked(".py") if file.relative_to(ROOT).parts[0] in folders]


def imported_modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_native_folders_include_only_what_they_may() -> None:
    wrong = []
    for file in native_sources():
        folder = file.relative_to(ROOT / "native").parts[0]
        assert folder in INCLUDES, f"native/{folder}: give it a line in INCLUDES and in docs/architecture.md"
        allowed = INCLUDES[folder] | {folder}
        if file.name.endswith("_test.cpp"):
            allowed |= INCLUDED_BY_TESTS.get(folder, set())
        for included in re.findall(r'^\s*#include "([^"]+)"', file.read_text(encoding="utf-8"), re.MULTILINE):
            target = included.split("/")[0]
            if target not in allowed or not (ROOT / "native" / included).is_file():
                wrong.append(f'{file.relative_to(ROOT)}: #include "{included}"')
    assert not wrong, "\n".join(wrong)


def test_pybind11_stays_in_bindings_and_torch_in_policy_torch() -> None:
    def outside(folder: str) -> list[Path]:
        return [file for file in native_sources() if not file.is_relative_to(ROOT / "native" / folder)]

    assert lines_matching(outside("bindings"), r"#include <(pybind11|Python\.h)") == []
    assert lines_matching(outside("policy_torch"), r"#include <(torch|ATen|c10)/") == []


def test_virtual_time_reads_no_clock_and_draws_no_standard_distribution() -> None:
    """A wall clock, a standard engine or a standard distribution makes results differ between machines."""
    timing = ("bench", "tools", "emulator", "mvfst")
    simulated = [f for f in native_sources() if f.relative_to(ROOT / "native").parts[0] not in timing]
    assert lines_matching(simulated, r"_clock::now|clock_gettime|gettimeofday|std::(s?rand|time)\(") == []
    assert lines_matching(simulated, r"std::\w+_distribution|std::mt19937|std::random_device") == []


@pytest.mark.parametrize("package", sorted(FORBIDDEN_IMPORTS))
def test_packages_import_only_downwards(package: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in python_sources(package)
        for module in imported_modules(file)
        if any(module == name or module.startswith(name + ".") for name in FORBIDDEN_IMPORTS[package])
    ]
    assert not wrong, "\n".join(wrong)


def test_installed_packages_import_only_declared_dependencies() -> None:
    """What is only in the `dev` extra must not be needed by a wheel."""
    import sys

    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]

    def names(declared: list[str]) -> set[str]:
        return {re.split(r"[<>=!~\[; ]", requirement)[0].lower() for requirement in declared}

    own = {"mvfstrl", "pantheon", "analysis"}
    missing = set()
    for source in [*python_sources("mvfstrl", "pantheon", "analysis"), ROOT / "run.py"]:
        extra = EXTRAS.get(str(source.relative_to(ROOT)))
        allowed = names(project["dependencies"])
        allowed |= names(project["optional-dependencies"][extra]) if extra else set()
        for module in imported_modules(source):
            top = module.split(".")[0]
            if top not in own | sys.stdlib_module_names and DISTRIBUTIONS.get(top, top) not in allowed:
                missing.add(f"{source.relative_to(ROOT)} imports {top}")
    assert not missing, "\n".join(sorted(missing))


def test_no_path_edits_shell_strings_or_environment_dumps() -> None:
    sources = [*python_sources("mvfstrl", "pantheon", "analysis", "tools"), ROOT / "run.py"]
    assert lines_matching(sources, r"sys\.path\b|shell\s*=\s*True|os\.system\(") == []
    assert (
        lines_matching(sources, r"os\.environ\.(copy|items|values)|dict\(os\.environ|\*\*os\.environ") == []
    )


def test_no_file_names_a_machine_or_a_package_host() -> None:
    """A path or host that only one machine has makes a command that only works there."""
    machine = r"(?<![\w.])/(work|home|root|Users|opt/wheels)/"
    host = r"\b(pypi\.org|pythonhosted\.org|download\.pytorch\.org)"
    files = [
        file for file in tracked("") if file != Path(__file__) and file.suffix not in (".png", ".gz", ".pt")
    ]
    assert lines_matching(files, f"{machine}|{host}") == []


def test_files_stay_readable_in_length() -> None:
    for file in tracked(".py", ".h", ".cpp", ".sh"):
        length = len(file.read_text(encoding="utf-8").splitlines())
        name = file.relative_to(ROOT)
        assert length <= 600, f"{name} has {length} lines: split it by what it does (the aim is 400)"
        if length > 450:
            warnings.warn(f"{name} has {length} lines; the aim is 400", stacklevel=1)
