"""The shelf of report formats, a file each. Contract: `ablate/reports/document.py`."""
