"""What a process holds, from /proc: private memory, pages of the model's own files, and the peak."""

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from strop_child import limits, memory

MB = 1_000_000


def test_the_parts_add_up():
    sample = memory.sample()
    assert 0 < sample["private"] <= sample["rss"]
    assert sample["own_files"] == 0
    assert sample["peak"] >= sample["private"]


def test_private_memory_is_counted():
    before = memory.sample()["private"]
    held = bytearray(b"x") * (50 * MB)
    assert memory.sample()["private"] - before > 45 * MB
    del held


def test_resident_pages_of_own_files_are_counted_and_of_others_not(tmp_path):
    path = tmp_path / "model with spaces.bin"
    path.write_bytes(b"x" * (8 << 20))
    with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[i] for i in range(0, len(mapped), 4096)) > 0
        assert memory.sample([str(path)])["own_files"] == 8 << 20
        assert memory.sample([str(tmp_path / "other.bin")])["own_files"] == 0


PEAK = """
import sys
sys.path.insert(0, sys.argv[1])
from strop_child import memory
held = bytearray(b"x") * 100_000_000
del held
high = memory.sample()
memory.reset_peak()
print(high["peak"] - high["private"] > 80_000_000, memory.sample()["peak"] < high["peak"] - 80_000_000)
"""
LIMIT = """
import sys
sys.path.insert(0, sys.argv[1])
from strop_child import limits
limits.apply(200_000_000)
try:
    bytearray(400_000_000)
except MemoryError:
    print("refused")
"""


@pytest.mark.parametrize(("script", "said"), [(PEAK, "True True"), (LIMIT, "refused")])
def test_the_peak_and_the_limit_in_a_process_of_their_own(script, said):
    folder = Path(memory.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said


def test_no_limit_changes_nothing():
    limits.apply(None)
    assert len(bytearray(50 * MB)) == 50 * MB
