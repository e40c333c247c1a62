"""Checks on what a node reports of itself."""
