"""Shown: figures on screen and on paper."""
