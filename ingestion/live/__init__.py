"""Live feeds of the venues: received, kept as received, and turned into raw objects once an hour has ended.

Belongs here: connections, the spool, coverage, sealing, the collector's status. Nothing is imported here: reading the
status must stay cheap. Does not: what a message means (`ingestion.venues`), or settings (`orchestration`).
"""
