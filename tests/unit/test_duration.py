from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kubedx.kube import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0s", 0), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1d1h1m1s", 90_061)],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: int) -> None:
    assert duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "5", "-5m", "1.5h", "5 m", "5M", "500ms", "soon", "PT5M", "٣m", "5m\n", "99999999s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write"):
        duration.parse(text)


def test_a_number_without_a_unit_is_told_the_units() -> None:
    with pytest.raises(ValueError, match="'90' is not a duration; write 90s, 90m or 90h"):
        duration.parse("90")


def test_a_duration_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="is longer than any cluster lives"):
        duration.parse("9999999d" * 200)


@given(some.timedeltas(min_value=timedelta(0), max_value=timedelta(days=100_000)))
def test_what_is_shown_reads_back_to_the_second(moment: timedelta) -> None:
    assert duration.parse(duration.show(moment)) == timedelta(seconds=moment // timedelta(seconds=1))


def test_parts_that_are_zero_are_not_shown() -> None:
    assert duration.show(timedelta(days=1, seconds=60)) == "1d1m"
    assert duration.show(timedelta(seconds=-5)) == "0s"
