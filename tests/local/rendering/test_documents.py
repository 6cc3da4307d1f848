import json

import yaml

from reactorsync.designs import Design
from reactorsync.resources import ObjectMeta, Reactor, ReactorSpec
from reactorsync.resources.reactor import Site
from reactorsync_local.rendering.documents import to_json, to_yaml


def station(name: str) -> Reactor:
    return Reactor(
        metadata=ObjectMeta(name=name),
        spec=ReactorSpec(design=Design.CANDU6, site=Site(name="Cernavodă", country="RO")),
    )


def test_one_object_is_a_document_that_reads_back_as_itself() -> None:
    text = to_yaml([station("cernavoda-1")])
    assert Reactor.model_validate(yaml.safe_load(text)) == station("cernavoda-1")
    assert list(yaml.safe_load(text)) == ["apiVersion", "kind", "metadata", "spec"]


def test_names_of_places_keep_their_letters() -> None:
    assert "Cernavodă" in to_yaml([station("cernavoda-1")])


def test_several_objects_are_a_list_as_kubectl_prints_it() -> None:
    document = json.loads(to_json([station("a"), station("b")], as_list=True))
    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    assert [item["metadata"]["name"] for item in document["items"]] == ["a", "b"]


def test_several_objects_are_documents_of_one_yaml_stream() -> None:
    documents = list(yaml.safe_load_all(to_yaml([station("a"), station("b")])))
    assert [document["metadata"]["name"] for document in documents] == ["a", "b"]


def test_no_objects_are_an_empty_list() -> None:
    assert to_yaml([]) == ""
    assert json.loads(to_json([], as_list=True))["items"] == []
