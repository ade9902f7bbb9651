"""Private interfaces of Dagster and dagster-dbt, each with its upstream link and the condition for its removal.

Belongs here: every import of a name that begins with an underscore, or of a module that does. Does not: anything else.
"""
