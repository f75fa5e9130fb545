"""Typed: the command line, what a person types and sees."""
