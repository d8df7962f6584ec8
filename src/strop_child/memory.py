"""What this process holds, from /proc (Linux). Stdlib only.

`private` is anonymous memory, resident or swapped; `own_files` are resident pages of the model's own files. The sum is
what the model costs; pages of shared libraries belong to whoever else maps them, and are left out. `peak` adds the
excess of the highest resident size (VmHWM) over the present one. Elsewhere than on Linux all are None.
"""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any


def reset_peak() -> None:
    """Set the high-water mark back to the present size, so that importing the runtime does not count."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def _status() -> dict[str, str]:
    with open("/proc/self/status") as f:
        return {k: v for k, _, v in (line.partition(":") for line in f)}


def _kib(text: str) -> int:
    return int(text.split()[0]) * 1024


def own_file_pages(files: Sequence[str]) -> int:
    """Resident bytes of mappings of these files."""
    names, total, ours = {os.path.realpath(f) for f in files}, 0, False
    with open("/proc/self/smaps") as f:
        for line in f:
            head = line.split(maxsplit=5)
            if "-" in head[0] and len(head) >= 5 and not head[0].endswith(":"):
                ours = len(head) == 6 and head[5].strip() in names
            elif ours and line.startswith("Rss:"):
                total += _kib(line.split(":")[1])
    return total


def sample(files: Sequence[str] = ()) -> dict[str, int | None]:
    """Bytes: private, own_files, peak (private plus own files at their highest), rss, and rss at its highest."""
    if not sys.platform.startswith("linux"):
        return dict.fromkeys(("private", "own_files", "peak", "rss", "highest_rss"))
    status = _status()
    private = _kib(status["RssAnon"]) + _kib(status.get("VmSwap", "0 kB"))
    own = own_file_pages(files) if files else 0
    excess = max(_kib(status["VmHWM"]) - _kib(status["VmRSS"]), 0)
    return {"private": private, "own_files": own, "peak": private + own + excess, "rss": _kib(status["VmRSS"]),
            "highest_rss": _kib(status["VmHWM"])}  # fmt: skip


def moment(begin: float, doing: str) -> dict[str, Any]:
    """Private and resident bytes now, seconds after `begin` of `time.perf_counter`."""
    now = sample()
    return {"seconds": round(time.perf_counter() - begin, 4), "doing": doing, "private": now["private"], "rss": now["rss"]}
