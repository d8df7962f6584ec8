"""Safetensors: shards and headers. What an index or a header tells is held against the folder and the file."""

import json
import resource
import struct
import sys
import time

import pytest

from strop_child.inspector.safetensors_file import INDEX

from .inspected import LLAMA, LLAMA_PARAMETERS, folder, header, inspect, llama, refused, write_safetensors


def sharded(path, names=("a.safetensors", "b.safetensors"), index=None):
    """The tensors of `llama()` in two shards."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(LLAMA))
    tensors = list(llama().items())
    placed = {}
    for name, some in zip(names, (tensors[:7], tensors[7:]), strict=True):
        write_safetensors(path / name, header(dict(some)))
        placed |= dict.fromkeys(dict(some), name)
    (path / INDEX).write_text(json.dumps({"weight_map": placed | (index or {})}))
    return path


def test_shards_are_one_model(tmp_path):
    assert inspect(sharded(tmp_path / "m"))["parameters"] == LLAMA_PARAMETERS


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"x": "../x.safetensors"}, "leaves the model's folder"),
        ({"x": "/etc/x.safetensors"}, "leaves the model's folder"),
        ({"x": "..\\x.safetensors"}, "leaves the model's folder"),
        ({"x": "link.safetensors"}, "leaves the model's folder"),
        ({"x": "no\0.safetensors"}, "leaves the model's folder"),
        ({"x": "c.safetensors"}, "is missing"),
        ({"x": "a.safetensors"}, "which no shard holds"),
        ({"x": "x.bin"}, "only .safetensors are read"),
        ({"x": 3}, "no object of file names"),
    ],
)
def test_an_index_stays_in_its_folder(tmp_path, index, words):
    write_safetensors(tmp_path / "x.safetensors", header({"x": ("F32", [1])}))
    path = sharded(tmp_path / "m", index=index)
    (path / "link.safetensors").symlink_to(tmp_path / "x.safetensors")
    refused(path, words)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside = folder(tmp_path / "outside")
    path = tmp_path / "m"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(LLAMA))
    (path / "model.safetensors").symlink_to(outside / "model.safetensors")
    refused(path, "leaves the model's folder")


FOUR = b'{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    ("entries", "size", "words"),
    [
        ({"a": ENTRY | {"shape": [2, 3]}}, 16, "does not take the 16 bytes"),
        ({"a": ENTRY | {"dtype": "Q9"}}, 16, "unknown type"),
        ({"a": ENTRY | {"dtype": ["F32"]}}, 16, "unknown type"),
        ({"a": ENTRY | {"shape": [-2, -2]}}, 16, "no sizes"),
        ({"a": ENTRY | {"shape": [2, True]}}, 16, "no sizes"),
        ({"a": ENTRY | {"shape": "22"}}, 16, "no sizes"),
        ({"a": ENTRY | {"data_offsets": [0]}}, 16, "no sizes"),
        ({"a": ENTRY | {"data_offsets": [16, 0]}}, 16, "does not take"),
        ({"a": ENTRY | {"data_offsets": [1 << 70, 0]}}, 16, "no sizes"),
        ({"a": ENTRY | {"shape": [1 << 62, 1 << 62]}}, 16, "does not take"),
        ({"a": ENTRY, "b": ENTRY}, 16, "overlaps another"),
        ({"a": ENTRY, "b": ENTRY | {"data_offsets": [20, 36]}}, 36, "leaves a gap"),
        ({"a": ENTRY}, 12, "truncated"),
        ({"a": ENTRY}, 20, "truncated"),
        ({"a": 3}, 16, "no list of tensors"),
        ({}, 0, "hold no tensors"),
        (b"[]", 0, "no JSON object"),
        (b'{"a":{"dtype":"F32"', 0, "no list of tensors"),
        (b'{"a":{"dtype":"F32","shape":' + b"[" * 50_000 + b"}}", 0, "nested too deep"),
        (b'{"a":' * 50_000, 0, "no list of tensors"),
        (b'{"a":%b,"a":%b}' % (FOUR, FOUR), 16, "twice"),
        (b'{"' + b"n" * 1000 + b'":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', 16, "name of 1000"),
        (b'{"a\xff":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', 16, "not readable JSON"),
    ],
)  # fmt: skip
def test_headers_are_checked(tmp_path, entries, size, words):
    path = folder(tmp_path / "m")
    write_safetensors(path / "model.safetensors", entries, size)
    refused(path, words)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"", "no header"),
        (b"\x10", "no header"),
        (struct.pack("<Q", 1 << 63), "hold no header"),
        (struct.pack("<Q", 99), "hold no header"),
    ],
)
def test_header_lengths_are_checked(tmp_path, start, words):
    path = folder(tmp_path / "m")
    (path / "model.safetensors").write_bytes(start + b"{}") if start else (path / "model.safetensors").write_bytes(b"")
    refused(path, words)


def test_a_header_beyond_the_limit_is_not_read(tmp_path):
    path = folder(tmp_path / "m")
    with (path / "model.safetensors").open("wb") as f:
        f.write(struct.pack("<Q", 200_000_000) + b"{")
        f.truncate(300_000_000)
    refused(path, "a header of 200 MB")


def test_seventy_billion_parameters_take_no_time(tmp_path):
    """30 shards without values: a second and 100 MB in a process of its own are the limit."""
    tensors = {f"model.layers.{i}.mlp.up_proj.weight": ("BF16", [28672, 28672]) for i in range(85)}
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    placed = {}
    for shard in range(30):
        some = dict(list(tensors.items())[shard * 3 : shard * 3 + 3])
        write_safetensors(tmp_path / f"s{shard}.safetensors", header(some))
        placed |= dict.fromkeys(some, f"s{shard}.safetensors")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": placed}))
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = inspect(tmp_path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found["parameters"] == 85 * 28672**2
    assert time.perf_counter() - begin < 1
    assert grown * (1 if sys.platform == "darwin" else 1024) < 100e6
