"""A recorded run as a file: a store with one run, in which places are marked instead of named."""

import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).parent
TEXT = {".json", ".jsonl", ".sh"}
LEFT = {"log.txt", "data.log", "lock", "report.html", "report.md", "events.jsonl"}
"""What is not read again."""
FOLDERS = ("build", "data", "runs")


def members(store: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted(p for p in (store / folder).rglob("*") if p.is_file() and p.name not in LEFT)


def pack(store: Path, archive: Path, places: Mapping[str, Path]) -> None:
    """Writes the store's files to an archive. places: mark → what stands there now in JSON."""
    with lzma.open(archive, "wb", preset=9) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for path in members(store):
            content = path.read_bytes()
            if path.suffix in TEXT:
                text = content.decode()
                for mark, place in sorted(places.items(), key=lambda entry: -len(str(entry[1]))):
                    text = text.replace(str(place), f"@{mark}@")
                content = text.encode()
            entry = tarfile.TarInfo(str(path.relative_to(store)))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))


def unpack(archive: Path, store: Path, places: Mapping[str, Path]) -> None:
    """The other way round."""
    with tarfile.open(archive) as tar:
        tar.extractall(store, filter="data")
    for path in members(store):
        if path.suffix in TEXT:
            text = path.read_text(encoding="utf-8")
            for mark, place in places.items():
                text = text.replace(f"@{mark}@", str(place))
            path.write_text(text, encoding="utf-8")
