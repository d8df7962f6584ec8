"""What each runtime takes of a process's memory without a model, for `src/strop/plan/runtimes.toml`.

`python -m benchmarks.runtime_share REPORT.json …` reads the memory of every candidate out of reports of runs, takes the model's
part off what is resident in the whole process, and prints the median by runtime with the range and the number of processes.
"""

import json
import sys
from pathlib import Path
from statistics import median

from strop.core.measurement import Memory

MB = 1e6


def shares(reports: list[Path]) -> dict[str, list[float]]:
    """Runtime → MB of each process without its model."""
    found: dict[str, list[float]] = {}
    for path in reports:
        for candidate in json.loads(path.read_text(encoding="utf-8"))["candidates"]:
            memory = [Memory.model_validate(entry) for entry in candidate["measurement"]["memory"]]
            found.setdefault(candidate["backend"], []).extend((m.resident - m.peak) / MB for m in memory)
    return {name: values for name, values in found.items() if values}


def main(arguments: list[str]) -> int:
    """Entries of the file, to be copied into it."""
    if not arguments:
        print(__doc__)
        return 2
    for name, values in sorted(shares([Path(argument) for argument in arguments]).items()):
        print(f'[[runtime]]\nframework = "{name}"\nmb = {median(values):.0f}\nrange = [{min(values):.0f}, {max(values):.0f}]')
        print(f"processes = {len(values)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
