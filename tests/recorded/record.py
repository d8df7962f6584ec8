"""Records the runs anew: `python -m tests.recorded.record [tensor] [language]`. Figures change; do it only where records must.

Each run is a real one of the command line, without a budget, of few recipes and few calls.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from .archive import HERE, pack
from .replay import DEMO, places

STORIES = HERE.parent / "data" / "stories260k"
RUNS = {
    "tensor": [str(DEMO / "kws.onnx"), "--config", str(DEMO / "strop.toml"), "--backend", "onnxruntime",
               "--recipe", "int8-static", "--recipe", "int8-dynamic", "--recipe", "int8-weights"],
    "language": [str(STORIES), "--data", str(STORIES / "eval.txt"), "--eval-tokens", "1024", "--output-tokens", "16",
                 "--backend", "llamacpp", "--backend", "openvino", "--recipe", "gguf-q8-0", "--recipe", "openvino-int8"],
}  # fmt: skip


def main() -> None:
    for name in sys.argv[1:] or RUNS:
        with tempfile.TemporaryDirectory(prefix="strop-record-") as folder:
            store = Path(folder) / "store"
            command = [sys.executable, "-m", "strop", "optimize", *RUNS[name], "--threads", "1", "--budget", "none",
                       "--store", str(store)]  # fmt: skip
            subprocess.run(command, cwd=folder, check=True)
            pack(store, HERE / f"{name}.tar.xz", places(store))
        print(f"{name}: {(HERE / f'{name}.tar.xz').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
