-- One row per claim and spike definition. The rule is the macro's, over published marts alone: `taker claim` asks the same of what is published.
{{ claim_verdicts(ref('dim_claims'), ref('fct_taker_spike_ranks'), ref('dim_spike_definitions')) }}
