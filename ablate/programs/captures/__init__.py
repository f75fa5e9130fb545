"""Kinds of files in which programs leave numbers, a file each, told by content: the shelf of `capture.py`."""
