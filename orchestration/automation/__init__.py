"""When things run without a person.

Belongs here: the jobs, and one module per schedule and sensor, each with the plain function that decides. Does not:
what the jobs do (`orchestration.defs`), or their composition (`orchestration.definitions`).
"""
