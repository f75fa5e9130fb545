"""The shelf of designs: rules that choose variants, a file each. Contract: `ablate/study/design.py`."""
