"""The shelf of data sets, a file each. Contract: `ablate/training/dataset.py`."""
