-- One row per market trade that the collector received on the venue's feed.
{{ recent_trades('liveTrades') }}
