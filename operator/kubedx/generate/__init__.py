"""The one declaration rendered: CRDs, RBAC, chart values and schema, alerts, docs. Pure functions that return text."""
