"""Fetches llama.cpp's libraries into the environment that runs this: the prebuilt npm package, all CPU variants inside."""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

VERSION = "3.22.1"
PACKAGES = {("Linux", "x86_64"): "linux-x64", ("Linux", "aarch64"): "linux-arm64", ("Linux", "armv7l"): "linux-armv7l"}
FOLDER = "llama.cpp"


def main() -> int:
    """Exit code 0 where the libraries are there."""
    name = PACKAGES.get((platform.system(), platform.machine()))
    npm = shutil.which("npm")
    if name is None or npm is None:
        why = (
            "no prebuilt libraries for this platform"
            if name is None
            else "npm is not there, which fetches the prebuilt libraries"
        )
        print(f"ERROR: {why}", file=sys.stderr)
        return 1
    place = os.path.join(sys.prefix, FOLDER)
    with tempfile.TemporaryDirectory(dir=sys.prefix) as scratch:
        package = f"@node-llama-cpp/{name}@{VERSION}"
        print(f"Downloading {package}", flush=True)
        done = subprocess.run([npm, "pack", "--silent", package], cwd=scratch, check=False)
        if done.returncode:
            print(f"ERROR: npm could not fetch {package}", file=sys.stderr)
            return 1
        archive = next(f for f in os.listdir(scratch) if f.endswith(".tgz"))
        with tarfile.open(os.path.join(scratch, archive)) as tar:
            tar.extractall(scratch, filter="data")
        shutil.rmtree(place, ignore_errors=True)
        os.rename(os.path.join(scratch, "package", "bins", name), place)
        shutil.copy(os.path.join(scratch, "package", "LICENSE"), place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
