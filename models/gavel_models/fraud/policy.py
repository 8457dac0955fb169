"""The actions that scores lead to, as decisions/fraud.toml has them by default."""

THRESHOLDS = (0.30, 0.80)


def action(score: float) -> str:
    """Below the first threshold approve, below the second review, else decline."""
    return "approve" if score < THRESHOLDS[0] else "review" if score < THRESHOLDS[1] else "decline"
