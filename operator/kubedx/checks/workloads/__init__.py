"""Checks on Deployments, ReplicaSets and what else makes pods."""
