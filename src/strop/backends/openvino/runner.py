"""Runs an OpenVINO IR or ONNX model, or a language model's IR, with OpenVINO. Needs openvino and numpy only.

The same file is measured by Strop and shipped in the bundle.
"""

import copy
import os
import sys
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

WEIGHTED = ("Convolution", "FullyConnected", "MatMul", "Deconvolution")
UNHELD = 0.1
READ_BACK = {
    "precision": "INFERENCE_PRECISION_HINT", "streams": "NUM_STREAMS", "threads": "INFERENCE_NUM_THREADS",
    "hint": "PERFORMANCE_HINT", "device": "EXECUTION_DEVICES",
}  # fmt: skip
CACHE = "KV_CACHE_PRECISION"
FIRST = "first_wanted"
"""An input that is added: the first position whose logits are wanted."""
BEHIND_HEAD = ("Convert", "Multiply", "Divide", "Tanh")
"""What may stand between a head's product and the logits."""
UNSHARED = ("string", "bf16")
"""Types of inputs that OpenVINO's own call has to convert."""
VARYING = {"CPU_RUNTIME_CACHE_CAPACITY": 64}
"""Of a session whose shapes vary: kernels of past shapes that are kept; OpenVINO would keep 5000."""
LAYOUT = 3
"""Dimensions of the hidden states: batch, position, width."""


def name_of(port: Any, kind: str, index: int) -> str:
    """The port's own name; where it has none, its place."""
    names = sorted(port.get_names())
    return str(names[0]) if len(names) == 1 else str(port.get_any_name()) if names else f"{kind}{index}"


def cache_folder() -> str:
    """Where compiled models are kept for the next start."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "strop", "openvino")


def configuration(settings: dict[str, Any]) -> dict[str, Any]:
    """OpenVINO's properties for these settings; what is absent is left to OpenVINO."""
    config: dict[str, Any] = {}
    if "precision" in settings:  # absent, a CPU with bf16 runs "fp32" in bf16
        config["INFERENCE_PRECISION_HINT"] = settings["precision"]
    if "hint" in settings:
        config["PERFORMANCE_HINT"] = settings["hint"]
    if "streams" in settings:
        config["NUM_STREAMS"] = int(settings["streams"])
    if "threads" in settings:
        config["INFERENCE_NUM_THREADS"] = int(settings["threads"])
        config["ENABLE_CPU_PINNING"] = False
    if settings.get("varying"):
        config |= VARYING
    if settings.get("cache") is True:
        config["CACHE_DIR"] = cache_folder()
    elif settings.get("cache"):
        config[CACHE] = settings["cache"]
    return config


def device_for(settings: dict[str, Any], available: list[str]) -> str:
    """The device asked for, else the CPU; falling back is said on stderr."""
    wanted = str(settings.get("device", "CPU"))
    if any(device.split(".")[0] == wanted for device in available):
        return wanted
    print(f"no {wanted} that OpenVINO can use here: running on the CPU", file=sys.stderr)
    return "CPU"


def warm() -> None:
    """Loads the CPU plugin, which every model shares."""
    ov.Core().get_property("CPU", "FULL_DEVICE_NAME")


def read_shaped(core: Any, path: str, settings: dict[str, Any]) -> Any:
    """The model, its inputs in the shapes of the setting `shapes`: `data=1x3x224x224`.

    A model that cannot have them runs without, which is said on stderr.
    """
    model = core.read_model(path)
    if not settings.get("shapes"):
        return model
    try:
        pairs = [pair.rpartition("=") for pair in settings["shapes"].split(",")]
        wanted = {name: [int(d) for d in dims.split("x") if d] for name, _, dims in pairs}
        model.reshape({p: wanted[name_of(p, "input", i)] for i, p in enumerate(model.inputs)})
        return model
    except Exception as error:
        print(f"cannot have the shapes {settings['shapes']}, runs without fixed shapes: {error}", file=sys.stderr)
        return core.read_model(path)


def tensor(array: Any, dtype: Any) -> Any:
    """A tensor on the array's own memory, or on a copy's where the runtime could not read that in place."""
    if array.dtype != dtype or not array.flags.carray:
        array = np.array(array, dtype, order="C")
    return ov.Tensor(array, shared_memory=True)


