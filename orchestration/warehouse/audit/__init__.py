"""What must hold in the marts before they are published: one Great Expectations suite per mart and grain.

    suites/           the suites, as data: mart, key, SQL file, rules
    sql/              the SQL that draws the audited frame of each suite
    rules.py          the vocabulary: what a suite is, and which rules it may state
    tolerances.py     how far a recomputed number may lie from a stored one
    expectations.py   a rule as the arguments of one Great Expectations expectation
    window.py         whether everything is judged, or what was built since the publication that stands
    broken.py         a rule as SQL: how many rows of a frame break it, and which
    gx.py             the verdict and its evidence; the only importer of Great Expectations

Belongs here: what is expected of published numbers. Does not: Dagster (`orchestration.checks.audit` turns a verdict
into a check), opening the warehouse, rules that dbt's own tests prove.

Exact arithmetic happens in the SQL, and so does counting: identities are residuals that are zero or not. An unknown
value never passes as a good one: a residual that cannot be computed is 1, "off by one whole", and a rule (`Holds`,
`Zero`) whose outcome is NULL is a broken rule.
"""
