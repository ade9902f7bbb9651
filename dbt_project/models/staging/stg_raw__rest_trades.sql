-- One row per market trade of the last days, from the venue's API.
{{ recent_trades('restTrades') }}
