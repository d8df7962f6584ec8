"""Runs by path in a clean environment: a bundle's infer.py on raw input, each output kept as the model gave it.

    python clean_driver.py BUNDLE ARGUMENTS.json OUTPUTS.npz

ARGUMENTS.json is what infer.py is given. OUTPUTS.npz gets an array an example and output, called `OUTPUT/EXAMPLE`.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def infer_of(bundle: Path) -> Any:
    """The bundle's infer.py as a module."""
    spec = importlib.util.spec_from_file_location("infer", bundle / "infer.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(bundle: str, arguments: str, output: str) -> int:
    """Exit code of infer.py, or 3 where the environment has Strop."""
    if importlib.util.find_spec("strop") is not None:
        print("this environment is not clean: it has Strop", file=sys.stderr)
        return 3
    sys.dont_write_bytecode = True
    infer, kept = infer_of(Path(bundle)), []
    run = infer.Bundle.run

    def keeping(self: Any, feed: Any) -> Any:
        answer = run(self, feed)
        kept.append(answer)
        return answer

    infer.Bundle.run = keeping
    code: int = infer.main(json.loads(Path(arguments).read_text(encoding="utf-8")))
    rows = {name: [row for answer in kept for row in answer[name]] for name in (kept[0] if kept else ())}
    np.savez(output, **{f"{name}/{at}": row for name, many in rows.items() for at, row in enumerate(many)})
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
