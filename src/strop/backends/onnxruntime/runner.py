"""Runs an ONNX model with ONNX Runtime. Needs onnxruntime only.

The same file is measured by Strop and shipped in the bundle.
"""

import sys
from typing import Any

import onnxruntime as ort

LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


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
    return options


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
    """`run(dict of arrays) -> dict of arrays`; `properties` are read back from the runtime."""

    def __init__(self, path: str, settings: dict[str, Any], options: Any = None) -> None:
        options = session_options(settings) if options is None else options
        self.session = ort.InferenceSession(str(path), options, providers=providers_for(settings))
        read = self.session.get_session_options()
        self.properties = {
            "provider": self.session.get_providers()[0],
            "threads": read.intra_op_num_threads,
            "graph": str(read.graph_optimization_level).rpartition(".")[2],
            "onnxruntime": ort.__version__,
        }
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.outputs = [o.name for o in self.session.get_outputs()]

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays by input name, shape [batch, …] → arrays by output name."""
        return dict(zip(self.outputs, self.session.run(None, feed), strict=True))

    def fork(self) -> "Session":
        """A session that may run at the same time as this one: this one, which several threads may call."""
        return self


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
