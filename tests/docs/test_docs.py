"""The documentation is true of the code: reference, links, file tree, docstrings, and the backend of the how-to."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import strop

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_is_current() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_named(generate: ModuleType, tmp_path: Path) -> None:
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []
    (tmp_path / "docs/reference/cli.md").write_text("old", encoding="utf-8")
    (tmp_path / "docs/reference/gates.md").unlink()
    assert generate.stale(tmp_path) == ["docs/reference/cli.md", "docs/reference/gates.md"]


def test_reference_does_not_depend_on_the_terminal(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = generate.pages()
    monkeypatch.setenv("COLUMNS", "40")
    assert generate.pages() == before


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings, as they are made on GitHub."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page}: {target}"
        assert there.is_relative_to(ROOT), f"{page}: {target} leaves the repository"
        assert not anchor or anchor in slugs(there), f"{page}: no heading for {target}"


def tree(text: str) -> set[str]:
    """Paths that the README's file tree names; folders end in a slash."""
    block = re.search(r"```text\n(src/strop/\n.*?)```", text, re.DOTALL)
    assert block is not None
    found, folders = set(), ["src/strop/"]
    for line in block.group(1).splitlines()[1:]:
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        assert len(line.split()) > 1, f"{name}: says nothing about itself"
        folders = folders[:depth]
        found.add("".join(folders) + name)
        if name.endswith("/"):
            folders.append(name)
    return found


def test_file_tree_is_complete() -> None:
    child = ROOT / "src" / "strop_child"
    paths = [p for p in (*(ROOT / "src" / "strop").rglob("*"), child, *child.rglob("*")) if "__pycache__" not in p.parts]
    there = {f"{p.relative_to(ROOT)}/" if p.is_dir() else str(p.relative_to(ROOT)) for p in paths}
    there = {re.sub(r"(/targets/)[\w.-]+\.toml$", r"\1*.toml", path) for path in there}  # the devices have a page of their own
    folders = {p for p in there if p.endswith("/")}
    named = tree((ROOT / "README.md").read_text(encoding="utf-8"))
    assert named == {p for p in there if not p.endswith("/") or any(q.startswith(p) for q in there - folders)}


@pytest.mark.parametrize("name", [n for n in strop.__all__ if n != "__version__"])
def test_public_names_are_explained(name: str) -> None:
    """Every public name has a docstring; one that is called with arguments explains them, its errors, and gives an example."""
    thing = getattr(strop, name)
    text = inspect.getdoc(thing) or ""
    assert text, f"strop.{name} has no docstring"
    if isinstance(thing, type) and issubclass(thing, Exception):
        return
    wanted = ["Example"] if isinstance(thing, type) else ["Raises", "Example"]
    wanted += ["Args"] if inspect.signature(thing).parameters else []
    missing = [part for part in wanted if not re.search(rf"^(\w+, )*{part}(, \w+)*:", text, re.MULTILINE)]
    assert not missing, f"strop.{name}: its docstring has no {' and no '.join(missing)}"


def test_the_backend_of_the_how_to_passes_the_contract(tmp_path: Path) -> None:
    """With modules beside it that are called like the child's own, and like others that it imports."""
    text = (ROOT / "docs" / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)```$", text, re.MULTILINE | re.DOTALL))
    for name, code in shown.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    package = tmp_path / "strop_linear"
    (package / "__init__.py").touch()
    for name in {"json", "numpy", *(path.stem for path in (ROOT / "src" / "strop_child").glob("*.py"))} - {"__init__"}:
        (package / f"{name}.py").write_text(f"raise RuntimeError('a backend hides {name}')\n")
    project = tomllib.loads(shown["pyproject.toml"])["project"]
    info = tmp_path / "strop_linear-0.1.0.dist-info"  # what installing it would leave
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "\n".join(f"{k} = {v}" for k, v in project["entry-points"]["strop.backends"].items())
    (info / "entry_points.txt").write_text(f"[strop.backends]\n{entries}\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_linear.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_every_data_file_is_packed() -> None:
    """What is no Python is in the wheel only where pyproject.toml says so."""
    package = ROOT / "src" / "strop"
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["strop"]
    packed = {path for glob in globs for path in package.glob(glob)}
    data = {p for p in package.rglob("*") if p.is_file() and p.suffix != ".py" and "__pycache__" not in p.parts}
    assert data == packed
