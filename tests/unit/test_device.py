"""Device profiles: figures with units, the file's errors, the catalog and its sources."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.errors import ConfigError, UsageError
from strop.core.quantity import BYTES, DIMENSIONS, EXAMPLES, parse_quantity, show_bytes
from strop.plan.advise import facts_of, platform_of
from strop.plan.device import parse_device, target_of
from strop.plan.rules import rules
from strop.run.devices import catalog, device_text, find_device, list_devices

from .makers import inspection

OWN = """
name = "my-box"
[cpu]
architecture = "x86_64"
isa = ["avx2"]
cores = 4
[memory]
size = "2 GB"
[system]
os = "Linux"
"""


@given(st.floats(0.001, 1e5), st.sampled_from(sorted(BYTES)))
def test_a_figure_is_its_number_times_its_unit(number: float, unit: str) -> None:
    assert parse_quantity(f"{number!r} {unit}", "bytes") == number * BYTES[unit]


@pytest.mark.parametrize("dimension", list(DIMENSIONS))
def test_the_example_of_each_dimension_is_one(dimension: str) -> None:
    assert parse_quantity(EXAMPLES[dimension], dimension) > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-8 GB", "not above 0"), ("0 GB", "not above 0"), ("1e999 GB", "beyond anything"), ("8 gigs", "unknown unit 'gigs'"),
        ("8", "no unit"), (8, "no unit"), ("GB", "expected bytes"), ("", "expected bytes"), (True, "expected bytes"),
        (["8 GB"], "expected bytes"), ("8 GHz", "unknown unit 'GHz'"), ("8,5 GB", "unknown unit"),
    ],
)  # fmt: skip
def test_a_figure_that_cannot_be_meant(text: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_quantity(text, "bytes")


def test_bytes_are_shown_with_three_digits() -> None:
    assert [show_bytes(n) for n in (512, 45_400_000, 8e9, 2.5e12)] == ["512 B", "45.4 MB", "8 GB", "2.5 TB"]


def test_ten_lines_are_a_target() -> None:
    target = target_of(parse_device(OWN, "my-box.toml"))
    assert (target.name, target.cores, target.threads, target.memory_bytes) == ("my-box", 4, 4, 2_000_000_000)
    assert not target.here
    assert target.has("avx2")
    assert not target.dots_int8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("size", "sise"), "memory.sise: no such key, found '2 GB', expected size, bandwidth, unified"),
        (('"2 GB"', '"-2 GB"'), "memory.size: not above 0"),
        (('"2 GB"', '"2 gigs"'), "memory.size: unknown unit 'gigs', expected bytes, such as '8 GB'"),
        (('"2 GB"', '{ value = "2 GB", source = "x" }'), "memory.size: source 'x' is not in [sources]"),
        (('"2 GB"', '{ worth = "2 GB" }'), "memory.size: expected { value = …, source = … }, found the keys worth"),
        (("cores = 4", "cores = -4"), "cpu.cores: not above 0"),
        (("cores = 4", 'cores = "four"'), "cpu.cores: expected a number above 0"),
        (('"avx2"', '"axv2"'), "cpu.isa: unknown instruction set 'axv2', expected some of sse4_2"),
        (('name = "my-box"', 'name = "My Box"'), "name: expected a name of small letters"),
        (('name = "my-box"', 'name = "this-machine"'), "other than 'this-machine'"),
        (('name = "my-box"', f'name = "{"a" * 64}"'), "at most 63"),
        (('name = "my-box"', 'name = "my-box"\ntitle = "\x1b[31m"'), "line 3: a control character"),
        (("cores = 4", "cores = 4.5"), "cpu.cores: expected a whole number, at most 4096"),
        (("cores = 4", "cores = 1e17"), "cpu.cores: expected a whole number, at most 4096"),
        (('name = "my-box"', 'name = "my-box"\nstorage = "2 GB"'), "storage: expected a section [storage]"),
        (('"2 GB"', '"1e300 GB"'), "memory.size: beyond anything there is"),
        (("cores = 4", f"cores = {'[' * 5000}"), "nested too deeply"),
        (('name = "my-box"', ""), "name: missing"),
        (("[memory]", "[memory"), "not valid TOML"),
        (('name = "my-box"', 'name = "my-box"\nschema = 2'), "schema: Input should be less than or equal to 1"),
    ],
)  # fmt: skip
def test_a_wrong_profile_names_file_key_found_and_expected(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_device(OWN.replace(*change), "my-box.toml")
    assert caught.value.message.startswith("my-box.toml: ")
    assert said in caught.value.message
    assert "raspberry-pi-5" in caught.value.hint


@pytest.mark.parametrize(
    ("written", "meant"), [("x86-64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "aarch64"), ("riscv64", "riscv64")]
)
def test_architectures_go_by_one_name(written: str, meant: str) -> None:
    assert target_of(parse_device(OWN.replace("x86_64", written), "my-box.toml")).architecture == meant


def test_what_is_not_known_is_not_asserted() -> None:
    silent = target_of(parse_device(OWN.replace('isa = ["avx2"]', ""), "my-box.toml"))
    assert silent.dots_int8 is None
    assert target_of(parse_device('name = "nothing"', "nothing.toml")).dots_int8 is None
    assert target_of(parse_device(OWN.replace('"x86_64"', '"aarch64"'), "my-box.toml")).dots_int8 is True


def test_kinds_that_nobody_knows_yet_are_accepted() -> None:
    odd = "".join(
        f'[[accelerators]]\nkind = "{kind}"\nname = "a {kind} chip"\n' for kind in ("neuromorphic", "quantum", "optical")
    )
    target = target_of(parse_device(OWN + odd, "my-box.toml"))
    assert [a.kind for a in target.accelerators] == ["neuromorphic", "quantum", "optical"]


def test_the_catalogue_covers_what_people_deploy_to() -> None:
    assert len(catalog()) >= 20
    found = {platform_of(facts_of(inspection(), device, "any"), rules()).name for device in list_devices()}
    assert found == {p.name for p in rules().platform}
    kinds = {a.kind for device in list_devices() for a in device.accelerators}
    assert {"gpu", "npu", "vpu", "tpu"} <= kinds


@pytest.mark.parametrize("name", sorted(catalog()))
def test_every_number_of_the_catalogue_has_a_source(name: str) -> None:
    """Counted in the text itself: what is a quantity in the file is a figure with a source in the target."""
    path, text = device_text(name)
    device = parse_device(text, path.name)
    assert device.name == name
    figures = device.figures()
    assert figures, "a profile without any figure says nothing"
    body = re.sub(r"^\[sources\..*", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"=\s*\{\s*value\s*=", body)) == len(figures)
    bare = [
        line for line in body.splitlines() if re.match(r"^\w+\s*=\s*(\d|\"\d[\d.]*\s*\S*\"\s*$)", line) and "schema" not in line
    ]
    assert not bare, "a number without a source"
    assert all(figure.source in device.sources for figure in figures.values())
    used = {figure.source for figure in figures.values()} | {device.cpu.isa_source}
    assert set(device.sources) <= used, "a source that nothing cites"


def test_an_unknown_device_names_its_likes() -> None:
    with pytest.raises(UsageError) as caught:
        find_device("raspberry-pi")
    assert "raspberry-pi-4, raspberry-pi-5" in caught.value.hint


def test_more_threads_than_the_device_has_are_refused() -> None:
    assert find_device("raspberry-pi-5", 2).threads == 2
    with pytest.raises(UsageError, match="raspberry-pi-5 has 4 core"):
        find_device("raspberry-pi-5", 8)
