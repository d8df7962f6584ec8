"""Company on the machine, the same each time: seeded processes that keep a core, the memory bus or the disk busy."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

KINDS = {
    "cpu": "while time.perf_counter() < end:\n        pass",
    "memory": "while time.perf_counter() < end:\n        room[:] = other",
    "disk": "while time.perf_counter() < end:\n        f.write(block); f.flush(); os.fsync(f.fileno()); f.seek(0)",
}
"""What a neighbor does while it is busy."""
SOURCE = """
import os, random, sys, tempfile, time

rng = random.Random(int(sys.argv[1]))
room, other = bytearray({size}), bytes({size})
block, f = bytes(1 << 20), tempfile.TemporaryFile(dir=sys.argv[2])
while True:
    end = time.perf_counter() + 0.050 * rng.uniform(0.8, 1.2)
    {work}
    time.sleep(0.010 * rng.uniform(0.8, 1.2))
"""


@contextlib.contextmanager
def neighbors(count: int, kind: str = "cpu", seed: int = 0) -> Iterator[None]:
    """So many neighbors for the length of a block; each is busy for some 50 ms, then sleeps for some 10 ms, on any core."""
    source = SOURCE.format(work=KINDS[kind], size=1 if kind != "memory" else 32 << 20)
    with tempfile.TemporaryDirectory(prefix="strop-neighbor-") as folder, contextlib.ExitStack() as stack:
        for number in range(count):
            command = [sys.executable, "-c", source, str(seed + number), folder]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        yield
