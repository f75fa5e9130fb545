"""The shelf of tasks: what a run executes, a file each. Contract: `ablate/training/task.py`."""
