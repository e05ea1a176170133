"""Nodes as documents of a store, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from llama_index.core.bridge.pydantic import AnyUrl, BaseModel, ValidationError
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)

from elanus import Document as StoredDocument
from elanus import ParamError, RankedDocument
from elanus.arguments import as_json, checked_vectors, is_mapping, mapping, names
from elanus.errors import DataNotMatchException, cut, quoted, said_by, shown

NODE: Final = "_node"
"""Metadata key under which a node keeps what is neither its text nor its metadata."""

REF_DOC_ID: Final = "_ref_doc_id"
"""Metadata key of the source document's id, or of the node's own id if it has no source."""

_CLASS = "class_name"
# Of a class that is none of LlamaIndex's own: a name that no field can have.
_PATH = "__class__"
_DEEPEST = 100  # as in the store
# A model must see the same text of a node whatever a query says of it.
_HIDING = ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys")
_RESOURCES = ("text_resource", "image_resource", "audio_resource", "video_resource")
_TYPES: Final[dict[str, type[BaseNode]]] = {
    each.class_name(): each
    for each in (Document, ImageDocument, ImageNode, IndexNode, Node, TextNode)
}


@dataclass(frozen=True, slots=True)
class NewDocuments:
    """Nodes as parallel lists, as ``DocumentStore.add`` takes them."""

    ids: list[str]
    texts: list[str]
    metadatas: list[dict[str, Any]]
    vectors: list[list[float]]


def to_documents(nodes: list[BaseNode], source: str | None = None) -> NewDocuments:
    """Nodes as documents.

    Args:
        nodes: in their order.
        source: of which they are all nodes, if the store is to add that to their metadata.

    Raises:
        ParamError: naming the node, if it has no embedding, or a metadata key that is reserved.
        DataNotMatchException: naming the node, if what it holds has no form in JSON, or is not
            what the class says.
    """
    for node in nodes:
        _check_parts(node)
    return NewDocuments(
        [node.node_id for node in nodes],
        [_text_of(node) for node in nodes],
        [
            _metadata_of(node, {} if source is None else {"source": source, "position": i})
            for i, node in enumerate(nodes)
        ],
        [_embedding_of(node) for node in nodes],
    )


def dim_of(new: NewDocuments) -> int:
    """Components of the first node's embedding.

    Raises:
        DataNotMatchException: naming the node, if that is no list of finite numbers.
    """
    source = f"the embedding of node {quoted(new.ids[0])}"
    return int(checked_vectors(source, new.vectors[:1], 1).shape[1])


def to_node(
    document: StoredDocument | RankedDocument,
    *,
    embedded: bool = False,
    only: Collection[str] | None = None,
    said: Mapping[str, Any] = MappingProxyType({}),
) -> BaseNode:
    """The node that a document was made of; a ``TextNode`` if something else wrote it.

    Args:
        document: from the store.
        embedded: whether the node carries the document's vector.
        only: the metadata keys that it has; None for all.
        said: further metadata, which no model sees.

    Raises:
        ParamError: naming the node and its class, if this process does not know the class, or the
            class does not take what was kept.
    """
    metadata = dict(document.metadata)
    content: dict[str, Any] = {_CLASS: TextNode.class_name()}
    if _is_ours(metadata):
        content = dict(metadata.pop(NODE))
        del metadata[REF_DOC_ID]
    kind = _class_of(document.id, content.get(_PATH), content[_CLASS])
    kept = {key: each for key, each in metadata.items() if only is None or key in only}
    content["metadata"] = {**kept, **said}
    if embedded and document.vector is not None:
        content["embedding"] = document.vector.tolist()
    try:
        hidden = {field: [*_value(kind, content, field), *said] for field in _HIDING if said}
        return _made(kind, content | hidden, document.id, document.text)
    except Exception as error:  # a class of the user's may raise anything
        asked = "" if only is None and not said else ", with the metadata that the query asks for"
        raise ParamError(
            f"node {quoted(document.id)}: the class {cut(_path_of(kind))} does not take what was "
            f"kept of it{asked}: {said_by(error)}"
        ) from error


def _is_ours(metadata: Mapping[str, Any]) -> bool:
    """Whether a document was made of a node: the keys alone may be anybody's."""
    kept = metadata.get(NODE)
    return (
        isinstance(kept, dict)
        and isinstance(kept.get(_CLASS), str)
        and isinstance(kept.get(_PATH), (str, type(None)))
        and isinstance(metadata.get(REF_DOC_ID), str)
    )


