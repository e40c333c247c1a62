"""Checks on Services and what they send traffic to."""
