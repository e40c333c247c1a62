"""Names of objects: valid, readable, stable, and different where the problem is."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import object_name
from tests.unit.toys import toy

CHECK, OTHER = toy("node_disk_pressure"), toy("node_not_ready")
REFS = st.builds(Ref, st.sampled_from(("Node", "Pod")), st.text(max_size=70), st.text(max_size=260))
VALID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@given(REFS)
def test_every_name_is_one_that_the_api_server_accepts(subject: Ref) -> None:
    name = object_name(CHECK, subject)

    assert VALID.fullmatch(name)
    assert len(name) <= 253


@given(REFS, REFS)
def test_different_subjects_have_different_names(one: Ref, other: Ref) -> None:
    assert (object_name(CHECK, one) == object_name(CHECK, other)) == (one.text == other.text)
    assert object_name(CHECK, one) != object_name(OTHER, one)


def test_a_name_says_check_and_subject_and_stays_as_it_is() -> None:
    assert object_name(CHECK, Ref("Node", "", "real-1")) == "node-disk-pressure-real-1-14a3f8fd"
