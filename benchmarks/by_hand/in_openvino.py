"""Candidates by OpenVINO's and NNCF's own API, in a process of its own under OpenVINO's interpreter. Shares nothing with Strop.

    PYTHON -m benchmarks.by_hand.in_openvino f32|bf16|int8|int8-bf16 MODEL.onnx OUT.xml CALIBRATION.npz '{"input": "array", …}'

Every input has the shape of the data. A .json beside OUT.xml holds the properties that it is compiled with.
"""

import json
import os
import sys
from pathlib import Path

os.environ.update(CI="true", NNCF_CI="1")

import numpy as np
import openvino as ov


def main(kind: str, source: str, out: str, data: str, mapping: str) -> int:
    model, names = ov.Core().read_model(source), json.loads(mapping)
    with np.load(data, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    shapes = {}
    for port in model.inputs:
        name, batch = port.get_any_name(), port.get_partial_shape()[0]
        shapes[name] = [1 if batch.is_dynamic else batch.get_length(), *arrays[names.get(name, name)].shape[1:]]
    model.reshape(shapes)
    if kind.startswith("int8"):
        import nncf

        from benchmarks.peers.nncf_peer import feeds

        convolves = any("Convolution" in op.get_type_name() for op in model.get_ops())
        known = {} if convolves else {"model_type": nncf.ModelType.TRANSFORMER}
        model = nncf.quantize(model, nncf.Dataset(feeds(model, data, names)[0]), **known)
    ov.save_model(model, out, compress_to_fp16=False)
    precision = "bf16" if kind.endswith("bf16") else "f32"
    Path(out).with_suffix(".json").write_text(json.dumps({"INFERENCE_PRECISION_HINT": precision}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:6]))
