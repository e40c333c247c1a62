"""From findings to diagnoses: groups, causes and symptoms, the ledger of what was open when, suppressions."""
