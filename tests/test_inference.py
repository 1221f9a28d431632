"""Deployment: ./setup.sh --inference on a machine without Python, the program and the package that it
installs, and the optional exports (ONNX, AOTInductor) that other stacks take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvfstrl import agreement, export, policy_file
from mvfstrl._native import VectorEnvironment, default_config, observation_spec
from mvfstrl.agents.impala.config import JobInput, NetworkConfig
from mvfstrl.agents.impala.network import ImpalaNetwork, NetworkShape
from mvfstrl.checkpoint import plain
from mvfstrl.config import compose, native_config
from mvfstrl.config.schema import ExportConfig
from mvfstrl.config.validate import validate
from mvfstrl.errors import MissingExtraError
from mvfstrl.policy import NetworkPolicy

# Building takes a minute of two cores, more where they are shared.
pytestmark = pytest.mark.timeout(1200)

MACHINE = """ar as bash c++ cat cp cut date dirname env find g++ gcc head id ld make mkdir mktemp mv nproc
printf ranlib rm sed sleep sort tail touch tr uname ccache cmake ninja"""
TORCH = Path(torch.__file__).parent

CONSUMER = """#include <cstdio>
#include "policy/policy.h"
int main(int, char** arguments) {
  const auto policy = mvfstrl::make_policy(mvfstrl::PolicyModel::load(arguments[1]));
  const std::vector<float> observation(OBSERVATION_SIZE, 1.0F);
  policy->reset();
  std::printf("%d\\n", policy->act(observation));
}
"""

# A real connection with the policy in it, beside an episode in virtual time and an emulated path.
HOST = """#include <cstdio>
#include "emulator/emulator.h"
#include "environment/environment.h"
#include "host/session.h"
using namespace mvfstrl;
int main(int, char** arguments) {
  SessionConfig config;
  config.guard = GuardConfig{};
  Session session(config, Rng(1), Rng(2), PolicyModel::load(arguments[1]));
  session.start(TimePoint::zero());
  session.packet_sent(TimePoint::zero(), {.number = 0, .size = ByteCount(1252)});
  session.rtt_sample(Duration::from_ms(40), Duration::zero());
  session.packet_acked(0);
  session.flush(TimePoint::from_ms(40));
  session.poll(TimePoint::from_ms(250));
  session.finish(TimePoint::from_ms(350));
  const EnvironmentShared shared{EnvironmentConfig{}};
  Environment environment(shared);
  environment.reset(1);
  environment.step(0);
  Emulator emulator;
  const auto print = [](std::int64_t count) { std::printf("%d ", static_cast<int>(count)); };
  print(session.guard()->counters().decisions);
  print(session.account().steps());
  print(environment.agent(0).account().steps());
}
"""

CONSUMER_BUILD = """cmake_minimum_required(VERSION 3.22)
project(consumer LANGUAGES CXX)
find_package(mvfstrl 0.1 CONFIG REQUIRED)
add_executable(consumer consumer.cpp)
target_compile_definitions(consumer PRIVATE OBSERVATION_SIZE=${OBSERVATION_SIZE})
target_compile_options(consumer PRIVATE -Wall -Wextra -Wshadow -Wpedantic -Werror)
target_link_libraries(consumer PRIVATE mvfstrl::policy)
add_executable(host host.cpp)
target_compile_options(host PRIVATE -Wall -Wextra -Wshadow -Werror)
target_link_libraries(host PRIVATE mvfstrl::host mvfstrl::environment mvfstrl::emulator)
"""


def make_policy(seed: int = 1, **network: object) -> NetworkPolicy:
    """Untrained, with a head scaled up so that its actions differ from decision to decision."""
    cfg = compose(["env=constant"])
    spec = observation_spec(native_config(cfg))
    torch.manual_seed(seed)
    shape = NetworkShape(len(spec["observation"]), len(spec["actions"]), jobs=2)
    net = ImpalaNetwork(shape, NetworkConfig(**{"hidden_size": 24, **network}))  # type: ignore[arg-type]
    with torch.no_grad():
        net.policy.weight.mul_(300.0)
        net.normalizer.update(torch.randn(64, shape.observation_size))
    return NetworkPolicy(net, spec=spec, jobs=["lte", "umts"], config=plain(asdict(cfg)), step=4711)


@pytest.fixture
def environment() -> VectorEnvironment:
    return VectorEnvironment({**default_config(), "episode_ms": 3_000.0}, num_envs=1, num_threads=0, seed=3)


@dataclass
class Recorder:
    """A twin that keeps what it is shown."""

    rows: list[NDArray[np.float32]]

    def __call__(self, observation: Tensor, first: Tensor, job: Tensor) -> Tensor:
        self.rows.append(np.concatenate([first.float().numpy(), observation[0].numpy()]))
        return torch.zeros(1, 1)


def record(policy: NetworkPolicy, environment: VectorEnvironment, decisions: int) -> tuple[bytes, Tensor]:
    """Rows for `mvfstrl-policy run` over several episodes, and the eager policy's logits."""
    recorder, logits = Recorder([]), []
    for round_ in agreement.follow(policy, environment, {"recorder": recorder}):
        logits.append(round_.logits[0])
        if len(logits) == decisions:
            break
    rows = np.stack(recorder.rows).astype("<f4")
    assert rows[:, 0].sum() >= 2  # memory is forgotten more than once
    return rows.tobytes(), torch.stack(logits)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine with a compiler and CMake, and without Python."""
    path = tmp_path_factory.mktemp("bin")
    own = Path(sys.executable).parent
    for name in MACHINE.split():
        found = str(own / name) if (own / name).exists() else shutil.which(name)
        if found is not None:  # ccache may be missing
            (path / name).symlink_to(found)
    assert not list(path.glob("python*"))
    kept = {name: os.environ[name] for name in ("HOME", "CCACHE_DIR") if name in os.environ}
    return {"PATH": str(path), **kept}


@pytest.fixture(scope="module")
def installed(project_root: Path, machine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("prefix")
    command = [str(project_root / "setup.sh"), "--inference", "--prefix", str(prefix), "--torch", str(TORCH)]
    ended = subprocess.run(command, env=machine, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return prefix


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recurrent policy in every form."""
    folder = tmp_path_factory.mktemp("exported")
    config = {**default_config(), "episode_ms": 3_000.0}
    environment = VectorEnvironment(config, num_envs=1, num_threads=0, seed=3)
    export.export(make_policy(), environment, folder, ExportConfig(onnx=True, aoti=True))
    return folder


