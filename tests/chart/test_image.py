"""What the Dockerfile promises, as far as it can be told without a container engine."""

import re

from tests.chart.helm import ROOT

STAGES = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
FINAL = STAGES[-1]


def test_the_base_is_an_argument_that_names_no_registry() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", STAGES[0], re.MULTILINE)

    assert "/" not in base
    assert all(stage.startswith("${BASE}") for stage in STAGES[1:])


def test_the_final_stage_runs_nothing_and_takes_only_what_was_built() -> None:
    assert not re.findall(r"^(?:RUN|ADD)\b", FINAL, re.MULTILINE)
    assert re.findall(r"^COPY (.*)$", FINAL, re.MULTILINE) == ["--from=build /opt/kubedx /opt/kubedx"]


def test_the_image_runs_as_a_user_that_the_kubelet_can_tell_from_root() -> None:
    (user, group) = re.findall(r"^USER (\d+):(\d+)$", FINAL, re.MULTILINE)[0]

    assert int(user) > 10000
    assert int(group) > 10000


def test_the_image_runs_the_operator() -> None:
    assert 'ENTRYPOINT ["kubedx"]\nCMD ["run"]' in FINAL


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {name for line in re.findall(r"^COPY ([^-].*) \S+$", STAGES[1], re.MULTILINE) for name in line.split()}

    assert "*" in ignored
    assert copied == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
