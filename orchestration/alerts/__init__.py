"""Alerts: what deserves a message is found, recorded, and sent until a receiver has it.

Belongs here: one module each for what is found (`publication`, `conditions`), what was told (`outbox`), how it is sent
(`webhook`), and the use case (`evaluation`). No module imports dagster. Does not: when it is evaluated
(`orchestration.automation.jobs`), how it is shown (`orchestration.cli.render`).
"""
