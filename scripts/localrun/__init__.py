"""Gavel on this machine for a while: processes, ports and probes that `run.py` and the tests share."""
