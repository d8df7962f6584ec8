"""Taking out of an ONNX model what its export does badly, without quantizing anything. Child side.

The faults are those of `onnx_faults`. What is done to a graph keeps its answers up to the rounding of float32; the run compares
them before a cleaned model may be the baseline.
"""

import os
import shutil
from typing import Any

import onnx
import onnx.version_converter
import onnxruntime as ort

from strop_child import onnx_file
from strop_child.onnx_faults import (
    QUANTIZERS,
    cancelling_transposes,
    cast_chains,
    default_inputs,
    duplicates,
    listed_weights,
    nested,
    opset_of,
    target_of,
    types,
    unused_weights,
    uses,
)

from .single import narrow_float64

LARGE = 1 << 30
"""Above this many bytes weights stay in files of their own beside the model: protobuf ends at 2 GiB."""
OPSET, IR = 17, 8
"""What older files are raised to."""


def clean(artifact: str, out: str, data: dict[str, Any] | None, single: bool = True) -> dict[str, Any]:
    """The model without what its export does badly: weights out of the inputs, dynamic axes named, equal weights merged, needless
    casts, transposes and weights gone, constants and batch normalizations folded, opset and IR raised.

    Args:
        single: also float64 inside a float32 model is computed in float32.

    Returns:
        `file`, the name of the file to go on with, and `notes` on what was left.
    """
    draft = out + ".clean.onnx"
    error: Exception | None = None
    for raised, folded in ((True, True), (False, True), (False, False)):
        model, files = load(artifact)
        kept = default_inputs(model)
        notes = groom(model, single, OPSET if raised and not files else 0)
        try:
            if folded and not files:
                save(model, draft)
                fold(draft, out)
            else:
                beside(artifact, out, files)
                save(model, out)
        except Exception as failed:  # an operator that the converter or ONNX Runtime's optimizer does not follow
            error = failed
            continue
        finally:
            for leftover in (draft, draft + ".data"):
                if os.path.exists(leftover):
                    os.remove(leftover)
        if files:
            notes.append(
                f"weights of more than {LARGE >> 30} GiB stay in their files: constants are folded as the model is loaded"
            )
        elif error is not None:
            notes.append(f"not everything could be cleaned up ({_first_line(error)})")
        tidy(out, kept)
        return {"file": os.path.basename(out), "notes": notes}
    raise error or RuntimeError("nothing was cleaned")


def load(path: str) -> tuple[onnx.ModelProto, list[str]]:
    """The model, and the names of the external files that hold its weights; where these are not large they are read instead."""
    model = onnx.load(path, load_external_data=False)
    files = onnx_file.external_files(model, path)
    folder = os.path.dirname(os.path.abspath(path))
    if sum(os.path.getsize(os.path.join(folder, name)) for name in files) > LARGE:
        return model, files
    if files:
        onnx.load_external_data_for_model(model, folder)
    return model, []


def save(model: onnx.ModelProto, path: str) -> None:
    """Writes it, with its weights beside it where they are too large for one file."""
    if model.ByteSize() > LARGE:
        onnx.save(model, path, save_as_external_data=True, location=os.path.basename(path) + ".data")
    else:
        onnx.save(model, path)


def beside(artifact: str, out: str, files: list[str]) -> None:
    """External files in the folder of `out`, under their own names."""
    for name in files:
        there = os.path.join(os.path.dirname(out), name)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        shutil.copyfile(os.path.join(os.path.dirname(os.path.abspath(artifact)), name), there)


def groom(model: onnx.ModelProto, single: bool, opset: int) -> list[str]:
    """All that needs no computing, in place; returns remarks.

    Args:
        single: also compute float64 islands in float32.
        opset: what older standard operators are raised to; 0 leaves them.
    """
    notes = take_out_weights(model)
    name_axes(model.graph)
    model.ir_version = max(model.ir_version, IR)
    if 0 < opset_of(model) < QUANTIZERS and opset:
        try:
            model.CopyFrom(onnx.version_converter.convert_version(model, opset))
        except Exception as error:  # an operator without an adapter
            notes.append(f"opset {opset_of(model)} could not be raised ({_first_line(error)})")
    merge_duplicates(model)
    if single:
        kept = narrow_float64(model)
        notes += [f"float64 is kept: {kept}"] if kept else []
    drop_casts(model)
    drop_transposes(model.graph)
    drop_unused_weights(model)
    return notes


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def take_out_weights(model: onnx.ModelProto) -> list[str]:
    """Weights are no inputs any more, except inputs with a default that somebody chose."""
    kept, taken = default_inputs(model), set(listed_weights(model))
    left = [value for value in model.graph.input if value.name not in taken]
    del model.graph.input[:]
    model.graph.input.extend(left)
    return [f"inputs with a default stay inputs: {', '.join(kept)}"] if kept else []


