-- One row per market trade that we heard on the venue's feed.
{{ recent_trades('liveTrades') }}
