"""The two kinds that kubedx serves, as typed models: the source of their CRDs, and of what is written and read."""
