"""Chains of causes end in the same root in whatever order their news come."""

from functools import cache

import kubernetes_validate
import pytest
import yaml

from kubedx.kube.views import BY_KIND
from tests.chains.replay import HERE, Story, as_json, replayed, shuffled, stories
from tests.checks.cases import REGISTRY

ORDERS = 20
STORIES = stories()
UNTOLD = yaml.safe_load((HERE / "untold.yaml").read_text(encoding="utf-8")) or {}
CHAINS = yaml.safe_load((HERE / "chains.yaml").read_text(encoding="utf-8"))

each_story = pytest.mark.parametrize("story", STORIES, ids=[story.path.stem for story in STORIES])
each_chain = pytest.mark.parametrize("number", sorted(CHAINS))


@each_story
def test_a_story_in_its_order_ends_as_it_must(story: Story) -> None:
    assert replayed(story).told() == story.expect


@each_story
@pytest.mark.parametrize("seed", range(ORDERS))
def test_a_story_in_any_order_ends_as_it_must(story: Story, seed: int) -> None:
    assert replayed(story, shuffled(story.news, seed)).told() == story.expect


@each_story
def test_on_the_way_at_most_three_are_said_that_fold_in_the_end(story: Story) -> None:
    said = replayed(story).said

    assert story.expect.keys() <= said
    assert len(said - story.expect.keys()) <= 3


@each_story
def test_objects_of_stories_are_what_kubernetes_accepts(story: Story) -> None:
    for one in story.news:
        if one.body is not None:
            assert BY_KIND[one.about.kind].resource.api_version == one.body["apiVersion"]
            kubernetes_validate.validate(as_json(one.body), "1.36", strict=True)


@cache
def _links(story: Story) -> frozenset[tuple[str, str]]:
    return frozenset(replayed(story).links())


@each_chain
def test_each_link_of_a_chain_whose_checks_exist_occurs_in_a_story(number: int) -> None:
    links = {(cause, symptom) for cause, symptoms in CHAINS[number]["links"].items() for symptom in symptoms}
    shown = set().union(*(_links(story) for story in STORIES if story.chain == number))

    assert {link for link in links if set(link) <= set(REGISTRY.by_id)} <= shown


@each_chain
def test_what_a_chain_misses_is_listed(number: int) -> None:
    links = CHAINS[number]["links"]
    named = {*links, *(symptom for symptoms in links.values() for symptom in symptoms)}

    assert CHAINS[number]["missing"] == sorted(named - set(REGISTRY.by_id))


def test_each_relation_occurs_in_a_story_or_is_listed_as_untold() -> None:
    declared = {(cause.id, symptom) for symptom, causes in REGISTRY.causes.items() for cause, _ in causes}
    untold = {(cause, symptom) for cause, symptoms in UNTOLD.items() for symptom in symptoms}

    assert declared - set().union(*map(_links, STORIES)) == untold & declared
