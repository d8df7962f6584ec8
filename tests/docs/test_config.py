"""Every `strop.toml` that is shown is one that Strop reads."""

import re
from pathlib import Path

import pytest

from strop.run.config import Config, read_config
from strop.run.options import OPTIONS

ROOT = Path(__file__).parents[2]
SHOWN = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in (ROOT / "docs" / "how-to" / f"{name}.md" for name in ("own-data", "gates", "throughput"))
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


def read(folder: Path, text: str) -> Config:
    (folder / "strop.toml").write_text(text, encoding="utf-8")
    return read_config(folder / "strop.toml", folder)[0]


@pytest.mark.parametrize("block", SHOWN)
def test_what_a_page_shows_is_read(tmp_path: Path, block: str) -> None:
    assert read(tmp_path, block)


def test_the_reference_names_every_key_and_each_line_of_it_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    config = read(tmp_path, re.sub(r'^# (?=(\w+|"\w+") = )', "", block.group(1), flags=re.MULTILINE))
    missing = {option.key for option in OPTIONS if option.key} - config.keys()
    assert not missing, f"it does not show {', '.join(sorted(missing))}"
