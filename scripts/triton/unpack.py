"""Unpack the parts of a wheel that the server needs and mark its programs executable.

Usage: unpack.py WHEEL DESTINATION

Not `pip install`: the wheel's Python package and its dependencies are not used, only the server's
binaries, whose file modes a zip library does not keep.
"""

import sys
import zipfile
from pathlib import Path

PARTS = ("pytriton/tritonserver/", "nvidia_pytriton.libs/")
PROGRAMS = ("tritonserver", "triton_python_backend_stub")


def unpack(wheel: Path, destination: Path) -> None:
    """Extract `PARTS` of `wheel` under `destination` and mark `PROGRAMS` executable."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or not member.filename.startswith(PARTS):
                continue
            path = Path(archive.extract(member, destination))
            if path.name in PROGRAMS:
                path.chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
