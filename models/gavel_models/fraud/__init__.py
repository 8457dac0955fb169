"""The `fraud` decision: card payments, from raw events to served models."""
