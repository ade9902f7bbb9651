-- The database that TAKER_PUBLISH_POSTGRES_URL names, beside that of Dagster's history. Read once, by an empty PostgreSQL.
create database marts;
