"""The shelf of executors, a file each. Contract: `ablate/pool/executor.py`."""
