"""The shelf of tricks, a file each. Contract: `ablate/training/trick.py`."""
