"""The texts of kubeconfig files with a cluster's entries in them, or without. Pure.

All else stays as it stands, comments and order as well. Entries are changed where they are; a new one goes into the
default file: as kubectl does it (client-go's tools/clientcmd/config.go).
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any

from roadstead.cli.kubeconfig import entry as entries
from roadstead.core import errors

Texts = Mapping[str, str]
"""By path, in the order in which kubectl reads them. A file that is not there is empty."""
_CURRENT = "current-context"


def put(texts: Texts, default: str, entry: entries.KubeconfigEntry, *, current: bool) -> dict[str, str]:
    """The texts with the entry; `current`: also as the current context. Raises Invalid for a damaged file."""
    loaded = {path: _loaded(text, path) for path, text in texts.items()}
    bodies = entry.bodies()
    for kind, name in entry.named().items():
        place = next((path for path in loaded if _find(loaded[path], kind, name) is not None), default)
        _put(loaded[place], kind, name, bodies[kind])
    if current and _current(loaded) != entry.context_name:
        loaded[default][_CURRENT] = entry.context_name
    return _changed(texts, loaded)


def take(texts: Texts, cluster: str, region: str, servers: Collection[str]) -> dict[str, str]:
    """The texts without a cluster's entries. Raises Invalid for a damaged file.

    Another's cluster may have the same name, one at AWS: an entry is ours when it leads to one of `servers`, or when a
    user of one of its contexts gets tokens from Roadstead.
    """
    loaded = {path: _loaded(text, path) for path, text in texts.items()}
    name = entries.cluster_name(cluster, region)
    contexts = {
        str(item.get("name"))
        for tree in loaded.values()
        for item in _items(tree, "contexts")
        if _body(item, "contexts").get("cluster") == name and str(item.get("name", "")).endswith(f"@{name}")
    }
    if not _is_ours(loaded, name, cluster, contexts, servers):
        return dict(texts)
    for tree in loaded.values():
        _remove(tree, "clusters", {name})
        _remove(tree, "contexts", contexts)
        _remove(tree, "users", contexts)
        if tree.get(_CURRENT) in contexts:
            tree[_CURRENT] = ""
    return _changed(texts, loaded)


def _is_ours(
    loaded: Mapping[str, Any], name: str, cluster: str, contexts: Collection[str], servers: Collection[str]
) -> bool:
    leads = {
        _body(item, "clusters").get("server")
        for tree in loaded.values()
        for item in _items(tree, "clusters")
        if item.get("name") == name
    }
    programs = [
        _body(item, "users").get("exec")
        for tree in loaded.values()
        for item in _items(tree, "users")
        if item.get("name") in contexts
    ]
    return bool(leads & set(servers)) or any(entries.ours(program, cluster) for program in programs)


def _yaml() -> Any:
    from ruamel import yaml

    made = yaml.YAML(typ="rt", pure=True)
    made.preserve_quotes = True
    made.width = 1 << 20
    return made


def _loaded(text: str, path: str) -> Any:
    from ruamel.yaml import error

    try:
        tree = _yaml().load(text)
    except (error.YAMLError, ValueError, RecursionError) as problem:
        said = " ".join(str(problem).split())
        raise errors.Invalid(
            f"the kubeconfig {path} is damaged, so it is left as it is: {said}", file=path
        ) from problem
    if tree is None:
        return _yaml().load("apiVersion: v1\nkind: Config\npreferences: {}\n")
    if not isinstance(tree, MutableMapping) or any(
        not isinstance(tree.get(kind) or [], list)
        or any(not isinstance(item, Mapping) for item in tree.get(kind) or [])
        for kind in entries.KINDS
    ):
        raise errors.Invalid(f"the kubeconfig {path} is no kubeconfig, so it is left as it is", file=path)
    return tree


def _items(tree: Any, kind: entries.Kind) -> list[Any]:
    return tree.get(kind) or []


def _body(item: Any, kind: entries.Kind) -> Mapping[str, Any]:
    body = item.get(entries.SINGULAR[kind])
    return body if isinstance(body, Mapping) else {}


def _find(tree: Any, kind: entries.Kind, name: str) -> Any:
    return next((item for item in _items(tree, kind) if item.get("name") == name), None)


def _put(tree: Any, kind: entries.Kind, name: str, body: dict[str, Any]) -> None:
    item = _find(tree, kind, name)
    if item is not None:
        item[entries.SINGULAR[kind]] = body
        return
    if not tree.get(kind):
        # Also for `[]`, which would go on as a list in brackets.
        tree[kind] = []
    tree[kind].append({entries.SINGULAR[kind]: body, "name": name})


def _remove(tree: Any, kind: entries.Kind, names: Collection[str]) -> None:
    items = _items(tree, kind)
    for index in reversed([index for index, item in enumerate(items) if item.get("name") in names]):
        del items[index]


def _current(loaded: Mapping[str, Any]) -> str:
    """The first file that names one says which it is."""
    return next((str(tree[_CURRENT]) for tree in loaded.values() if tree.get(_CURRENT)), "")


def _changed(texts: Texts, loaded: Mapping[str, Any]) -> dict[str, str]:
    """Files that say what they said before keep their very text."""
    after: dict[str, str] = {}
    for path, tree in loaded.items():
        stream = io.StringIO()
        _yaml().dump(tree, stream)
        before = _loaded(texts[path], path)
        after[path] = texts[path] if before == tree else stream.getvalue()
    return after
