"""The state folder while processes work in it: who is alive, who holds which lock, scratch space, damaged files.

Belongs here: what a process claims in the state folder, and what the next process finds of one that was killed. Does
not: what the files mean (the rooms that write them), Dagster.
"""
