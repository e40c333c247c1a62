"""What we say: checks, findings, joins, severities, messages. No clock, no I/O, no store."""
