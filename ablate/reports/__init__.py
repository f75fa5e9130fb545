"""Shown: a study as a document."""
