"""Finding a real mvfst: what CMake and the set-up say of it, and a user's own server, built with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from mvfstrl import policy_file
from mvfstrl._native import observation_spec
from mvfstrl.agents.impala.config import NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.checkpoint import plain
from mvfstrl.config import compose, native_config
from mvfstrl.policy import NetworkPolicy

pytestmark = pytest.mark.timeout(1200)


def configure(project_root: Path, build: Path, *options: str) -> tuple[int, str]:
    command = ["cmake", "-S", str(project_root / "native"), "-B", str(build), "-DMVFSTRL_TESTS=OFF", *options]
    environment = {name: value for name, value in os.environ.items() if name != "MVFST_ROOT"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, " ".join((ended.stdout + ended.stderr).split())


def package(prefix: Path, config: str) -> Path:
    """A prefix whose mvfst package is this."""
    folder = prefix / "lib" / "cmake" / "mvfst"
    folder.mkdir(parents=True)
    (folder / "mvfst-config.cmake").write_text(config)
    return prefix


@pytest.fixture
def boost(tmp_path: Path) -> str:
    """The option that leads CMake to a Boost that has all."""
    folder = tmp_path / "boost"
    folder.mkdir()
    (folder / "BoostConfig.cmake").write_text("set(Boost_FOUND TRUE)\n")
    return f"-DBoost_DIR={folder}"


def test_what_is_missing_is_told_in_a_line(project_root: Path, tmp_path: Path, boost: str) -> None:
    prefix = package(
        tmp_path / "prefix", "include(CMakeFindDependencyMacro)\nfind_dependency(NoSuchLibrary)\n"
    )
    build = tmp_path / "build"
    status, told = configure(project_root, build, f"-DMVFST_ROOT={prefix}", boost)
    assert status == 0
    line = re.search(r"mvfst: not found \((.*?)\); transport=mvfst is left out", told)
    assert line, told
    assert str(prefix) in line.group(1)
    assert "NoSuchLibrary" in line.group(1)
    assert (build / "mvfst.txt").read_text() == f"{line.group(0)}\n"

    status, told = configure(project_root, build, f"-DMVFST_ROOT={tmp_path / 'none'}", boost)
    assert f"no mvfst-config.cmake under MVFST_ROOT={tmp_path / 'none'}" in told
    status, told = configure(project_root, build, "-DMVFSTRL_MVFST=ON", boost)
    assert status != 0
    assert "mvfst: not found" in told
    status, told = configure(project_root, build, "-DMVFSTRL_MVFST=OFF", f"-DMVFST_ROOT={prefix}")
    assert "mvfst: not found (MVFSTRL_MVFST=OFF)" in told
    status, told = configure(project_root, build, "-DMVFSTRL_MVFST=maybe")
    assert status != 0
    assert "MVFSTRL_MVFST=maybe: use AUTO, ON or OFF" in told


def test_an_mvfst_under_its_root_is_found(project_root: Path, tmp_path: Path, boost: str) -> None:
    prefix = package(
        tmp_path / "prefix", "find_package(Sodium REQUIRED)\nadd_library(mvfst::mvfst INTERFACE IMPORTED)\n"
    )
    sodium = tmp_path / "include" / "sodium"
    sodium.mkdir(parents=True)
    (sodium / "version.h").write_text('#define SODIUM_VERSION_STRING "1.0.99"\n')
    (tmp_path / "libsodium.so").touch()
    status, told = configure(
        project_root,
        tmp_path / "build",
        f"-DMVFST_ROOT={prefix}",
        boost,
        f"-DSodium_INCLUDE_DIR={sodium.parent}",
        f"-DSodium_LIBRARY={tmp_path / 'libsodium.so'}",
    )
    assert status == 0, told
    assert f"mvfst: found at {prefix}/lib/cmake/mvfst" in told


@pytest.mark.parametrize(
    ("arguments", "root"),
    [(["--mvfst", "/no/such"], None), ([], "/no/such"), (["--inference", "--mvfst", "/no/such"], "")],
)
def test_the_set_up_names_a_folder_that_is_not_there(
    project_root: Path, arguments: list[str], root: str | None
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MVFST_ROOT"}
    if root is not None:
        environment["MVFST_ROOT"] = root
    ended = subprocess.run(
        [project_root / "setup.sh", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: --mvfst (or MVFST_ROOT): no such folder: /no/such\n"


# --- with a real one ---


@pytest.fixture(scope="module")
def mvfst() -> Path:
    root = os.environ.get("MVFST_ROOT", "")
    if not root:
        pytest.skip("no mvfst: MVFST_ROOT names none")
    return Path(root)


def test_a_servers_connections_are_driven_by_a_policy(
    project_root: Path, mvfst: Path, tmp_path: Path
) -> None:
    cfg = compose(["env=constant"])
    spec = observation_spec(native_config(cfg))
    shape = NetworkShape(len(spec["observation"]), len(spec["actions"]), jobs=1)
    net = ImpalaNetwork(shape, NetworkConfig(hidden_size=8))
    policy = NetworkPolicy(net, spec=spec, jobs=["constant"], config=plain(asdict(cfg)), step=1)
    policy_file.write(policy, tmp_path / "policy.mvfstrl")
    prefix = tmp_path / "prefix"
    built = subprocess.run(
        [project_root / "setup.sh", "--inference", "--prefix", prefix, "--mvfst", mvfst],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"==> mvfst: found at {mvfst}" in built.stdout
    build, logs = tmp_path / "build", tmp_path / "logs"
    logs.mkdir()
    source = shutil.copytree(project_root / "examples" / "mvfst", tmp_path / "example")
    for command in (
        ["cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"],
        ["cmake", "--build", build],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    server = subprocess.Popen(
        [build / "policy_server", tmp_path / "policy.mvfstrl", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        assert server.stdout is not None
        port = server.stdout.readline().split()[-1]
        client = [prefix / "bin" / "mvfstrl-traffic", "--mode=client", "--insecure", f"--port={port}"]
        client += ["--traffic=on_off", "--rate-mbps=0.1", "--duration-s=4", f"--qlog={logs}"]
        subprocess.run(client, capture_output=True, check=True)
        server.communicate("")
    assert server.returncode == 0
    received = sum(log.read_text().count("packet_received") for log in logs.iterdir())
    assert received > 5000  # the greeting: ten megabytes
