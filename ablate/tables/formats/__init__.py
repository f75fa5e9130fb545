"""The shelf of table formats, a file each. Contract: `ablate/tables/table.py`."""
