"""How Gavel's models are trained, exported, quantised and measured. `python -m gavel_models` does it all."""
