"""Requests to a venue's archive or REST API.

Belongs here: the client, its retries, rate limits and proofs of what was received. Does not: what a response means
(`ingestion.venues`), or what is done with it (`ingestion.archive`, `ingestion.recent`).
"""