def _made(kind: type[BaseNode], content: Mapping[str, Any], node_id: str, text: str) -> BaseNode:
    """A node of what was kept of it."""
    own = {name: part for name, part in content.items() if name not in (_PATH, _CLASS)}
    if issubclass(kind, Node):
        _put_text(own, text)
    else:
        own["text"] = text
    return kind.from_dict({**own, "id_": node_id})


def _value(kind: type[BaseNode], content: Mapping[str, Any], field: str) -> Any:
    """What was kept of a field; if nothing, its default."""
    if field in content:
        return content[field]
    return kind.model_fields[field].get_default(call_default_factory=True)


def _put_text(content: dict[str, Any], text: str) -> None:
    """Give the text back to the resource that had it; a resource need not have one."""
    resource = content.get("text_resource")
    if text or (resource is not None and "text" not in resource):
        content["text_resource"] = {**(resource or {}), "text": text}


def _class_of(node_id: str, path: str | None, name: str) -> type[BaseNode]:
    """The class of a node, among those that are defined: none is imported because a file says so.

    Args:
        node_id: for the error.
        path: of a class that is not LlamaIndex's own.
        name: what the class calls itself.
    """
    if path is None and name in _TYPES:
        return _TYPES[name]
    known = _subclasses(BaseNode)
    # A class that was moved may have kept its name, and one that was defined again has both.
    by_path = [each for each in known if _path_of(each) == path]
    by_name = [each for each in known if each.class_name() == name and name not in _TYPES]
    if not by_path and not by_name:
        raise ParamError(
            f"node {quoted(node_id)} is of the class {cut(path or name)}, which this process "
            "does not know: import the module that defines it before nodes are read"
        )
    return (by_path or by_name)[-1]


def _subclasses(kind: type[Any]) -> list[type[Any]]:
    direct = kind.__subclasses__()
    return [*direct, *(deeper for each in direct for deeper in _subclasses(each))]


