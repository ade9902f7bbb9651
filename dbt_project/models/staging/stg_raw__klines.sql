-- One row per market, interval and bar; amounts still in the venue's units.
select klines.*
from {{ staged_klines(raw_relation('klines')) }} as klines
