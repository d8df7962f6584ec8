"""`strop inspect`."""

from typing import Annotated

import typer

import strop
from strop.cli import options as o
from strop.cli.console import facts, print_json, say, say_wrapped, stdout, table
from strop.core.inspection import Assessment, Inspection
from strop.core.model import TensorSpec
from strop.core.quantity import show_bytes, show_count, show_parameters
from strop.report.frameworks import explain, export_lines, ranking_lines

KINDS = {"onnx": "ONNX", "huggingface": "Hugging Face folder", "gguf": "GGUF", "openvino-ir": "OpenVINO IR", "tflite": "TFLite",
         "mlx": "MLX folder"}  # fmt: skip
MOST_OPERATORS = 12


def command(
    model: Annotated[str, typer.Argument(help="ONNX, GGUF or TFLite file, OpenVINO IR, Hugging Face or MLX folder.")],
    target: o.Device = None,
    purpose: o.Purpose = None,
    context: Annotated[
        int | None, typer.Option("--context", help="Tokens in the cache [what the model was made for, 4096 at most].")
    ] = None,
    explain_: Annotated[bool, typer.Option("--explain", help="The path through the rules, and every rule that spoke.")] = False,
    store: o.Store = None,
    json: o.Json = False,
) -> None:
    """What a model is and takes; with --target: what fits the device, and which frameworks to try, and why."""
    wanted = target or ("this-machine" if explain_ or purpose else None)
    found = strop.inspect(model, target=wanted, purpose=purpose or "any", context=context, store=store or ".strop")
    if json:
        print_json(found.model_dump(mode="json"))
        return
    about(found.inspection)
    sizes(found)
    ways(found)
    for line in export_lines(found.export):
        say_wrapped(line)
    if found.advice is not None:
        for line in explain(found.advice) if explain_ else ranking_lines(found.advice):
            say_wrapped(line)
    for note in (*found.inspection.code, *found.inspection.notes):
        say(f"note: {note}")


def about(model: Inspection) -> None:
    """Format, size, operators, inputs and outputs."""
    named = f", {model.architecture}" if model.architecture else ""
    kind = "language model" if model.family == "llm" else f"{model.modality} model" if model.modality != "unknown" else "model"
    already = f", quantized already: {model.quantized}" if model.quantized else ""
    say(f"{model.path}: {KINDS[model.format]}, {kind}{named}{already}")
    stored = ", ".join(f"{show_count(n)} {dtype} ({show_bytes(model.stored_bytes[dtype])})" for dtype, n in model.stored.items())
    rest = sum(model.stored.values()) - model.parameters if not model.quantized else 0
    beside = f"; {rest:,} stored numbers beside them are shapes, indices, scalars or buffers" if rest > 0 else ""
    rows = [
        ["parameters", f"{model.parameters:,} ({show_parameters(model.parameters)}){beside}"],
        ["stored as", stored or "nothing"],
        ["files", f"{show_bytes(model.bytes)} in {len(model.files)}"],
    ]
    if model.operators:
        counted = sorted(model.operators.items(), key=lambda item: -item[1])
        more = f" and {len(counted) - MOST_OPERATORS} kinds more" if len(counted) > MOST_OPERATORS else ""
        rows.append(["operators", ", ".join(f"{n} {op}" for op, n in counted[:MOST_OPERATORS]) + more])
    rows += [["input", spec_text(s)] for s in model.inputs] + [["output", spec_text(s)] for s in model.outputs]
    each = "a token" if model.family == "llm" else "an inference"
    if model.macs is not None:
        rows.append(["multiply-adds", f"{show_count(model.macs)} {each} (estimate{assumed(model)})"])
    if model.activation_bytes is not None:
        rows.append(["activations", f"{show_bytes(model.activation_bytes)} at the peak (estimate{assumed(model)})"])
    rows += language_rows(model)
    stdout.print(facts(rows))


def language_rows(model: Inspection) -> list[list[str]]:
    """Sizes of a language model and of its cache."""
    of = model.language
    if of is None:
        return []
    named = {"layers": of.layers, "hidden": of.hidden, "heads": of.heads, "KV heads": of.kv_heads, "head size": of.head_size,
             "feed-forward": of.intermediate, "vocabulary": of.vocabulary, "context": of.context,
             "experts": of.experts}  # fmt: skip
    rows = [["sizes", ", ".join(f"{name} {value:,}" for name, value in named.items() if value is not None)]]
    if of.active_parameters is not None:
        rows.append(["active", f"{show_parameters(of.active_parameters)} parameters a token"])
    if of.kv_values_per_token is not None:
        token = 2 * of.kv_values_per_token
        whole = f", {show_bytes(token * of.context)} for its whole context" if of.context else ""
        rows.append(["KV cache", f"{show_bytes(token)} a token in fp16{whole}"])
    return rows


def assumed(model: Inspection) -> str:
    return f"; {', '.join(f'{axis} {size}' for axis, size in model.assumed.items())}" if model.assumed else ""


def spec_text(spec: TensorSpec) -> str:
    if "(" in spec.dtype:  # a sequence, a map or an optional has no axes of its own
        return f"{spec.name}: {spec.dtype}"
    return f"{spec.name}: {spec.dtype} [{', '.join('?' if d is None else str(d) for d in spec.shape)}]"


def sizes(found: Assessment) -> None:
    """Bytes at each precision, and whether they fit."""
    fit = {f.precision: f for f in found.fits}
    rows = [[f.precision, show_bytes(f.weights), show_bytes(f.memory), *([fit[f.precision].verdict, fit[f.precision].reason]
             if fit else [])] for f in found.footprints]  # fmt: skip
    cache = f", with a cache of {found.context:,} tokens" if found.context else ""
    memory = f"memory of the model{cache} (estimate)"
    stdout.print(table(["at", "weights", memory, *(["", "on the target"] if fit else [])], rows, right=(1, 2)))
    if found.runtimes:
        shares = ", ".join(f"{share.framework} {share.mb:.0f} MB" for share in found.runtimes)
        say_wrapped(f"The process takes the runtime's own memory besides: {shares} (measured on Linux, x86-64; Python included).")


def ways(found: Assessment) -> None:
    """What can be quantized how."""
    rows = [[q.operator, q.role, str(q.count), show_parameters(q.parameters), ", ".join(q.ways) or "stays as it is", q.sensitive]
            for q in found.quantizable]  # fmt: skip
    if rows:
        stdout.print(table(["layers", "role", "count", "parameters", "can be quantized", "careful"], rows, right=(2, 3)))
