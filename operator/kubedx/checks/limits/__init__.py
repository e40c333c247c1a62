"""Checks on quotas and limits."""
