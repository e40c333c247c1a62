"""Checks on finding a node for a pod."""
