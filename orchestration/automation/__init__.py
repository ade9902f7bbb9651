"""When things run without a person: one module per sensor, schedule or condition."""
