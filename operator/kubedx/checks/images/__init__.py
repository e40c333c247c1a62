"""Checks on pulling images."""
