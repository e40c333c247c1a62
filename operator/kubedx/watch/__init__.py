"""The cluster coming in: the API client, the reflectors, and dumps read from disk."""
