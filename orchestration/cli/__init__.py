"""The `taker` command.

Belongs here: options, exit codes, errors as sentences, terminal output. Does not: work.
"""
