"""An ONNX model: its graph, its weights' sizes and what it costs. External data is checked and not read."""

import os

import onnx
from onnx import helper

from strop_child import onnx_faults, onnx_file
from strop_child.inspector import onnx_shapes
from strop_child.inspector.answer import Answer, Port, Shape, counted, modality_of, product
from strop_child.inspector.costs import FORMULAS, Op, macs, peak
from strop_child.inspector.onnx_weights import BITS, Weights, tensors_of
from strop_child.onnx_file import dtype_name
from strop_child.refusal import ModelError

MOST_AXIS = 1 << 40
MOST_NODES = 100_000
VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout"}
"""Operators whose output is their input seen otherwise: no memory of its own."""
INTEGER = {"QLinearConv", "QLinearMatMul", "QGemm"}
DYNAMIC = {"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}


def inspect(path: str) -> Answer:
    """What the file and its external data hold.

    Raises:
        ModelError: damaged, unsafe or unsupported.
    """
    model = onnx_file.load(path)
    nodes = list(onnx_file.nodes(model.graph))
    if len(nodes) > MOST_NODES:
        raise ModelError(f"{path}: more than {MOST_NODES} nodes", "no graph of that many is read")
    tensors = tensors_of(model.graph)
    _check_names(model, nodes, tensors, path)
    onnx_file.check_operators(model)
    weights = Weights([*nodes, *(n for f in model.functions for n in onnx_file.nodes(f))], tensors)
    answer = Answer(format="onnx", architecture=model.graph.name[:200])
    folder = os.path.dirname(path)
    names = [os.path.basename(path), *onnx_file.external_files(model, path)]
    answer.files = {name: os.path.getsize(os.path.join(folder, name)) for name in names}
    answer.operators = counted(n.op_type for n in nodes)
    answer.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    listed = {t.name for t in model.graph.initializer}
    answer.inputs = [_port(v, path) for v in model.graph.input if v.name not in listed]
    answer.outputs = [_port(v, path) for v in model.graph.output]
    answer.modality = modality_of(answer.inputs)
    answer.family = "llm" if _generates(answer) else "tensor"
    weights.fill(answer)
    answer.layers = list(weights.layers(nodes))
    answer.quantized = _quantized(answer, nodes, weights)
    if any(g.sparse_initializer for g in (model.graph,)):
        answer.notes.append("sparse weights are left out of the parameters")
    answer.faults = onnx_faults.faults(model)
    _costs(answer, model, listed)
    return answer


def _check_names(model: onnx.ModelProto, nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto], path: str) -> None:
    """The library gives names that are no UTF-8 as bytes."""
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info, *tensors)
    names = [model.graph.name, *(v.name for v in values), *(a.name for n in nodes for a in n.attribute)]
    names += [d.dim_param for v in (*model.graph.input, *model.graph.output) for d in v.type.tensor_type.shape.dim]
    names += [text for n in nodes for text in (n.name, n.op_type, n.domain, *n.input, *n.output)]
    if any(isinstance(name, bytes) for name in names):
        raise ModelError(f"{path}: damaged: a name in it is no text", "export or copy it again")


def _port(value: onnx.ValueInfoProto, path: str) -> Port:
    kind = value.type.tensor_type
    shape = [onnx_file.dim(d) for d in kind.shape.dim]
    if any(isinstance(s, int) and s > MOST_AXIS for s in shape):
        raise ModelError(f"{path}: damaged: {value.name[:80]!r} has an axis of {max(s for s in shape if isinstance(s, int))}",
                         "export it again")  # fmt: skip
    if not kind.HasField("shape"):
        shape = ["..."] if value.type.HasField("tensor_type") else []  # of no declared rank
    return {"name": value.name, "dtype": onnx_file.type_name(value.type), "shape": shape}


def _generates(answer: Answer) -> bool:
    """A decoder takes token ids and a cache, and gives logits; an exported one without a cache takes no past."""
    given = {str(p["name"]) for p in answer.inputs}
    return "input_ids" in given and any("past" in n for n in given) and not any("encoder" in n for n in given)


