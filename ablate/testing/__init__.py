"""Held to it: for authors of plug-ins, a file to begin with and what it must keep."""
