"""Which volumes come nearest to a claim."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from kubedx.checks._support.volumes import Offer, nearest, obstacles
from kubedx.kube.meta import ObjectMeta
from kubedx.kube.selectors import LabelSelector
from kubedx.kube.slots import Pairs
from kubedx.kube.views import ClaimResources, ClaimSpec, PersistentVolumeClaim

MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany")
SIZES = ("1Gi", "10Gi", "1Ti")

offers = st.builds(
    Offer,
    name=st.sampled_from(("a", "b", "c")),
    storage_class=st.sampled_from(("", "fast")),
    size=st.sampled_from(SIZES),
    access_modes=st.sets(st.sampled_from(MODES), min_size=1).map(lambda found: tuple(sorted(found))),
    volume_mode=st.sampled_from(("Filesystem", "Block")),
    labels=st.sampled_from(({}, {"tier": "gold"})),
    holder=st.sampled_from(("", "shop/data", "shop/other")),
    phase=st.sampled_from(("Available", "Bound", "Released", "Failed")),
)


def claim(
    size: str = "10Gi", storage_class: str = "", mode: str = "Filesystem", selector: Mapping[str, str] | None = None
) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(
        metadata=ObjectMeta(name="data", namespace="shop"),
        spec=ClaimSpec(
            storage_class_name=storage_class,
            access_modes=("ReadWriteOnce",),
            volume_mode=mode,
            resources=ClaimResources(requests=Pairs(storage=size)),
            selector=LabelSelector(match_labels=selector) if selector else None,
        ),
    )


claims = st.builds(
    claim,
    size=st.sampled_from(SIZES),
    storage_class=st.sampled_from(("", "fast")),
    mode=st.sampled_from(("Filesystem", "Block")),
    selector=st.sampled_from((None, {"tier": "gold"})),
)


def fits(one: PersistentVolumeClaim, volume: Offer) -> bool:
    """Whether the control plane would bind them, written without regard to reasons."""
    return (
        volume.holder in {"", "shop/data"}
        and volume.phase != "Failed"
        and volume.storage_class == one.spec.storage_class_name
        and SIZES.index(volume.size) >= SIZES.index(str(one.spec.resources.requests["storage"]))
        and "ReadWriteOnce" in volume.access_modes
        and volume.volume_mode == one.spec.volume_mode
        and (one.spec.selector is None or volume.labels == {"tier": "gold"})
    )


@given(claims, offers)
def test_a_volume_without_obstacles_fits_and_no_other_does(one: PersistentVolumeClaim, volume: Offer) -> None:
    assert (not list(obstacles(one, volume))) == fits(one, volume)


@given(claims, st.lists(offers, max_size=6, unique_by=lambda volume: volume.name))
def test_the_nearest_volumes_have_the_fewest_obstacles(one: PersistentVolumeClaim, volumes: list[Offer]) -> None:
    said = nearest(one, volumes)
    count = {volume.name: len(list(obstacles(one, volume))) for volume in volumes}
    near = {name: number for name, number in count.items() if number and f"{name} would fit" in said}

    assert len(set(near.values())) <= 1
    for volume in volumes:
        if count[volume.name] and volume.phase != "Bound":
            assert said
            assert min(near.values()) <= count[volume.name]
