"""What `kubedx new-check` writes: a module and two cases to start from, which fail until they are filled in."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kubedx import __version__
from kubedx.core.check import SECTIONS, check_id, function_name
from kubedx.generate.tree import CASES, CHECKS
from kubedx.kube.meta import View

FILL_IN = "FILL IN"
"""What stands wherever the author has something to say. No check that is committed contains it."""

REFUSED = (
    (r"(?![A-Z][A-Za-z0-9]*$)", "write it in CamelCase with letters and digits, such as PodStuckTerminating"),
    (r"(No|Not|Without)[A-Z]", "say what is wrong, such as StorageClassMissing"),
    (r"(Ensure|Require|Enforce|Use|Avoid|Disallow|Set|Add|Enable|Disable|Fix|Restart|Increase|Should|Must)[A-Z]",
     "name the problem and not the remedy"),
    (r"(Check|Verify|Validate|Detect|Find|Is|Has)[A-Z]", "name the problem and not the act of looking for it"),
    (r"(Invalid|Bad|Wrong|Broken)[A-Z]", "say what is wrong with it, after its name"),
    (r".*(Check|Rule|Detector|Analyzer|Analyser|Finding|Diagnosis|Issue|Alert)$", "leave out the last word: all are"),
)  # fmt: skip
"""Patterns of ids that are refused, from their beginning, and what to write instead."""

_ASKS = {
    "Meaning": "what is broken, in the words of Kubernetes, and by what it is recognised.",
    "Impact": "what users and workloads notice.",
    "Diagnosis": "where to look to confirm it, with commands.",
    "Mitigation": "what mends it, the gentlest way first.",
    "Limitations": "what it cannot see, and when it is wrong.",
    "References": "the source of each string, with the Kubernetes versions that have it.",
}


class NameRefusedError(ValueError):
    """A check cannot be called so, be put there or be about that; the message says what to write instead."""


def refusal(id_: str) -> str:
    """Say why a check cannot have an id.

    Args:
        id_: The proposed id.

    Returns:
        What to write instead, or nothing where the id is good.
    """
    for pattern, advice in REFUSED:
        if re.match(pattern, id_):
            return advice
    spelled = check_id(function_name(id_))
    return "" if spelled == id_ else f"acronyms are spelled as Kubernetes does: write {spelled}"


def areas(root: Path) -> list[str]:
    """List the folders that a check can be put into."""
    folders = (path.parent.name for path in (root / CHECKS).glob("*/__init__.py"))
    return sorted(folder for folder in folders if not folder.startswith("_"))


def new_check(id_: str, area: str, view: type[View], taken: Iterable[str], root: Path) -> dict[str, str]:
    """Start a check.

    Args:
        id_: Its id.
        area: The folder for its module.
        view: The kind that it is about.
        taken: The ids that exist.
        root: The repository's root.

    Returns:
        From the path below the root to the text of each file to write.

    Raises:
        NameRefusedError: The id is refused or taken, or there is no such area.
    """
    if advice := refusal(id_):
        raise NameRefusedError(f"{id_} is no good id for a check: {advice}.")
    if id_ in set(taken):
        raise NameRefusedError(f"{id_} exists; `kubedx explain {id_}` tells about it.")
    if area not in areas(root):
        raise NameRefusedError(f"there is no area {area!r}; there are {', '.join(areas(root))}.")
    name = function_name(id_)
    module = f"{CHECKS}/{area}/{name}.py"
    return {
        module: _module(id_, name, view.__name__),
        f"{CASES}/{id_}/fires.fill-in.yaml": _case(view, _FIRES.format(kind=view.resource.kind)),
        f"{CASES}/{id_}/silent.fill-in.yaml": _case(view, "expect: []\n"),
    }


def write(files: Mapping[str, str], root: Path) -> None:
    """Write the files of a new check; none of them may exist.

    Args:
        files: From path to text.
        root: The repository's root.

    Raises:
        NameRefusedError: A file is there already; nothing is written.
    """
    for path in files:
        if (root / path).exists():
            raise NameRefusedError(f"{path} is there already; remove it or finish it.")
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _module(id_: str, name: str, view: str) -> str:
    sections = "\n\n".join(f"    ## {section}\n    {FILL_IN}: {_ASKS[section]}" for section in SECTIONS)
    return f'''"""{id_}."""

from kubedx.core.check import Answer, check
from kubedx.core.finding import Step, Unknown
from kubedx.kube.views import {view}


@check(
    title="{FILL_IN}: the problem in one line, without a full stop",
    message="{FILL_IN}: what {{kind}} {{name}} shows, with the values that matter",
    layer=5,
    steps=(Step("{FILL_IN}: what to look at first.", "kubectl get events"),),
    since="{__version__}",
)
def {name}(subject: {view}) -> Answer:
    """{FILL_IN}: the problem in a sentence.

{sections}
    """
    yield Unknown(subject, "{FILL_IN}: ask the question, and yield a Finding in place of this if it is so.")
'''


_FIRES = f"""expect: # {FILL_IN}: every finding, exactly
  - subject: {{kind}} fill-in
    severity: warning
    message: "{FILL_IN}: the check's message with the values of this object"
"""


def _case(view: type[View], expect: str) -> str:
    namespace = "\n      namespace: fill-in" if view.resource.namespaced else ""
    return f"""# {FILL_IN}: paste objects from `kubectl get -o yaml`, trim them, and rename the file after its story.
now: 2026-01-01T00:10:00Z
{expect}objects:
  - apiVersion: {view.resource.api_version}
    kind: {view.resource.kind}
    metadata:
      name: fill-in{namespace}
"""
