"""One module a check, in folders by what the user looks at."""

import importlib
import pkgutil

from kubedx.core.check import Check, Registry


def registry() -> Registry:
    """Import every module below this package and collect the checks that they declare.

    Returns:
        The registry of all checks that this version of kubedx has.

    Raises:
        kubedx.core.check.DeclarationError: A check is declared wrongly, or its module is not named after it.
    """
    found: list[Check] = []
    for module_info in pkgutil.walk_packages(__path__, f"{__name__}."):
        if module_info.ispkg or "._" in module_info.name:
            continue
        module = importlib.import_module(module_info.name)
        found.extend(
            value for value in vars(module).values() if isinstance(value, Check) and value.module == module.__name__
        )
    return Registry(found)
