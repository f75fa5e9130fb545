"""The commands, a file for each group: parse, call one function, print."""
