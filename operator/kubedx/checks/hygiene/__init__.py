"""Checks on how workloads are written: what works today and is a risk, or bad manners."""
