"""Runs an ONNX model with ONNX Runtime. Needs onnxruntime and numpy only.

The same file is measured by Strop and shipped in the bundle.
"""

import copy
import sys
from typing import Any

import numpy as np
import onnxruntime as ort

LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


Arrays = dict[str, Any]


def session_options(settings: dict[str, Any]) -> Any:
    """ONNX Runtime's options for these settings; what is absent is left to the runtime."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if "threads" in settings:
        options.intra_op_num_threads = int(settings["threads"])
        options.inter_op_num_threads = 1
    if "graph" in settings:
        options.graph_optimization_level = LEVELS[settings["graph"]]
    if "spinning" in settings:
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if settings["spinning"] else "0")
    for axis, size in sizes(settings):
        options.add_free_dimension_override_by_name(axis, size)
    if settings.get("varying"):  # memory plans of ever new shapes would never be used again
        options.enable_mem_pattern = False
    return options


def sizes(settings: dict[str, Any]) -> list[tuple[str, int]]:
    """The axes that are fixed, by name: `axes` is `batch=1,sequence=64`."""
    pairs = [pair.rpartition("=") for pair in str(settings.get("axes", "")).split(",") if pair]
    return [(axis, int(size)) for axis, _, size in pairs]


def opened(path: str, settings: dict[str, Any], options: Any = None) -> Any:
    """ONNX Runtime's session. A model that does not load with fixed axes runs without, which is said on stderr."""
    try:
        options = session_options(settings) if options is None else options
        return ort.InferenceSession(str(path), options, providers=providers_for(settings))
    except Exception as error:
        if not settings.get("axes"):
            raise
        print(f"does not load with {settings['axes']}, runs without fixed shapes: {error}", file=sys.stderr)
        return opened(path, {name: value for name, value in settings.items() if name != "axes"})


def providers_for(settings: dict[str, Any]) -> list[str]:
    """The execution provider asked for, then the CPU's; falling back is said on stderr."""
    if "provider" not in settings:
        return ["CPUExecutionProvider"]
    wanted = f"{settings['provider']}ExecutionProvider"
    if wanted in ort.get_available_providers():
        return [wanted, "CPUExecutionProvider"]
    print(f"no {settings['provider']} in this build of ONNX Runtime: running on the CPU", file=sys.stderr)
    return ["CPUExecutionProvider"]


class Session:
    """`run(dict of arrays) -> dict of arrays`; `properties` are read back from the runtime.

    Where all shapes are fixed, outputs are written into memory of its own: such a call takes about a microsecond less. It is then
    for one thread at a time; `fork` gives another one.
    """

    def __init__(self, path: str, settings: dict[str, Any], options: Any = None) -> None:
        self.session = opened(path, settings, options)
        read = self.session.get_session_options()
        self.properties = {
            "provider": self.session.get_providers()[0],
            "threads": read.intra_op_num_threads,
            "graph": str(read.graph_optimization_level).rpartition(".")[2],
            "shapes": ",".join(
                "x".join(str(d) if isinstance(d, int) else "?" for d in i.shape) for i in self.session.get_inputs()
            ),
            "onnxruntime": ort.__version__,
        }
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.outputs = [o.name for o in self.session.get_outputs()]
        ports = [*self.session.get_inputs(), *self.session.get_outputs()]
        fixed = all(isinstance(d, int) for port in ports for d in port.shape)
        self.may_bind = fixed and self.session.get_providers() == ["CPUExecutionProvider"]
        self.binding: Any = None
        self.held: Arrays = {}

    def run(self, feed: Arrays) -> Arrays:
        """Arrays by input name, shape [batch, …] → arrays by output name, the caller's own."""
        if self.binding is None:
            return self._first(feed)
        return {name: array.copy() for name, array in self._run_bound(feed).items()}

    def run_views(self, feed: Arrays) -> Arrays:
        """As `run`; where all shapes are fixed the arrays are this session's, and its next call overwrites them."""
        if self.binding is None:
            return self._first(feed)
        return dict(self._run_bound(feed))

    def _run_bound(self, feed: Arrays) -> Arrays:
        bind = self.binding.bind_cpu_input
        try:
            for name in self.inputs:
                array = feed[name]
                bind(name, array if array.flags.c_contiguous else np.ascontiguousarray(array))
            self.session.run_with_iobinding(self.binding)
        except Exception:
            answer = self._plain(feed)  # raises where the inputs do not fit
            self.binding, self.may_bind = None, False  # an output is not always as the model declares it
            return answer
        return self.held

    def _plain(self, feed: Arrays) -> Arrays:
        return dict(zip(self.outputs, self.session.run(None, feed), strict=True))

    def _first(self, feed: Arrays) -> Arrays:
        """A call that leaves the outputs to the runtime; the first one shows whether they are as the model declares them."""
        answer = self._plain(feed)
        if self.may_bind:
            self.may_bind = self._bind(answer)
        return answer

    def _bind(self, answer: Arrays) -> bool:
        """Gives the outputs memory of their own, where each is an array of numbers of the shape that the model declares."""
        declared = {o.name: tuple(o.shape) for o in self.session.get_outputs()}
        if any(not isinstance(a, np.ndarray) or a.dtype == object or a.shape != declared[n] for n, a in answer.items()):
            return False
        self.held = {name: np.empty_like(array, order="C") for name, array in answer.items()}
        self.binding = self.session.io_binding()
        for name, array in self.held.items():
            self.binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return True

    def fork(self) -> "Session":
        """A session that may run at the same time as this one: the same loaded model, with outputs of its own."""
        other = copy.copy(self)
        other.binding, other.held = None, {}
        return other


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
