"""The documentation: links lead somewhere, examples are followed, and what is declared is described."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from kubedx.api import diagnosis
from kubedx.checks import registry
from kubedx.core.check import SECTIONS
from kubedx.core.finding import Profile
from kubedx.generate import alerts, docs, unseen
from kubedx.generate.tree import EXAMPLES
from kubedx.report.metrics import Facts, FactsCollector
from kubedx.settings import resolve

ROOT = Path(__file__).parents[2]
REGISTRY = registry()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("operator/*.md")])
POLICY_BLOCKS = [
    (page.name, block)
    for page in PAGES
    if "docs/checks" not in str(page)
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if block.startswith(("spec:", "apiVersion: kubedx.dev"))
]

each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in _anchors(file), f"{page.name} links to {target}"


@pytest.mark.parametrize(("page", "block"), POLICY_BLOCKS, ids=[page for page, _ in POLICY_BLOCKS])
def test_a_policy_in_the_documentation_is_followed_whole(page: str, block: str) -> None:
    assert resolve(None, yaml.safe_load(block), REGISTRY).problems == (), page


def test_the_operating_guide_shows_policies() -> None:
    assert [page for page, _ in POLICY_BLOCKS].count("operating.md") == 2


def test_the_patch_that_silences_one_diagnosis_is_accepted() -> None:
    text = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    patch = re.search(r"--patch '(.*)'", text)

    assert patch
    found = diagnosis.read(yaml.safe_load(patch[1]))
    assert found.problem == ""
    assert found.suppress
    assert found.suppress.until


def test_every_check_has_a_page_with_all_sections() -> None:
    for check in REGISTRY:
        page = (ROOT / f"docs/checks/{check.id}.md").read_text(encoding="utf-8")
        for section in (*SECTIONS, "Steps", "Settings", "What it reads", "Example"):
            assert f"\n## {section}\n" in page, f"{check.id} has no {section}"


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs/checks/index.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\]\((\w+)\.md\)", index)) == {*REGISTRY.by_id, *unseen.BY_ID}
    assert all(f"* {profile.value}: " in index for profile in Profile)


def test_every_join_says_how_cause_and_symptom_belong_together() -> None:
    for check in REGISTRY:
        for join in REGISTRY.joins(check):
            assert join.description.endswith("."), join.name


def test_the_page_of_metrics_has_every_metric_that_an_alert_asks_for() -> None:
    page = docs.metrics(FactsCollector(Facts).collect())

    for alert in alerts.ALERTS:
        for metric in re.findall(r"kubedx_\w+", alert.expr):
            assert f"| `{metric}` |" in page, f"{alert.name} asks for {metric}"


def test_the_guide_shows_four_checks_with_a_case_each() -> None:
    guide = (ROOT / "docs/writing-checks.md").read_text(encoding="utf-8")

    for heading, id_ in EXAMPLES:
        assert f"### {heading}: {id_}\n\n```python\n" in guide
        assert f"`tests/checks/{id_}/fires." in guide


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [one for group in project["dependency-groups"].values() for one in group if isinstance(one, str)]
    page = (ROOT / "docs/decisions/0006-dependencies.md").read_text(encoding="utf-8")

    for requirement in [*project["project"]["dependencies"], *groups]:
        name = re.split(r"[><=\[ ]", requirement)[0]
        assert re.search(rf"^\|.*\b{re.escape(name)}\b.*\|.*\|$", page, re.MULTILINE), f"say why there is {name}"


_PARTS_OF = {"annotated_types": "pydantic", "pydantic_core": "pydantic"}
_OWN = sys.stdlib_module_names | {"kubedx"}


def _imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - _OWN


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[><=\[ ]", one)[0] for one in project["dependencies"]}
    distributions = packages_distributions()

    for file in ROOT.glob("operator/kubedx/**/*.py"):
        for module in _imported(file):
            brought_by = [*distributions.get(module, ()), _PARTS_OF.get(module, module)]
            found = {name.lower().replace("_", "-") for name in brought_by}
            assert found & declared, f"{file.name} imports {module}, which pyproject.toml does not declare"


def test_every_folder_of_the_package_has_its_paragraph() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    parts = {path.parent.name + "/" for path in ROOT.glob("operator/kubedx/*/__init__.py")}
    modules = {path.name for path in ROOT.glob("operator/kubedx/*.py")} - {"__init__.py"}

    for part in parts | modules:
        assert f"**`{part}`**" in page, f"say what belongs into {part}, and what does not"


def test_the_decisions_are_numbered_without_gaps_and_have_all_parts() -> None:
    pages = sorted(ROOT.glob("docs/decisions/*.md"))

    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]}: ")
        for part in ("Context", "Decision", "Evidence", "Consequence"):
            assert f"**{part}.**" in text, f"{page.name} has no {part}"


def test_the_workflow_runs_commands_of_the_makefile() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    runs = "\n".join(step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step)

    targets = set(re.findall(r"make ([a-z-]+)", runs))
    assert targets == {"lint", "test", "generate", "test-kind"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
