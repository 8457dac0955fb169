"""Where things lie in the repository."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".cache" / "models" / "wheels"
REPOSITORY = ROOT / "model_repository"
DECISIONS = ROOT / "decisions"
EXAMPLES = ROOT / "examples"
GOLDEN = ROOT / "models" / "golden"
REPORT = ROOT / "docs" / "models.md"
TRITON = ROOT / "scripts" / "triton.sh"


def gavel() -> Path:
    """The program, which models/build.sh builds."""
    return Path(os.environ["GAVEL"])
