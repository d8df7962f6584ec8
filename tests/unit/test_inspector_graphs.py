"""TFLite and OpenVINO IR: the same network in three formats has the same figures; damage is refused in one line."""

import struct
from pathlib import Path

import pytest

import strop

from .inspected import inspect, refused

KWS = Path(next(iter(strop.__path__))) / "demo" / "kws.onnx"
TFLITE = Path(__file__).parents[1] / "data" / "kws" / "reference_int8.tflite"


def test_the_quantized_twin_has_the_same_figures():
    """The demo model, as MLPerf Tiny's authors quantized it: one byte where that has four, 32-bit biases."""
    found, twin = inspect(TFLITE), inspect(KWS)
    assert found["parameters"] == twin["parameters"] == 22_604
    assert found["macs"] == twin["macs"] == 2_656_768
    assert found["activation_bytes"] * 4 == twin["activation_bytes"]
    assert found["stored"] == {"int8": 22_016, "int32": 588 + 2}  # biases, and the shape that a reshape asks for
    assert (found["format"], found["quantized"]) == ("tflite", "int8 (full)")
    assert found["operators"]["DEPTHWISE_CONV_2D"] == 4
    assert found["inputs"] == [{"name": "input_1", "dtype": "int8", "shape": [None, 49, 10, 1]}]
    roles = {x["role"]: x["count"] for x in found["layers"]}
    assert roles["depthwise"] == 4 and roles["linear"] == 1
    assert next(x["inner"] for x in found["layers"] if x["role"] == "linear") == 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b"", "no TFLite file"),
        (lambda b: b[:4] + b"TFL2" + b[8:], "lacks the identifier"),
        (lambda b: b[:8], "damaged"),
        (lambda b: b[: len(b) // 2], "damaged"),
        (lambda b: struct.pack("<I", 1 << 31) + b[4:], "damaged"),
        (lambda b: struct.pack("<I", 4) + b[4:8] + bytes(len(b)), "damaged"),
        (lambda b: b[:8] + b"\xff" * (len(b) - 8), "damaged"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, change, words):
    path = tmp_path / "m.tflite"
    path.write_bytes(change(TFLITE.read_bytes()))
    refused(path, words)


def port(number, *dims):
    inner = "".join(f"<dim>{d}</dim>" for d in dims)
    return f'<port id="{number}" precision="FP32">{inner}</port>'


def const(number, name, shape, offset, size, dtype="f32"):
    dims = ",".join(map(str, shape))
    data = f'<data element_type="{dtype}" shape="{dims}" offset="{offset}" size="{size}"/>'
    return f'<layer id="{number}" name="{name}" type="Const">{data}<output>{port(0, *shape)}</output></layer>'


def layer(number, kind, inputs, outputs, data=""):
    given, made = "".join(inputs), "".join(outputs)
    told = f"<data {data}/>" if data else ""
    return f'<layer id="{number}" name="{kind}" type="{kind}">{told}<input>{given}</input><output>{made}</output></layer>'


def network(*layers, edges=()):
    told = "".join(f'<edge from-layer="{a}" from-port="{p}" to-layer="{b}" to-port="{q}"/>' for a, p, b, q in edges)
    return f'<?xml version="1.0"?><net name="n" version="11"><layers>{"".join(layers)}</layers><edges>{told}</edges></net>'


PARAMETER = '<layer id="0" name="x" type="Parameter"><output>' + port(0, 1, 3, 32, 32) + "</output></layer>"
KERNEL = const(1, "k", (8, 3, 3, 3), 0, 864)
CONVOLUTION = layer(2, "Convolution", [port(0, 1, 3, 32, 32), port(1, 8, 3, 3, 3)], [port(2, 1, 8, 16, 16)])
RESULT = '<layer id="3" name="y" type="Result"><input>' + port(0, 1, 8, 16, 16) + "</input></layer>"
EDGES = ((0, 0, 2, 0), (1, 0, 2, 1), (2, 2, 3, 0))
SOUND = network(PARAMETER, KERNEL, CONVOLUTION, RESULT, edges=EDGES)


def write(tmp_path, text, room=864):
    (tmp_path / "m.xml").write_text(text)
    (tmp_path / "m.bin").write_bytes(bytes(room))
    return tmp_path / "m.xml"


def test_an_ir_is_described(tmp_path):
    found = inspect(write(tmp_path, SOUND))
    assert (found["format"], found["modality"], found["parameters"]) == ("openvino-ir", "vision", 216)
    assert found["macs"] == 8 * 16 * 16 * 27
    assert found["activation_bytes"] == 4 * (3 * 32 * 32 + 8 * 16 * 16)
    assert found["operators"] == {"Convolution": 1}
    assert [(x["role"], x["shape"], x["parameters"]) for x in found["layers"]] == [("conv", [8, 3, 3, 3], 216)]
    assert found["files"] == {"m.xml": len(SOUND), "m.bin": 864}


def test_compressed_weights_are_counted_without_their_scales(tmp_path):
    layers = [
        '<layer id="0" name="x" type="Parameter"><output>' + port(0, -1, -1, 64) + "</output></layer>",
        const(1, "w", (16, 64), 0, 512, "u4"), const(2, "zero", (16, 1), 512, 8, "u4"), const(3, "scale", (16, 1), 520, 64),
        layer(4, "Convert", [port(0, 16, 64)], [port(1, 16, 64)]), layer(5, "Convert", [port(0, 16, 1)], [port(1, 16, 1)]),
        layer(6, "Subtract", [port(0, 16, 64), port(1, 16, 1)], [port(2, 16, 64)]),
        layer(7, "Multiply", [port(0, 16, 64), port(1, 16, 1)], [port(2, 16, 64)]),
        layer(8, "MatMul", [port(0, -1, -1, 64), port(1, 16, 64)], [port(2, -1, -1, 16)], 'transpose_b="true"'),
    ]  # fmt: skip
    edges = [(1, 0, 4, 0), (2, 0, 5, 0), (4, 1, 6, 0), (5, 1, 6, 1), (6, 2, 7, 0), (3, 0, 7, 1), (0, 0, 8, 0), (7, 2, 8, 1)]
    found = inspect(write(tmp_path, network(*layers, edges=edges), 600))
    assert (found["parameters"], found["quantized"]) == (1024, "uint4 (weights only)")
    assert found["stored"] == {"uint4": 1024 + 16, "float32": 16}
    [linear] = found["layers"]
    assert (linear["role"], linear["shape"], linear["inner"]) == ("linear", [16, 64], 64)
    assert (found["macs"], found["assumed"]) == (1024, {"x:0": 1, "x:1": 1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOUND[:-20], "damaged or truncated XML"),
        ("", "no layers"),
        ("<html></html>", "<net> is expected"),
        (network(), "no layers"),
        ('<!DOCTYPE net [<!ENTITY a "b">]>' + SOUND[21:], "DTD or entities"),
        ('<!DOCTYPE net SYSTEM "http://x/y.dtd">' + SOUND[21:], "DTD or entities"),
        (SOUND.replace('offset="0"', 'offset="1"'), "go beyond the 864"),
        (SOUND.replace('offset="0"', 'offset="-8"'), "go beyond"),
        (SOUND.replace('size="864"', 'size="99999999999999"'), "go beyond"),
        (SOUND.replace('size="864"', 'size="800"'), "does not take 800 bytes"),
        (SOUND.replace('size="864"', 'size="x"'), "is no number"),
        (SOUND.replace('element_type="f32"', 'element_type="f33"'), "does not take"),
        (SOUND.replace('shape="8,3,3,3"', 'shape="-8,-3,3,3"'), "does not take"),
        (SOUND.replace("<dim>32</dim>", "<dim>9e9</dim>"), "a dimension"),
        (SOUND.replace("<dim>32</dim>", f"<dim>{10**30}</dim>"), "a dimension"),
        (SOUND.replace("<layers>", "<layers>" + "<layers>" * 100), "nested too deep"),
        (SOUND.replace('id="1" name="k"', 'id="0" name="k"'), "twice"),
        (SOUND.replace('type="Convolution"', ""), "without id or type"),
    ],
)
def test_damaged_networks_are_refused(tmp_path, text, words):
    refused(write(tmp_path, text), words)


def test_the_weights_stand_beside_it(tmp_path):
    path = write(tmp_path, SOUND)
    (tmp_path / "m.bin").rename(tmp_path / "other")
    refused(path, "are missing")
    outside = tmp_path.parent / "outside.bin"
    outside.write_bytes(bytes(864))
    (tmp_path / "m.bin").symlink_to(outside)
    refused(path, "link out of the model's folder")
