"""How much a quantity is."""

import pytest

from kubedx.kube.quantity import amount, shown_bytes


@pytest.mark.parametrize(("written", "expected"), [
    ("0", 0), ("4", 4), ("250m", 0.25), ("1.5", 1.5), (".5", 0.5), ("16Gi", 16 * 1024**3),
    ("7802456Ki", 7802456 * 1024),
    ("1k", 1000), ("2M", 2_000_000), ("1e3", 1000), ("1E3", 1000), ("2E", 2e18), ("-1", -1), ("500u", 0.0005),
    ("", None), ("much", None), ("1GB", None), ("1e9999", None), (None, None), (3, 3), (0.5, 0.5),
])  # fmt: skip
def test_quantities_are_read_as_kubernetes_reads_them(written: str | float | None, expected: float | None) -> None:
    assert amount(written) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("number", "expected"), [
    (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 * 1024**2, "5.0 MiB"), (5182058496, "4.8 GiB"),
    (2 * 1024**4, "2.0 TiB"),
])  # fmt: skip
def test_bytes_are_shown_in_the_unit_that_fits(number: int, expected: str) -> None:
    assert shown_bytes(number) == expected
