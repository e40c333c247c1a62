"""Checks on deletions that do not end."""
