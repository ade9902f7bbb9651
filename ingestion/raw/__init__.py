"""The raw zone: stored objects, their receipts, and the index over them.

Belongs here: local or S3 storage, what a receipt states, what is read and written atomically. Does not: what is decoded
(`ingestion.decode`).
"""
