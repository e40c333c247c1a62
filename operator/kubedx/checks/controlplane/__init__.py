"""Checks on the API and its extensions."""
