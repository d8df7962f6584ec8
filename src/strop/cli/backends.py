"""`strop backends`."""

import strop
from strop.cli import options as o
from strop.cli.console import print_json, stdout, table


def command(json: o.Json = False) -> None:
    """Which backends are installed, what works here, and why not."""
    probes = strop.list_backends()
    if json:
        print_json([probe.model_dump(mode="json") for probe in probes])
        return
    rows = [
        [p.name, "works" if p.works else f"does not work: {p.why_not}", ", ".join(f"{k} {v}" for k, v in p.versions.items()),
         ", ".join(p.reads), ", ".join(p.devices)]
        for p in probes
    ]  # fmt: skip
    stdout.print(table(["backend", "", "versions", "reads", "devices"], rows))
