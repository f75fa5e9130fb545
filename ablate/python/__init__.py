"""Called: a study and its results from Python, in a script or a notebook."""
