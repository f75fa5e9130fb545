"""The shelf of figures, a file each. Contract: `ablate/figures/figure.py`."""
