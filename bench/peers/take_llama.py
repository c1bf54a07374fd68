"""Copy the built llama-cpp-python of this environment into another one of the same Python.

The wheel is a build for this machine; what the lock asks for is then already there, and uv does
not build it again. Nothing is done where it is there already.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path


def main(target: Path) -> None:
    """Copy every file that the package's record lists below site-packages."""
    here = Path(sysconfig.get_path("purelib"))
    there = target / here.relative_to(Path(sys.prefix))
    package = distribution("llama-cpp-python")
    if not there.is_dir() or list(there.glob("llama_cpp_python-*.dist-info")):
        return
    for file in package.files or ():
        if ".." in file.parts:
            continue
        source, copy = here / file, there / file
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
