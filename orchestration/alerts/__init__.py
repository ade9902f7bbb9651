"""Alerts: what deserves a message is found, recorded, and sent until a receiver has it.

Belongs here: one module each for what is found (`publication`, `conditions`), what was recorded and delivered
(`outbox`), how it is sent (`webhook`), and the use case (`evaluation`). No module imports dagster or a terminal: what
Dagster has recorded is handed in as plain facts. Does not: when it is evaluated (`orchestration.automation`), how it is
shown (`orchestration.cli.render`).
"""
