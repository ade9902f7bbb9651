"""From the bytes of a venue's file to checked, ordered Parquet.

Belongs here: unpacking, parsing, contracts, quarantine, order. Does not: where a file comes from (`ingestion.http`) or
where its rows are stored (`ingestion.raw`).
"""
