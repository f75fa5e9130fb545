"""A file for each tool that finished runs are exported to; contract: exporter.py."""
