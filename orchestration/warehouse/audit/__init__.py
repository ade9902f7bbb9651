"""What must hold in the marts before they are published: one Great Expectations suite per mart and grain.

    suites/           the suites, as data: mart, key, SQL file, rules
    sql/              the SQL that draws the audited frame of each suite
    rules.py          the vocabulary: what a suite is, and which rules it may state
    tolerances.py     how far a recomputed number may lie from a stored one
    expectations.py   a rule as the arguments of one Great Expectations expectation
    gx.py             running a suite on its frame; the only importer of Great Expectations

Belongs here: what is expected of published numbers. Does not: Dagster (`orchestration.checks.audit` turns a verdict
into a check), opening the warehouse, rules that dbt's own tests prove.

Exact arithmetic happens in the SQL: pandas receives DECIMAL as float64, so identities arrive as residuals that are zero
or not. An unknown value never passes as a good one: Great Expectations skips NULLs, so a residual that cannot be
computed arrives as 1, "off by one whole", and a rule (`Holds`, `Zero`) whose outcome is NULL is a broken rule.
"""
