-- One row per single trade.
select trades.*
from {{ staged_trades(raw_relation('trades')) }} as trades