def _quantized(answer: Answer, nodes: list[onnx.NodeProto], weights: Weights) -> str | None:
    """By its operators: which carry quantized weights, and of what width."""
    found = answer.operators
    for kind in ("MatMulNBits", "GatherBlockQuantized", "MatMulBnb4"):
        node = next((n for n in nodes if n.op_type == kind), None)
        if node is not None:
            sizes = {a.name: a.i for a in node.attribute}
            return f"int{sizes.get('bits', 4)} ({kind}, block {sizes.get('block_size', 0)})"
    if found.keys() & INTEGER:
        return "int8 (QLinear operators)"
    if found.keys() & DYNAMIC:
        return "int8 (dynamic)"
    if "DequantizeLinear" not in found:
        return None
    held = [weights.own[n.input[0]].dtype for n in nodes if n.op_type == "DequantizeLinear" and n.input[0] in weights.own]
    widths = sorted({k for k in held if k not in ("int32",)}, key=lambda k: (BITS.get(k, 8), k))
    form = "QDQ" if "QuantizeLinear" in found else "weights only, QDQ"
    return f"{widths[0] if widths else 'int8'} ({form})"


def _costs(answer: Answer, model: onnx.ModelProto, listed: set[str]) -> None:
    """MACs and live memory of one inference, after every dynamic axis got a size. Consumes the model."""
    answer.assumed = onnx_shapes.assume(model.graph, listed)
    onnx_shapes.lighten(model)
    model = onnx_shapes.flatten(model)
    shown = [(n.op_type, list(n.input), list(n.output), _attributes(n)) for n in onnx_file.nodes(model.graph)]
    order = [(n.op_type, [*n.input, *_outer(n)], list(n.output)) for n in model.graph.node]
    onnx_shapes.stand_ins(model.graph)
    shapes, kinds = onnx_shapes.infer(model)
    ops = [Op(kind, _shapes(ins, shapes), _shapes(outs, shapes), attributes) for kind, ins, outs, attributes in shown]
    answer.macs, missing, many = macs(ops)
    if missing:
        answer.notes.append(f"macs leave out {missing} of {many} nodes, whose shapes stay unknown")
    if missing == many and many:
        answer.macs = None
    _memory(answer, order, shapes, kinds)


def _shapes(names: list[str], shapes: dict[str, Shape]) -> list[Shape | None]:
    return [shapes.get(name) for name in names]


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    """Those that a formula may ask for."""
    if node.op_type not in FORMULAS:
        return {}
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type in (1, 2, 3, 7)}


def _outer(node: onnx.NodeProto) -> list[str]:
    """What nested graphs read of the outer one."""
    nested = [g for a in node.attribute for g in (a.g, *a.graphs) if g.node]
    return [name for g in nested for n in onnx_file.nodes(g) for name in n.input]


def folded(order: list[tuple[str, list[str], list[str]]], inputs: list[str]) -> set[str]:
    """Values that depend on no input: every runtime computes them once, when it loads."""
    moving = set(inputs)
    for _, given, made in order:
        if any(name in moving for name in given):
            moving.update(made)
    return {name for _, _, made in order for name in made} - moving


def _memory(
    answer: Answer, order: list[tuple[str, list[str], list[str]]], shapes: dict[str, Shape], kinds: dict[str, int]
) -> None:
    root: dict[str, str] = {}
    for kind, given, made in order:
        if kind in VIEWS and given and made:
            root[made[0]] = root.get(given[0], given[0])
    steps = [([root.get(n, n) for n in given], [root.get(n, n) for n in made]) for _, given, made in order]
    inputs = [str(p["name"]) for p in answer.inputs]
    values = {n for _, made in steps for n in made if n} | set(inputs)
    still = folded(order, inputs)
    live = values - {root.get(name, name) for name in still}
    sizes = {n: -(-product(shapes[n]) * BITS.get(dtype_name(kinds.get(n, 1)), 8) // 8) for n in live if n in shapes}
    unknown = len(live) - len(sizes)
    outputs = [root.get(str(p["name"]), str(p["name"])) for p in answer.outputs]
    answer.activation_bytes = peak(steps, sizes, inputs, outputs) if sizes else None
    if unknown:
        answer.notes.append(f"activation bytes leave out {unknown} of {len(live)} values, whose shapes stay unknown")
