"""`policy.onnx`: one greedy decision as an ONNX graph, for onnxruntime and whatever else reads ONNX.

    logits, action[, h_out, c_out] = policy(observation [B, D][, job [B] int32][, first [B] bool, h, c])

The arguments are those of `policy.pt` (see mvfstrl.export); a graph names those only that its network uses: a
feed-forward policy has no `first`, `h` and `c`, and `job` is there for policies that were shown it (-1: not
known). The description that lies in `policy.json` is the model's metadata entry `spec.json`.

The graph is written node by node from the network's weights: no tracing, nothing that depends on how PyTorch
chooses to spell an operation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mvfstrl.agents.impala.network import ImpalaNetwork
from mvfstrl.policy import NetworkPolicy
from mvfstrl.policy_file import SPEC_FILE, description_text

NAME = "policy.onnx"
OPSET = 17
IR_VERSION = 8
"""Old enough for every runtime since 2022; the operations used have not changed since."""

Array = NDArray[Any]


class Graph:
    """Nodes, weights and the names that tie them together."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def weight(self, name: str, value: Tensor | Array | list[int] | float) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operation: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Adds a node with one result and names that."""
        name = name or f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def input(self, name: str, kind: int, *shape: int | str) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, *shape: int | str) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))


def build(network: ImpalaNetwork, description: str) -> onnx.ModelProto:
    """The graph of `network`, checked against ONNX's own rules."""
    graph = Graph()
    x = graph.input("observation", TensorProto.FLOAT, "batch", network.shape.observation_size)
    x = _normalise(graph, network, x)
    if network.job_inputs > 0:
        x = graph.node("Concat", x, _one_hot(graph, network.job_inputs), axis=-1)
    for number, layer in enumerate(item for item in network.torso if isinstance(item, nn.Linear)):
        x = graph.node("Relu", _linear(graph, layer, x, f"torso.{number}"))
    if network.lstm is not None:
        x = _memory(graph, network, network.lstm, x)
    logits = _linear(graph, network.policy, x, "policy", result="logits")
    graph.node("ArgMax", logits, name="action", axis=-1, keepdims=0)
    graph.outputs[:0] = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", network.shape.num_actions)),
        helper.make_tensor_value_info("action", TensorProto.INT64, ("batch",)),
    ]
    proto = helper.make_graph(graph.nodes, "mvfst-rl policy", graph.inputs, graph.outputs, graph.weights)
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="mvfst-rl"
    )
    helper.set_model_props(model, {SPEC_FILE: description})
    onnx.checker.check_model(model, full_check=True)
    return model


def _linear(graph: Graph, layer: nn.Linear, x: str, name: str, result: str = "") -> str:
    weight, bias = graph.weight(f"{name}.weight", layer.weight), graph.weight(f"{name}.bias", layer.bias)
    return graph.node("Gemm", x, weight, bias, name=result, transB=1)


def _normalise(graph: Graph, network: ImpalaNetwork, x: str) -> str:
    """sign(x) log(1 + |x|), then standardised where the network does so."""
    larger = graph.node("Add", graph.node("Abs", x), graph.weight("one", 1.0))
    x = graph.node("Mul", graph.node("Sign", x), graph.node("Log", larger))
    normalizer = network.normalizer
    if normalizer.running:
        x = graph.node("Sub", x, graph.weight("mean", normalizer.mean))
        scale = normalizer.variance.sqrt().clamp(min=normalizer.FLOOR).reciprocal()
        x = graph.node("Mul", x, graph.weight("scale", scale))
    return x


def _one_hot(graph: Graph, jobs: int) -> str:
    """All zeros for a job that training did not have."""
    job = graph.input("job", TensorProto.INT32, "batch")
    column = graph.node("Unsqueeze", job, graph.weight("last_axis", [-1]))
    index = graph.weight("jobs", np.arange(jobs, dtype=np.int32))
    return graph.node("Cast", graph.node("Equal", column, index), to=TensorProto.FLOAT)