def _path_of(kind: type[BaseNode]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _check_parts(node: BaseNode) -> None:
    """Look at what assignment and ``model_copy`` leave unchecked, and is read below.

    Raises:
        DataNotMatchException: naming the node and the field.
    """

    def check(field: str, rule: str, value: Any, *, is_right: bool) -> None:
        if not is_right:
            raise DataNotMatchException(
                f"node {quoted(node.node_id)}, field {field}: must be {rule}, got {shown(value)}"
            )

    links, text = node.relationships, getattr(node, "text_resource", None)
    check("metadata", "a dict", node.metadata, is_right=is_mapping(node.metadata))
    is_resource = text is None or isinstance(text, MediaResource)
    check("text_resource", "a MediaResource", text, is_right=is_resource)
    check("relationships", "a dict", links, is_right=is_mapping(links))
    for kind, of in links.items():
        is_kind = isinstance(kind, NodeRelationship)
        check("relationships", "links by NodeRelationship", kind, is_right=is_kind)
        several = of if isinstance(of, list) and kind is not NodeRelationship.SOURCE else [of]
        are_links = all(isinstance(each, RelatedNodeInfo) for each in several)
        check(f"relationships.{kind.name}", "RelatedNodeInfo", of, is_right=are_links)


def _text_of(node: BaseNode) -> str:
    if isinstance(node, Node):
        return (node.text_resource.text or "") if node.text_resource else ""
    return node.get_content()


def _embedding_of(node: BaseNode) -> list[float]:
    if node.embedding is None:
        raise ParamError(
            f"node {quoted(node.node_id)} has no embedding: embed it before it is added"
        )
    return node.embedding


def _metadata_of(node: BaseNode, added: Mapping[str, Any]) -> dict[str, Any]:
    # Not LlamaIndex's own node_to_metadata_dict: it keeps the metadata twice, spends five keys of
    # the user's, drops the bytes of images, and gives a Document back as a TextNode.
    what = f"node {quoted(node.node_id)}"
    for key in (NODE, REF_DOC_ID):
        if key in node.metadata:
            raise ParamError(f"{what}: metadata key {key!r} is reserved; rename it")
    content = _dumped(node, node.node_id)
    for field in ("id_", "text"):
        content.pop(field, None)
    if node.relationships:
        content["relationships"] = _relationships_of(node)
    content |= _resources_of(node, content)
    if type(node) not in _TYPES.values():
        content[_PATH] = _path_of(type(node))
    metadata = plain(node.metadata, what)
    _check_kept(node, content, {**metadata, **added})
    return {
        **metadata,
        REF_DOC_ID: node.ref_doc_id or node.node_id,
        NODE: content,
    }


def _dumped(part: BaseNode | RelatedNodeInfo, node_id: str) -> dict[str, Any]:
    """What a node or a link holds, without its metadata."""
    try:
        # In JSON mode, because a node may hold paths and enums.
        return part.model_dump(
            mode="json", exclude_defaults=True, exclude={"metadata", "relationships", "embedding"}
        )
    except (RecursionError, TypeError, ValueError) as error:
        raise DataNotMatchException(
            f"node {quoted(node_id)}: what it holds beside its metadata has no form in JSON: "
            f"{said_by(error)}"
        ) from error


def _check_kept(node: BaseNode, content: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Refuse a node that would not come back as it is: JSON mode turns NaN into null, say.

    It is made again with its metadata and links, as its class may ask for them. These are not
    compared: they have a form of their own, and the store checks them.

    Raises:
        DataNotMatchException: naming the node and the field.
    """
    try:
        back = _made(type(node), _as_kept(content, metadata), node.node_id, _text_of(node))
    except Exception as error:  # a class of the user's may raise anything
        said = f"{cut(type(error).__name__)}: {said_by(error)}"
        raise _refusal(node, _changed(node, error), said) from error
    skipped = {"metadata", "relationships", "embedding"}
    if isinstance(node, IndexNode) and not isinstance(node.obj, BaseNode):
        skipped.add("obj")  # LlamaIndex keeps it as text
    path = _difference(node, back, skipped)
    if path is not None:
        raise _refusal(node, path, f"it makes {shown(back)} of it")


def _as_kept(content: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Content and metadata as they will be read."""
    given = {**content, "metadata": metadata}
    try:
        return dict(as_json("node", given, wide=True))
    except ParamError:  # the store says what it refuses, and mends surrogates
        return given


def _changed(node: BaseNode, error: Exception) -> tuple[str, ...]:
    """The path to what a class refuses as JSON made another of it; nothing if it is as it was."""
    if not isinstance(error, ValidationError):
        return ()
    first = error.errors()[0]
    path = tuple(map(str, first["loc"]))
    # What the store makes of metadata is no fault of the node's: the class says what it lacks.
    is_kept = path[:1] == ("metadata",) or _is_same(_inside(node, path), first["input"])
    return () if is_kept else path


def _refusal(node: BaseNode, path: tuple[str, ...], said: str) -> DataNotMatchException:
    what = f"node {quoted(node.node_id)}"
    if not path:
        return DataNotMatchException(
            f"{what}: the class {cut(_path_of(type(node)))} does not take back what is kept of it: "
            f"{said}"
        )
    return DataNotMatchException(
        f"{what}, field {cut('.'.join(path))}: it would not come back as it is, since JSON has no "
        "NaN, infinity, dates, bytes, sets, objects, or keys that are no strings, or since the "
        f"class makes something else of it; got {shown(_inside(node, path))}"
    )


def _difference(given: Any, back: Any, skipped: Collection[str] = ()) -> tuple[str, ...] | None:
    """The path to the first part that came back as something else; None if there is none.

    Tuples may come back as lists, as in metadata. What a class itself leaves out of its dumps is
    not compared.
    """
    if isinstance(given, BaseModel):
        if type(back) is not type(given):
            return ()
        fields = type(given).model_fields
        # Of a resource LlamaIndex leaves the bytes out; they are kept by `_resources_of`.
        is_resource = isinstance(given, MediaResource)
        names = [each for each, info in fields.items() if is_resource or not info.exclude]
        parts = {name: getattr(given, name) for name in names} | (given.model_extra or {})
        others = {name: getattr(back, name) for name in names} | (back.model_extra or {})
    elif isinstance(given, dict) and isinstance(back, dict):
        parts, others = given, back
    elif isinstance(given, (list, tuple)) and isinstance(back, (list, tuple)):
        parts, others = ({str(i): v for i, v in enumerate(each)} for each in (given, back))
    else:
        return None if _is_same(given, back) else ()
    if parts.keys() != others.keys():
        return ()
    for name, part in parts.items():
        if name not in skipped:
            found = _difference(part, others[name])
            if found is not None:
                return (str(name), *found)
    return None


def _is_same(given: Any, back: Any) -> bool:
    try:
        return bool(given == back)
    except Exception:  # noqa: BLE001  # arrays have no one truth; what cannot be compared is not the same
        return False


def _inside(node: BaseNode, path: Sequence[str]) -> Any:
    """What is at the end of a path, as far as it goes."""
    found: Any = node
    for step in path:
        if isinstance(found, BaseModel) and hasattr(found, step):
            found = getattr(found, step)
        elif isinstance(found, dict):
            found = {str(key): each for key, each in found.items()}.get(step, found)
        elif isinstance(found, (list, tuple)) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
    return found


def changed_metadata(values: Any, remove: Any) -> tuple[dict[Any, Any], list[str]]:
    """What to set and what to take out, as ``DocumentStore.update_metadata`` takes it.

    Raises:
        ParamError: naming what is no dict or no list of names, or a key that is reserved.
        DataNotMatchException: if values are nested too deep.
    """
    new, gone = mapping("values", values), names("remove", remove)
    for key in (NODE, REF_DOC_ID):
        if key in new or key in gone:
            raise ParamError(f"update_metadata: key {key!r} is reserved; leave it as it is")
    return plain(new, "values"), gone


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """Metadata with the JSON form of what only LlamaIndex puts there; the store knows the rest.

    LlamaIndex's JSON form of all has forms of its own for dates, and makes text of bytes.

    Args:
        value: the metadata, or a part of them.
        what: whose they are, for the error.
        depth: of the part.

    Raises:
        DataNotMatchException: if they are nested too deep.
    """
    if depth > _DEEPEST:
        raise DataNotMatchException(
            f"{what}: metadata is nested more than {_DEEPEST} deep, or holds itself"
        )
    if isinstance(value, AnyUrl):
        return str(value)
    if isinstance(value, BaseModel):
        return plain(value.model_dump(), what, depth + 1)
    if isinstance(value, dict):
        return {key: plain(each, what, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, what, depth + 1) for each in value]
    return value


def _relationships_of(node: BaseNode) -> dict[str, Any]:
    what = f"node {quoted(node.node_id)}"

    def link(info: RelatedNodeInfo) -> dict[str, Any]:
        found = _dumped(info, node.node_id)
        return {**found, "metadata": plain(info.metadata, what)} if info.metadata else found

    return {
        str(kind.value): [link(each) for each in of] if isinstance(of, list) else link(of)
        for kind, of in node.relationships.items()
    }


def _resources_of(node: BaseNode, content: Mapping[str, Any]) -> dict[str, Any]:
    """The media of a node without its text, with the bytes that ``model_dump`` leaves out."""
    found: dict[str, Any] = {}
    for field in _RESOURCES:
        resource = getattr(node, field, None)
        if resource is not None:
            kept = dict(content.get(field, {}))
            if field == "text_resource":
                kept.pop("text", None)
                kept |= {"text": None} if resource.text is None else {}
            if resource.data is not None:
                kept["data"] = resource.data.decode("ascii")
            found[field] = kept
    return found
