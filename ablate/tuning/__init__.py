"""A search as ordinary runs, and its winner on fresh seeds."""
