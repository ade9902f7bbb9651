"""How fast and how large: the project beside what people use instead, each in a process of its own.

Belongs here: figures that `make bench` prints with their budgets. Does not: tests; nothing here fails for being slow.
"""
