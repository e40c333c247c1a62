"""What all tests share: how long the laws are tried."""

from hypothesis import settings

# make soak
settings.register_profile("long", max_examples=1000)
