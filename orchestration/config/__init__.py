"""Settings: the only reader of the environment.

Belongs here: what can be configured, its validation, and narrow values handed out. Does not: work.
"""
