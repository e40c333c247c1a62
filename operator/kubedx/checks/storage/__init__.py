"""Checks on claims, volumes and classes."""