def _memory(graph: Graph, network: ImpalaNetwork, lstm: nn.LSTM, x: str) -> str:
    """One row through the LSTM's layers; memory is forgotten where `first` is set."""
    layers, hidden = network.lstm_layers, network.hidden_size
    first = graph.input("first", TensorProto.BOOL, "batch")
    keep = graph.node("Cast", graph.node("Not", first), to=TensorProto.FLOAT)
    keep = graph.node("Unsqueeze", keep, graph.weight("column", [-1]))
    time = graph.weight("time_axis", [0])
    kept = []
    for name in ("h", "c"):
        state = graph.input(name, TensorProto.FLOAT, layers, "batch", hidden)
        kept.append(graph.node("Mul", state, keep))
    before: list[list[str]] = [_layers_of(graph, state, layers) for state in kept]
    after: tuple[list[str], list[str]] = ([], [])
    for layer in range(layers):
        results = [f"h_{layer}", f"c_{layer}"]
        weights = _lstm_weights(graph, lstm, layer)
        inputs = [graph.node("Unsqueeze", x, time), *weights, "", before[0][layer], before[1][layer]]
        graph.nodes.append(helper.make_node("LSTM", inputs, ["", *results], hidden_size=hidden))
        after[0].append(results[0])
        after[1].append(results[1])
        x = graph.node("Squeeze", results[0], time)
    for name, parts in zip(("h_out", "c_out"), after, strict=True):
        graph.node("Concat", *parts, name=name, axis=0)
        graph.output(name, TensorProto.FLOAT, layers, "batch", hidden)
    return x


def _layers_of(graph: Graph, state: str, layers: int) -> list[str]:
    """[layers, B, H] as one [1, B, H] a layer."""
    if layers == 1:
        return [state]
    names = [f"{state}_{layer}" for layer in range(layers)]
    graph.nodes.append(helper.make_node("Split", [state], names, axis=0))
    return names


def _lstm_weights(graph: Graph, lstm: nn.LSTM, layer: int) -> list[str]:
    """W, R and B of one layer. ONNX orders the gates input, output, forget, cell; PyTorch i, f, c, o."""

    def reordered(parameter: str) -> Tensor:
        i, f, c, o = getattr(lstm, f"{parameter}_l{layer}").chunk(4)
        return torch.cat([i, o, f, c])

    values = {
        "input": reordered("weight_ih"),
        "recurrent": reordered("weight_hh"),
        "bias": torch.cat([reordered("bias_ih"), reordered("bias_hh")]),
    }
    return [graph.weight(f"lstm.{layer}.{name}", value.unsqueeze(0)) for name, value in values.items()]


class OnnxTwin:
    """An exported policy.onnx, in onnxruntime on one thread, that is shown what another policy sees."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.shapes = {item.name: item.shape for item in self.session.get_inputs()}
        self.state: dict[str, Array] = {}

    def __call__(self, observation: Tensor, first: Tensor, job: Tensor) -> Tensor:
        if not self.state and "h" in self.shapes:
            layers, _, hidden = self.shapes["h"]
            self.state = {name: np.zeros((layers, len(first), hidden), np.float32) for name in ("h", "c")}
        given = {"observation": observation.numpy(), "first": first.numpy(), "job": job.numpy(), **self.state}
        found = self.session.run(None, {name: given[name] for name in self.shapes})
        self.state = dict(zip(self.state, found[2:], strict=True))
        return torch.from_numpy(found[0])

    def bound(self, batch: int) -> onnxruntime.IOBinding:
        """Inputs and outputs of `batch` connections, in place: for timing `session.run_with_iobinding`."""
        kinds = {"tensor(float)": np.float32, "tensor(bool)": np.bool_, "tensor(int32)": np.int32}
        binding = self.session.io_binding()
        for item in self.session.get_inputs():
            shape = [batch if size == "batch" else size for size in item.shape]
            value: Array = np.zeros(shape, kinds[item.type])
            binding.bind_ortvalue_input(item.name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
        for item in self.session.get_outputs():
            shape = [batch if size == "batch" else size for size in item.shape]
            found: Array = np.zeros(shape, np.int64 if item.name == "action" else np.float32)
            binding.bind_ortvalue_output(item.name, onnxruntime.OrtValue.ortvalue_from_numpy(found))
        return binding


def write(policy: NetworkPolicy, path: Path) -> OnnxTwin:
    """Writes the file and opens it in onnxruntime."""
    onnx.save(build(policy.network, description_text(policy)), str(path))
    return OnnxTwin(path)
