"""Checks on autoscalers and the metrics they need."""
