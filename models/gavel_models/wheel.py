"""Reading one file out of a downloaded wheel."""

import zipfile

from gavel_models import paths


def read(package: str, member: str) -> bytes:
    """The bytes of `member` in the wheel of `package` (see data.txt)."""
    wheels = sorted(paths.WHEELS.glob(f"{package}-*.whl"))
    if not wheels:
        raise FileNotFoundError(f"no wheel of {package} in {paths.WHEELS}: run models/build.sh")
    with zipfile.ZipFile(wheels[-1]) as archive:
        return archive.read(member)
