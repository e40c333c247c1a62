"""What Kubernetes is: typed read-only views, selectors, conditions. No I/O and none of our own words."""
