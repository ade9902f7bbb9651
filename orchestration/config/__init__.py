"""Configuration: the only reader of the environment and of `.env`.

Belongs here: what can be configured, its validation, and the narrow values that the other rooms take: `Scope` (what is
ingested), `Endpoints` (where venues are), `Storage` (the raw zone's store), `Paths` (files of the state folder) and
`DbtConfig`. Does not: opening anything that a value names. Only `definitions`, `runs` and `cli` see `Settings` itself.
"""
