"""The report: one self-contained page per publication.

Belongs here: reading what the page shows, its charts, its HTML. Does not: when it is made
(`orchestration.defs.report`) or what any number is (dbt_project).
"""
