"""A study's runs: found, executed, looked after, brought in, handed out."""
