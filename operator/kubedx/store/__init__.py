"""The mirror of the cluster that watches feed: rows, shared parts, indexes, and lookups that note what was read."""
