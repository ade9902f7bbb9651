-- One row per market trade of the last days, from the venue's api.
{{ recent_trades('restTrades') }}
