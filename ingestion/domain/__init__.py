"""Markets, periods, datasets with their types, errors: identities, calendar and schemas.

Belongs here: values that every other room uses. Does not: I/O, or anything about a single venue.
"""
