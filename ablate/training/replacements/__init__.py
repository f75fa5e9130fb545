"""The shelf of replacements, a file each. Contract: `ablate/training/replacement.py`."""
