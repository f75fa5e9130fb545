"""The shelf of networks, a file each. Contract: `ablate/training/model.py`."""
