"""Shown: the ablation table, its other views and the sentences under it."""
