"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".cache" / "models" / "wheels"
REPOSITORY = ROOT / "model_repository"
DECISIONS = ROOT / "decisions"
EXAMPLES = ROOT / "examples"
GOLDEN = ROOT / "models" / "golden"
REPORT = ROOT / "docs" / "models.md"
TRITON = ROOT / "scripts" / "triton.sh"
