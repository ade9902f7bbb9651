"""Everything that goes over HTTP: one client, one retry policy, archive downloads, REST requests.

Belongs here: sending, retrying, waiting, verifying bytes. Does not: which objects or paths there are
(`ingestion.venues`), or what is in them (`ingestion.decode`).
"""