def name_axes(graph: onnx.GraphProto) -> None:
    """A name of its own for every dynamic axis of an input that has none: no two are known to be equal."""
    weights = {w.name for w in graph.initializer}
    values = (*graph.input, *graph.output, *graph.value_info)
    taken = {dim.dim_param for v in values for dim in v.type.tensor_type.shape.dim}
    for value in graph.input:
        for place, dim in enumerate(value.type.tensor_type.shape.dim if value.name not in weights else ()):
            if onnx_file.dim(dim) is None:
                name = f"{value.name}_axis{place}"
                while name in taken:
                    name += "_"
                taken.add(name)
                dim.dim_param = name


def merge_duplicates(model: onnx.ModelProto) -> None:
    """One weight for those that are equal and have the same uses."""
    renamed = {twin.name: group[0].name for group in duplicates(model) for twin in group[1:]}
    if not renamed:
        return
    for node in onnx_file.nodes(model.graph):
        node.input[:] = [renamed.get(name, name) for name in node.input]
    left = [weight for weight in model.graph.initializer if weight.name not in renamed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(left)


def drop_casts(model: onnx.ModelProto) -> None:
    """Casts that change nothing become an Identity, chains one Cast, and those that nobody uses any more go."""
    graph = model.graph
    while chains := cast_chains(graph):
        known, made = types(graph), {n.output[0]: n for n in graph.node if n.op_type == "Cast"}
        for node in chains:
            before = made.get(node.input[0])
            if known.get(node.input[0], 0) != target_of(node) and before is not None:
                node.input[0] = before.input[0]
            if known.get(node.input[0], 0) == target_of(node):
                node.op_type = "Identity"
                del node.attribute[:]
    drop_unused_nodes(graph, "Cast", "Identity")


def drop_transposes(graph: onnx.GraphProto) -> None:
    """The second of two Transposes that cancel each other becomes an Identity; the first goes where nobody else uses it."""
    while pairs := cancelling_transposes(graph):
        for first, second in pairs:
            second.op_type, second.input[0] = "Identity", first.input[0]
            del second.attribute[:]
    drop_unused_nodes(graph, "Transpose", "Identity")


def drop_unused_nodes(graph: onnx.GraphProto, *operators: str) -> None:
    """Nodes of these types whose result nobody reads."""
    outputs = {value.name for g in (graph, *nested(graph)) for value in g.output}
    while unused := [n for n in graph.node if n.op_type in operators and n.output[0] not in outputs | uses(graph).keys()]:
        for node in unused:
            graph.node.remove(node)


def drop_unused_weights(model: onnx.ModelProto) -> None:
    """Weights that no node reads."""
    gone = {weight.name for weight in unused_weights(model)}
    left = [weight for weight in model.graph.initializer if weight.name not in gone]
    if gone:
        del model.graph.initializer[:]
        model.graph.initializer.extend(left)


def fold(path: str, out: str) -> None:
    """ONNX Runtime's basic optimizations, written to `out`: constants, identities, batch normalizations. Weights that do not fit
    one file go beside it.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = out
    data = path + ".data"
    if os.path.getsize(path) + (os.path.getsize(data) if os.path.exists(data) else 0) > LARGE:
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "model.data")
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def tidy(path: str, kept: list[str]) -> None:
    """Weights out of the inputs, except those kept, and a name for every node, so that one can be left out by name."""
    model = onnx.load(path, load_external_data=False)
    weights = {w.name for w in model.graph.initializer} - set(kept)
    left = [v for v in model.graph.input if v.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(left)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    onnx.save(model, path)
