"""What it means: stored runs become numbers, intervals and verdicts. All but results.py is pure."""
