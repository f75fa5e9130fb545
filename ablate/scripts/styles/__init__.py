"""The shelf of styles: how scripts declare their options, a file each. Contract: `ablate/scripts/style.py`."""
