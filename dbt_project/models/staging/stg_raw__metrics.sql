-- One row per market and five minutes.
select metrics.*
from {{ staged_metrics(raw_relation('metrics')) }} as metrics
