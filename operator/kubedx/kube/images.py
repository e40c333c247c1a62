"""Names of container images."""

DEFAULT_REGISTRY = "docker.io"
"""Where images come from whose name tells no registry."""


def registry(image: str) -> str:
    """Name the registry that an image comes from.

    What stands before the first slash is a registry if it looks like a host: with a dot or a port, or ``localhost``
    (`splitDockerDomain` in https://github.com/distribution/reference).

    Args:
        image: The image's name, such as ``registry.example:5000/team/web:1.7``.

    Returns:
        The host, with its port if it has one; `DEFAULT_REGISTRY` for ``web:1.7`` and ``team/web:1.7``.
    """
    host, slash, _ = image.partition("/")
    is_host = slash and ("." in host or ":" in host or host == "localhost")
    return host if is_host else DEFAULT_REGISTRY
