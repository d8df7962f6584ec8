"""llama.cpp's build steps; child side. Each returns the name of the file to go on with, and what it says of it."""

import ctypes as c
import hashlib
import os
import shutil
from collections import Counter
from typing import Any

import numpy as np

from . import runner
from .runner import BOOL, INT, POINTER, SIZE, UNSIGNED

TYPES = {
    "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q2_K": 10, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "IQ2_XS": 20, "IQ4_NL": 25,
    "IQ3_S": 26, "IQ4_XS": 30, "BF16": 32,
}  # fmt: skip
"""Mixes of types by llama.cpp's numbers (enum llama_ftype)."""
QuantizeParams = runner.structure(
    ("threads ftype output_type embedding_type", INT),
    ("allow_requantize quantize_output only_copy pure keep_split dry_run", BOOL), ("imatrix kv_overrides types prune", POINTER),
)  # fmt: skip
Importance = runner.structure(("name", c.c_char_p), ("data", POINTER), ("size", SIZE))
Override = runner.structure(("pattern", c.c_char_p), ("type", INT))
MATRIX, Q8_0 = "importance.npz", 8
PLAIN = ("F32", "F16", "BF16")


def quantize(
    artifact: str, out: str, data: dict[str, Any] | None, type: str, matrix: bool = False, keep: str = ""
) -> dict[str, Any]:  # fmt: skip
    """GGUF in another mix of types; tensors whose width does not fit a block get another type, which is read back and told.

    Args:
        matrix: weigh errors by the importance matrix that lies beside the file. keep: tensors for Q8_0, a pattern.
    """
    lib = runner.library()
    params = lib.function("llama_model_quantize_default_params", QuantizeParams)()
    params.threads, params.ftype = os.cpu_count() or 1, TYPES[type]
    held = [importances(artifact) if matrix else None, kept_in_q8(keep) if keep else None]  # alive until it is done
    params.imatrix, params.types = (c.addressof(one) if one is not None else None for one in held)
    run = lib.function("llama_model_quantize", UNSIGNED, c.c_char_p, c.c_char_p, c.POINTER(QuantizeParams))
    lib.lines.clear()
    if run(artifact.encode(), out.encode(), c.byref(params)):
        raise runner.LlamaError(lib.why())
    told = told_of(out)
    if held[0] is not None:
        names = held[0].values
        weighed = [name for name, kind in told.pop("types").items() if name in names and kind not in PLAIN]
        if not weighed:  # the file is the one without a matrix, by another name
            raise runner.LlamaError("no quantized tensor has importances: the file would be the one without a matrix")
        told["claims"]["tensors weighed by importances"] = len(weighed)
    told.pop("types", None)
    return {"file": os.path.basename(out), **told}


def importances(artifact: str) -> Any:
    """The matrix that `importance` left beside the file, as llama.cpp takes it: an array that an empty entry ends."""
    with np.load(os.path.join(os.path.dirname(artifact), MATRIX), allow_pickle=False) as found:
        values = {name: np.ascontiguousarray(found[name], np.float32) for name in found.files}
    array = (Importance * (len(values) + 1))()
    for place, (name, value) in enumerate(values.items()):
        array[place] = Importance(name.encode(), value.ctypes.data, value.size)
    array.values = values  # the numbers live as long as the array
    return array


def kept_in_q8(pattern: str) -> Any:
    """Overrides of tensor types, which an empty entry ends."""
    return (Override * 2)(Override(pattern.encode(), Q8_0))


def importance(artifact: str, out: str, data: dict[str, Any]) -> dict[str, Any]:
    """The same file with its importance matrix beside it: the mean square of what every matrix is multiplied with."""
    from . import matrix

    rows = np.load(data["inputs"]["tokens"], mmap_mode="r", allow_pickle=False)[: data["count"]]
    found = matrix.importances(artifact, rows)
    if not found:
        raise runner.LlamaError("no matrix product was seen: no importance matrix")
    np.savez(os.path.join(os.path.dirname(out), MATRIX), **found)  # type: ignore[arg-type]
    try:
        os.link(artifact, out)
    except OSError:
        shutil.copyfile(artifact, out)
    return {"file": os.path.basename(out), "claims": {"matrices with importances": len(found)}}


def told_of(path: str, whole: bool = True) -> dict[str, Any]:
    """How many tensors each type has, and a digest of all of them, read back from the file.

    Two mixes that fall back to the same types differ in nothing but a number of the header.

    Args:
        whole: whether the weights are read too, for the digest.
    """
    from gguf import GGUFReader

    types, digest = dict[str, str](), hashlib.sha256()
    for tensor in GGUFReader(path).tensors:
        types[str(tensor.name)] = tensor.tensor_type.name
        digest.update(f"{tensor.name} {tensor.tensor_type.name} {list(tensor.shape)}".encode())
        if whole:
            digest.update(np.ascontiguousarray(tensor.data).data)
    claims = {f"tensors in {name}": n for name, n in Counter(types.values()).items()}
    return {"claims": claims, "content": digest.hexdigest(), "types": types}