def read_back(compiled: Any, names: dict[str, str]) -> dict[str, Any]:
    """What the runtime says of itself, by our names; it may have changed what it was asked for."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return ",".join(map(str, value))
        if isinstance(value, ov.Type):
            return value.get_type_name()
        return value if isinstance(value, int | float | bool) else str(value).rpartition(".")[2].strip("<>'")

    return {name: plain(compiled.get_property(key)) for name, key in names.items()} | {"openvino": str(ov.__version__)}


class Session:
    """`run(dict of arrays) -> dict of arrays`; `properties` are read back from the runtime."""

    def __init__(self, path: str, settings: dict[str, Any], more: dict[str, Any] | None = None) -> None:
        core = ov.Core()
        device = device_for(settings, core.available_devices)
        config = {**configuration(settings), **(more or {})}
        self.compiled = core.compile_model(read_shaped(core, str(path), settings), device, config)
        self.request = self.compiled.create_infer_request()
        self.inputs = [name_of(p, "input", i) for i, p in enumerate(self.compiled.inputs)]
        self.outputs = [name_of(p, "output", i) for i, p in enumerate(self.compiled.outputs)]
        self.types = [(n, p.get_element_type().to_dtype()) for n, p in zip(self.inputs, self.compiled.inputs, strict=True)]
        self.shares = not any(p.get_element_type().get_type_name() in UNSHARED for p in self.compiled.inputs)
        shapes = [p.get_partial_shape() for p in self.compiled.inputs]
        self.properties = read_back(self.compiled, READ_BACK) | {
            "shapes": ",".join("?" if s.rank.is_dynamic else "x".join("?" if d.is_dynamic else str(d) for d in s) for s in shapes)
        }
        if os.environ.get("ONEDNN_MAX_CPU_ISA"):
            self.properties["unheld"] = self._unheld()

    def _unheld(self) -> str:
        """Share of the weights in kernels that oneDNN's limit on instruction sets does not reach; empty where it is small."""
        held, unheld = 0, 0
        for node in self.compiled.get_runtime_model().get_ops():
            about = node.get_rt_info()
            kernel = str(about["primitiveType"].astype(str)) if "primitiveType" in about else ""
            if not about or node.get_input_size() < 2 or str(about["layerType"].astype(str)) not in WEIGHTED:
                continue
            size = int(np.prod([int(d) for d in node.input(1).get_shape()]))
            held, unheld = held + size * ("mlas" not in kernel), unheld + size * ("mlas" in kernel)
        share = unheld / (held + unheld) if held + unheld else 0.0
        return f"{share:.0%}" if share > UNHELD else ""

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays by input name, shape [batch, …] → arrays by output name, copied out of the runtime."""
        return {name: value.copy() for name, value in self.run_views(feed).items()}

    def run_views(self, feed: dict[str, Any]) -> dict[str, Any]:
        """As `run`; the arrays are this session's, and its next call overwrites them.

        Inputs are handed over one by one: `infer` with a dict takes 5 to 10 microseconds more to look at them. With `start_async`
        another thread would have to wake up for every call.
        """
        if not self.shares:
            given = {place: feed[name] for place, name in enumerate(self.inputs)}  # a list would be copied, a dict is shared
            got = self.request.infer(given, share_inputs=True, share_outputs=True)
            return dict(zip(self.outputs, got.values(), strict=True))
        tensors = [tensor(feed[name], dtype) for name, dtype in self.types]  # they keep what they were made of
        for place, one in enumerate(tensors):
            self.request.set_input_tensor(place, one)
        return dict(zip(self.outputs, self.request.infer(share_outputs=True).values(), strict=True))

    def fork(self) -> "Session":
        """A session that may run at the same time as this one: the same compiled model, another infer request."""
        other = copy.copy(self)
        other.request = self.compiled.create_infer_request()
        return other


def read_language_model(core: Any, path: str) -> Any:
    """A language model whose head computes the positions from `FIRST` on only, where its head is found."""
    model = core.read_model(path)
    node = model.output("logits").get_node().input_value(0).get_node()
    while node.get_type_name() in BEHIND_HEAD:
        node = node.input_value(0).get_node()
    hidden = node.input_value(0) if node.get_type_name() == "MatMul" else None
    if hidden is None or hidden.get_partial_shape().rank.get_length() != LAYOUT:
        return model
    first = ops.parameter([1], np.int64, name=FIRST)
    ends, ones = ops.constant(np.array([np.iinfo(np.int64).max])), ops.constant(np.array([1]))
    node.input(0).replace_source_output(ops.slice(hidden, first, ends, ones, ones).output(0))
    first.output(0).set_names({FIRST})
    model.add_parameters([first])
    model.validate_nodes_and_infer_types()
    return model


class LanguageSession:
    """`reset()` forgets everything; `step(tokens, want)` takes token ids and goes on from what it holds."""

    def __init__(self, path: str, settings: dict[str, Any], more: dict[str, Any] | None = None) -> None:
        core = ov.Core()
        config = {**configuration(settings), **(more or {})}
        self.compiled = core.compile_model(read_language_model(core, str(path)), "CPU", config)
        self.request = self.compiled.create_infer_request()
        self.takes = {port.get_any_name() for port in self.compiled.inputs}
        self.past, self.limit = 0, int(settings["context"])
        self.properties = read_back(self.compiled, {**READ_BACK, "cache": CACHE}) | {
            "context": self.limit, "head": "of wanted positions" if FIRST in self.takes else "of every position",
        }  # fmt: skip

    def reset(self) -> None:
        self.request.reset_state()
        self.past = 0

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Logits after these tokens, [tokens] of one text or [texts, tokens].

        float32 [texts, vocabulary] for "last", [tokens, vocabulary] for "all" of one text, None for "none"; a view that the
        next step overwrites.
        """
        ids = np.array(tokens, np.int64, ndmin=2)
        texts, count = ids.shape
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones((texts, self.past + count), np.int64),
            "position_ids": np.arange(self.past, self.past + count, dtype=np.int64)[None].repeat(texts, 0),
            "beam_idx": np.arange(texts, dtype=np.int32),
            FIRST: np.array([0 if want == "all" else count - 1]),
        }
        self.request.infer({name: value for name, value in feed.items() if name in self.takes}, share_inputs=True)
        self.past += count
        if want == "none":
            return None
        logits = self.request.get_tensor("logits").data
        return logits[0] if want == "all" else logits[:, -1]


def open(path: str, settings: dict[str, Any]) -> Session | LanguageSession:
    """A session on the model at `path` with these settings; a language model's have a context."""
    return LanguageSession(path, settings) if "context" in settings else Session(path, settings)
