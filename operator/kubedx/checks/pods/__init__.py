"""Checks on pods and their containers."""
