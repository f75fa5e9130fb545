"""The version of the distribution `ablate-studies`."""

__version__ = "0.1.0"
