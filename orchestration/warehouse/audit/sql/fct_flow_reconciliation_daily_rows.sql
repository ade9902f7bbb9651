-- One row per dataset, market, interval and day of the raw zone: all rows of its receipt are read, and no others.
select
    dataset,
    market_id,
    kline_interval,
    bar_date,
    expected_rows,
    found_rows,
    found_rows - expected_rows as difference_rows
from int_raw_row_counts
