"""`strop doctor`."""

import strop
from strop.cli import options as o
from strop.cli.console import print_json, say, stdout, table
from strop.core.quantity import show_bytes


def command(store: o.Store = None, json: o.Json = False) -> None:
    """What is installed, what is missing for what, disk used, how busy this machine is, and the commands that help."""
    health = strop.doctor(store or ".strop")
    if json:
        print_json(health.model_dump(mode="json"))
        return
    parts = [*health.backends, *health.extras]
    rows = [
        [part.name, "works" if part.works else "missing",
         ", ".join(f"{name} {number}" for name, number in part.versions.items()) or part.what, part.fix]
        for part in parts
    ]  # fmt: skip
    stdout.print(table(["part", "", "versions, or what for", "to install"], rows, whole=(0, 1)))
    used = [[use.name, show_bytes(use.bytes), use.path] for use in health.disk]
    stdout.print(table(["disk", "", "where"], used, right=(1,), whole=(0, 1)))
    for use in (use for use in health.disk if use.bytes):
        say(f"to free {show_bytes(use.bytes)}: {use.fix}")
    say(f"free: {show_bytes(health.free_disk_bytes)} of disk, {show_bytes(health.free_memory_bytes)} of memory")
    named = f" ({', '.join(health.processes)})" if health.processes else ""
    say(f"busy: other processes use {health.busy_cores:g} of {health.cores} cores{named}")
    for problem in health.problems:
        say(f"note: {problem}")
    if not health.problems:
        say("Nothing here will disturb a run.")
