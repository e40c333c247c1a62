"""Asks the checks: all of them once, then only those whose answers a change or the time may have altered."""