def program(
    installed: Path, *arguments: str | Path, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = [installed / "bin" / "mvfstrl-policy", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False)


def refusal(installed: Path, *arguments: str | Path, given: bytes = b"") -> tuple[int, str]:
    ended = program(installed, *arguments, given=given)
    return ended.returncode, ended.stderr.decode().removesuffix("\n")


# --- what is installed ---


def test_programs_are_built_against_the_package(
    installed: Path, exported: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    policy = make_policy()
    size = policy.network.shape.observation_size
    (tmp_path / "consumer.cpp").write_text(CONSUMER)
    (tmp_path / "host.cpp").write_text(HOST)
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER_BUILD)
    configure = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}"]
    for command in ([*configure, f"-DOBSERVATION_SIZE={size}"], ["cmake", "--build", tmp_path / "build"]):
        done = subprocess.run(command, env=machine, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    consumer = [tmp_path / "build" / "consumer", exported / policy_file.NAME]
    answer = subprocess.run(consumer, capture_output=True, text=True, check=True).stdout
    first, job = torch.ones(1, dtype=torch.bool), torch.full((1,), -1)
    logits, _ = policy.logits(torch.ones(1, size), first, job, policy.initial_state(1))
    assert int(answer) == int(logits.argmax())
    host = [tmp_path / "build" / "host", exported / policy_file.NAME]
    assert subprocess.run(host, capture_output=True, text=True, check=True).stdout == "3 3 1 "


def test_info_tells_what_the_file_holds(installed: Path, exported: Path) -> None:
    told = program(installed, "info", exported / policy_file.NAME, "--elements").stdout.decode()
    spec = make_policy().spec
    content = (exported / policy_file.NAME).read_bytes()
    assert f"checksum {zlib.crc32(content[:-4]):08x}" in told
    assert f"{len(content)} bytes" in told
    assert "2 x 24 ReLU, 1 x 24 LSTM, 5 logits" in told
    assert "fp32" in told
    assert " ".join(spec["actions"]) in told
    assert spec["hash"] in told
    assert "4711" in told
    assert '["lte", "umts"]' in told
    assert all(element["name"] in told for element in spec["observation"])
    text = program(installed, "info", exported / policy_file.NAME, "--json").stdout.decode()
    assert text == (exported / "policy.json").read_text()


def test_bench_times_every_runner(installed: Path, exported: Path, tmp_path: Path) -> None:
    rounded = tmp_path / "bf16.mvfstrl"
    policy_file.write(make_policy(), rounded, "bf16")
    command = ["bench", exported / policy_file.NAME, rounded, "--torchscript", exported / "policy.pt"]
    table = program(installed, *command, "--seconds", "0.01", "--batch", "1", "--batch", "8").stdout.decode()
    rows = [line.split() for line in table.splitlines()[3:]]
    assert [row[0] for row in rows] == ["fp32", "fp32", "bf16", "bf16", "torchscript", "torchscript"]
    assert all(float(row[-1]) > 0 for row in rows)
    told = program(installed, *command, "--seconds", "0.01", "--json", "tiny").stdout.decode()
    names = [line.split('"')[3] for line in told.splitlines()]
    assert names == [
        f"decision_us_{q}_tiny_{runner}" for runner in ("fp32", "bf16", "torchscript") for q in ("p50", "p99")
    ]


# --- agreement with the eager policy ---


@pytest.mark.parametrize(
    "runner",
    [(), ("--instructions", "portable"), ("--torchscript", "policy.pt"), ("--aoti", "policy.pt2")],
    ids=["built-in", "portable", "torchscript", "aoti"],
)
def test_run_decides_as_the_eager_policy(
    installed: Path, exported: Path, environment: VectorEnvironment, runner: tuple[str, ...]
) -> None:
    rows, logits = record(make_policy(), environment, 80)
    options = [exported / item if item.startswith("policy.") else item for item in runner]
    ended = program(installed, "run", exported / policy_file.NAME, *options, given=rows)
    assert ended.returncode == 0, ended.stderr
    found = torch.from_numpy(np.frombuffer(ended.stdout, "<f4").reshape(-1, 5).copy())
    seen = agreement.Agreement()
    seen.add(logits, found)
    assert seen.decisions == 80
    assert seen.worst_difference <= agreement.TOLERANCE
    assert seen.other_actions == 0


@pytest.mark.parametrize(
    "network",
    [{"lstm": False}, {"lstm_layers": 2, "layers": 1}, {"layers": 0, "job_id": JobInput.actor_critic}],
    ids=["mlp", "two layers", "job"],
)
def test_onnx_decides_as_the_eager_policy(
    environment: VectorEnvironment, tmp_path: Path, network: dict[str, object]
) -> None:
    import onnx

    policy = make_policy(**network)
    export.export(policy, environment, tmp_path, ExportConfig(onnx=True))  # compares
    model = onnx.load(tmp_path / "policy.onnx")
    assert {item.key: item.value for item in model.metadata_props} == {
        "spec.json": (tmp_path / "policy.json").read_text()
    }
    inputs = {item.name for item in model.graph.input}
    assert ("h" in inputs) == (policy.network.lstm is not None)
    assert ("job" in inputs) == (policy.network.job_inputs > 0)


def test_every_form_lies_in_the_folder(exported: Path) -> None:
    forms = ["policy.json", "policy.mvfstrl", "policy.onnx", "policy.pt", "policy.pt2"]
    assert sorted(item.name for item in exported.iterdir()) == forms


def test_a_wrong_export_is_found_and_nothing_is_left(
    environment: VectorEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mvfstrl import export_onnx

    wrong, write = make_policy(seed=2), export_onnx.write
    monkeypatch.setattr(export_onnx, "write", lambda policy, path: write(wrong, path))
    with pytest.raises(policy_file.ExportError, match=r"policy\.onnx differs from the eager one"):
        export.export(make_policy(), environment, tmp_path, ExportConfig(onnx=True))
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_named_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = compose(["env=constant", "export.onnx=true"])
    validate(cfg, tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"^export\.onnx: .* pip install 'mvfst-rl\[export\]'"):
        validate(cfg, tmp_path)
    validate(compose(["env=constant"]), tmp_path)


# --- what is refused ---


def test_nonsense_is_a_usage_error(installed: Path, exported: Path) -> None:
    assert refusal(installed, "inof")[0] == 2
    status, told = refusal(installed, "bench", exported / policy_file.NAME, "--batch", "none")
    assert (status, told) == (2, "error: --batch: must be a number of at least 1, got 'none'")
    helped = program(installed, "--help")
    assert helped.returncode == 0
    assert b"mvfstrl-policy bench" in helped.stdout


def test_a_bad_file_is_named(installed: Path, exported: Path, tmp_path: Path) -> None:
    assert refusal(installed, "info", tmp_path / "none.mvfstrl")[0] == 1
    torn = tmp_path / "torn.mvfstrl"
    torn.write_bytes((exported / policy_file.NAME).read_bytes()[:-100])
    status, told = refusal(installed, "info", torn)
    assert status == 1
    assert told.startswith(f"error: {torn}: ")


@pytest.mark.parametrize(("option", "name"), [("--torchscript", "policy.pt"), ("--aoti", "policy.pt2")])
def test_another_policys_module_is_refused(
    installed: Path, exported: Path, tmp_path: Path, option: str, name: str
) -> None:
    other = tmp_path / policy_file.NAME
    policy_file.write(make_policy(lstm=False), other)
    status, told = refusal(installed, "run", other, option, exported / name)
    assert (status, told) == (
        1,
        f"error: {exported / name}: is another policy's: its description is not that of the .mvfstrl file",
    )
    (tmp_path / name).write_bytes(b"PK torn")
    status, told = refusal(installed, "run", exported / policy_file.NAME, option, tmp_path / name)
    assert status == 1
    assert told.startswith(f"error: {tmp_path / name}: libtorch cannot load it")


def test_input_that_ends_in_a_row_is_an_error(installed: Path, exported: Path) -> None:
    size = 4 * (1 + make_policy().network.shape.observation_size)
    status, told = refusal(installed, "run", exported / policy_file.NAME, given=bytes(size + 6))
    assert status == 1
    assert told.startswith(f"error: standard input: row 1 ends after 6 of {size} bytes")


# --- where libtorch comes from ---


def configure(project_root: Path, build: Path, *options: str) -> tuple[int, str]:
    command = [Path(sys.executable).parent / "cmake", "-S", project_root / "native", "-B", build]
    ninja = Path(sys.executable).parent / "ninja"
    command += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-DMVFSTRL_INFERENCE=ON", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + " ".join(ended.stderr.split())


def test_libtorch_is_that_of_the_python_that_is_found(project_root: Path, tmp_path: Path) -> None:
    status, told = configure(project_root, tmp_path, f"-DPython_EXECUTABLE={sys.executable}")
    assert (status, f"TorchScript runner: libtorch of {TORCH}" in told) == (0, True), told
    without = tmp_path / "python"  # sees no packages at all
    without.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {sys._base_executable} -S "$@"\n')  # type: ignore[attr-defined]
    without.chmod(0o755)
    status, told = configure(project_root, tmp_path, f"-DPython_EXECUTABLE={without}")
    assert (status, "TorchScript runner: not built: " in told) == (0, True), told
    assert "has no torch" in told


def test_a_folder_without_libtorch_is_refused(project_root: Path, tmp_path: Path) -> None:
    status, told = configure(project_root, tmp_path / "build", f"-DMVFSTRL_TORCH={tmp_path}")
    assert status == 1
    assert f"MVFSTRL_TORCH: {tmp_path} has no include/torch/csrc/jit/api/module.h" in told


def test_the_set_up_refuses_what_makes_no_sense(project_root: Path) -> None:
    for arguments, cause in (
        (["--inferense"], "no option '--inferense'"),
        (["--prefix"], "--prefix: needs a value"),
        (["--prefix", "x"], "belong to --inference"),
        (["--inference", "--torch", "nowhere"], "--torch: no such folder: nowhere"),
    ):
        ended = subprocess.run(
            [project_root / "setup.sh", *arguments], capture_output=True, text=True, check=False
        )
        assert ended.returncode != 0
        assert cause in ended.stderr
