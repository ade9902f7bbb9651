"""Asset checks: verdicts of the audit, and completeness, as Dagster shows them.

Belongs here: verdict → check result. Does not: the rules (`orchestration.warehouse.audit`), or the refusal to publish
(`orchestration.defs.publish`).
"""
