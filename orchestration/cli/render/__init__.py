"""Facts as terminal output: rich tables and sentences.

Belongs here: layout and words. Does not: facts (`orchestration.serving`, `orchestration.runs`).
"""
