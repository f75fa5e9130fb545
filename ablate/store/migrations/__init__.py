"""The database's forms since release 0.1.0, a file for each: what changes from the one before it."""
