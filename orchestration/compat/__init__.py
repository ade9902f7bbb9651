"""Private interfaces of Dagster and dagster-dbt, each with its upstream link and the condition for its removal.

Belongs here: every import of a name or module that begins with an underscore, every override of such a method, and
every member that Dagster does not document. Does not: anything else; what uses them does not repeat the reasons.
"""
