"""Measurements of whole processes at the limits of Kubernetes; `README.md` explains each row."""
