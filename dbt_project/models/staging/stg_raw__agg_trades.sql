-- One row per aggregate: the trades of one taker order at one price within 100 ms.
select trades.*
from {{ staged_agg_trades(raw_relation('aggTrades')) }} as trades
