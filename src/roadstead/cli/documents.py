"""ClusterConfig as text: YAML or JSON in, strictly and with positions in every complaint; YAML and JSON out.

Reading walks the document beside the types of `config`, so that the first thing wrong is told with its line, its
column and its path, and an unknown key with the key that was probably meant. YAML is 1.2: `yes` and `on` are text.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
from msgspec import inspect

from roadstead.cli import config
from roadstead.core import errors, foreign

_YAML_1_1_TRUTHS = frozenset(("y", "n", "yes", "no", "on", "off"))
"""Text to us; true and false to readers of YAML 1.1."""


@dataclass(frozen=True)
class DocumentPlace:
    """Where a value stands: its path in the document, and its line and column, counted from 1."""

    source: str
    path: tuple[str, ...] = ()
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        position = f":{self.line}:{self.column}" if self.line is not None else ""
        return f"{self.source}{position}: {self.dotted}" if self.path else f"{self.source}{position}"

    @property
    def dotted(self) -> str:
        """`managedNodeGroups[0].minSize`; empty for the document as a whole."""
        return "".join(part if part.startswith("[") else f".{part}" for part in self.path).removeprefix(".")

    def under(self, container: Any, key: str | int, *, at_key: bool = False) -> DocumentPlace:
        """The place of a member: of its value, or of its key."""
        part = f"[{key}]" if isinstance(key, int) else key
        line, column = _position(container, key, at_key=at_key)
        return DocumentPlace(self.source, (*self.path, part), line, column)


def _position(container: Any, key: str | int, *, at_key: bool) -> tuple[int | None, int | None]:
    """What the loader remembers; nothing for plain data and for what a merge brought in."""
    marks = getattr(container, "lc", None)
    if marks is None or not isinstance(marks.data, dict) or key not in marks.data:
        return None, None
    found = marks.data[key]
    line, column = (found[0], found[1]) if at_key or len(found) < 4 else (found[2], found[3])
    return line + 1, column + 1


def read(text: str, source: str) -> config.ClusterConfig:
    """The ClusterConfig that a YAML or JSON document holds. Raises Invalid with the position of what is wrong."""
    data = parse(text, source)
    if data is None:
        raise errors.Invalid(f"{source} is empty: a ClusterConfig has at least apiVersion, kind and metadata")
    place = DocumentPlace(source)
    if isinstance(data, Mapping):
        for key, wanted in (("apiVersion", config.API_VERSION), ("kind", config.KIND)):
            if key not in data:
                raise errors.Invalid(f"{source}: {key} must be set: {key}: {wanted}")
    return take(data, place)


def take(data: Any, place: DocumentPlace) -> config.ClusterConfig:
    """The ClusterConfig in plain data or in what the YAML loader made. Raises Invalid."""
    plain = _taken(data, inspect.type_info(config.ClusterConfig), place)
    return msgspec.convert(plain, config.ClusterConfig, strict=True)


def parse(text: str, source: str) -> Any:
    """The data of a YAML or JSON document, with positions. Raises Invalid for what is neither."""
    from ruamel import yaml
    from ruamel.yaml import error

    try:
        return yaml.YAML(typ="rt", pure=True).load(text)
    except error.MarkedYAMLError as problem:
        mark = problem.problem_mark
        position = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        said = " ".join((problem.problem or "not YAML").split())
        raise errors.Invalid(f"{source}{position}: {said}", file=source) from problem
    except (error.YAMLError, ValueError, RecursionError) as problem:
        raise errors.Invalid(f"{source}: not YAML: {' '.join(str(problem).split())}", file=source) from problem


def _taken(value: Any, kind: inspect.Type, place: DocumentPlace) -> Any:
    """The value as plain data, when it is of the kind; raises Invalid otherwise."""
    match kind:
        case inspect.UnionType(types=types):
            if value is None:
                return None
            return _taken(value, next(one for one in types if not isinstance(one, inspect.NoneType)), place)
        case inspect.StructType():
            return _structure(value, kind, place)
        case inspect.VarTupleType(item_type=item):
            if isinstance(value, str) or not isinstance(value, Sequence):
                _refuse(value, "a list", place)
            return [_taken(each, item, place.under(value, index)) for index, each in enumerate(value)]
        case inspect.DictType(value_type=item):
            if not isinstance(value, Mapping):
                _refuse(value, "a mapping", place)
            return {_key(key, place): _taken(each, item, place.under(value, key)) for key, each in value.items()}
        case inspect.LiteralType(values=allowed):
            if not isinstance(value, str) or value not in allowed:
                _refuse(value, f"one of {', '.join(str(one) or repr('') for one in allowed)}", place)
            return str(value)
        case _:
            return _scalar(value, kind, place)


def _structure(value: Any, kind: inspect.StructType, place: DocumentPlace) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(value, "a mapping", place)
    fields = {field.encode_name: field.type for field in kind.fields}
    refused = config.REFUSED.get(kind.cls.__name__, {})
    taken: dict[str, Any] = {}
    for key, each in value.items():
        if key in fields:
            if each is not None or _prints_null(kind, key):
                taken[key] = _taken(each, fields[key], place.under(value, key))
        elif key in refused:
            raise errors.Invalid(f"{place.under(value, key, at_key=True)} is not supported: {refused[key]}")
        else:
            here = place.under(value, key, at_key=True)
            raise errors.Invalid(f"{here}: unknown key {str(key)!r}{_guess(str(key), [*fields, *refused])}")
    return taken


def _prints_null(kind: inspect.StructType, key: str) -> bool:
    """Whether null says something else than leaving the key out."""
    return any(field.encode_name == key and field.default is not None and not field.required for field in kind.fields)


def _scalar(value: Any, kind: inspect.Type, place: DocumentPlace) -> str | int | bool:
    truth = _truth(value)
    match kind:
        case inspect.BoolType():
            if truth is None:
                _refuse(value, "true or false", place)
            return truth
        case inspect.IntType():
            if truth is not None or not isinstance(value, int):
                _refuse(value, "a whole number", place)
            return int(value)
        case inspect.StrType():
            if not isinstance(value, str):
                hint = "" if isinstance(value, Mapping | list) else "; put it in quotes"
                _refuse(value, "text", place, hint)
            return str(value)
        case _:
            raise TypeError(f"a ClusterConfig has no {kind}")


def _truth(value: Any) -> bool | None:
    """A boolean as such; the loader has a type of its own for one with an anchor."""
    if isinstance(value, bool):
        return value
    return bool(value) if type(value).__name__ == "ScalarBoolean" else None


def _key(key: Any, place: DocumentPlace) -> str:
    if not isinstance(key, str):
        raise errors.Invalid(f"{place}: the key {key!r} is not text; put it in quotes")
    return str(key)


def _refuse(value: Any, wanted: str, place: DocumentPlace, hint: str = "") -> NoReturn:
    raise errors.Invalid(f"{place}: expected {wanted}, found {_described(value)}{hint}")


def _described(value: Any) -> str:
    if (truth := _truth(value)) is not None:
        return str(truth).lower()
    match value:
        case None:
            return "nothing"
        case str():
            return f"the text {str(value)!r}"
        case int() | float():
            return f"the number {value}"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case _:
            return f"{value} (a {type(value).__name__})"


def _guess(word: str, known: list[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""


def tree(filled: config.ClusterConfig) -> dict[str, Any]:
    """The plain data of a ClusterConfig, with keys in order of the alphabet, as eksctl prints them."""
    plain: dict[str, Any] = msgspec.to_builtins(filled, order="sorted")
    return {"apiVersion": filled.api_version, **plain, "kind": filled.kind}


def yaml_text(data: Any) -> str:
    """Plain data as YAML: keys sorted, lists not indented, empty structures in braces; as eksctl prints it."""
    from ruamel import yaml
    from ruamel.yaml import representer

    class Represented(representer.SafeRepresenter):
        """Text that would read as something else is quoted as Go's writer does it."""

        def represent_str(self, data: str) -> Any:
            resolved = yaml.resolver.VersionedResolver().resolve(yaml.ScalarNode, data, (True, False))
            plain = data and str(resolved).endswith(":str") and data.lower() not in _YAML_1_1_TRUTHS
            # What is escaped when it is printed is so between double quotes, where an escape says the same.
            plain = plain and foreign.line(data) == data
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')

    Represented.add_representer(str, Represented.represent_str)
    writer = yaml.YAML(typ="safe", pure=True)
    writer.Representer = Represented
    writer.default_flow_style = False
    writer.width = 1 << 16
    stream = io.StringIO()
    writer.dump(_sorted(data), stream)
    return stream.getvalue().removesuffix("...\n")


def _sorted(data: Any) -> Any:
    match data:
        case Mapping():
            return {key: _sorted(data[key]) for key in sorted(data)}
        case list() | tuple():
            return [_sorted(each) for each in data]
        case _:
            return data
