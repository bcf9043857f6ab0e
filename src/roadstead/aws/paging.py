"""Lists in pages, with tokens that tell nothing and are good for nothing but going on.

Which operations page, and by which members, is botocore's paginators-1.json. An operation may page in either way:

- it answers its whole list, and pages are cut from it here. A token holds how far the last page went and what its
  last items were, so that a list that changes meanwhile goes on behind the last item that is still there;
- or it does so itself (it has its list from the store by `after` and `limit`): it answers with an output token of its
  own, which may be any text; callers get it sealed, and it comes back as it was.

Tokens are signed (HMAC-SHA-256) with a secret of the store, over the account, the region, the operation and what was
asked besides: a token of another list is refused.
"""

from __future__ import annotations

import base64
import binascii
import collections
import hmac
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from roadstead.aws import digests
from roadstead.core import errors
from roadstead.wire import exchange, services, shapes

DEFAULT = 100
"""Items of a page when none are asked for: that of EKS, IAM and most."""
_REMEMBERED = 8
"""Last items that a token remembers."""
_MAC = 16


class _Paginator(msgspec.Struct, frozen=True):
    input_token: str | list[str]
    output_token: str | list[str]
    result_key: str | list[str]
    limit_key: str | None = None
    more_results: str | None = None


class _Paginators(msgspec.Struct, frozen=True):
    pagination: dict[str, _Paginator]


@dataclass(frozen=True)
class Rule:
    """By which members an operation pages. `result` is None where there are several lists: these are not cut here."""

    token: str
    next: str
    limit: str | None
    result: str | None
    more: str | None


@dataclass(frozen=True)
class List:
    """Which list a token is of: account, region, service, operation, and all that was asked but token and limit."""

    where: tuple[str, str, str, str]
    asked: Mapping[str, Any]

    def digest(self) -> bytes:
        """What a token is good for: the same list asked for in the same way."""
        return digests.digest(self.asked, *self.where)


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a list goes on: after so many items, the last of which had these marks; or where its operation says."""

    after: int = 0
    marks: tuple[bytes, ...] = ()
    own: str | None = None


@dataclass(frozen=True)
class Window:
    """What of a list is asked for."""

    rule: Rule
    list: List
    position: Position | None
    limit: int | None
    """None: everything (ec2, where no limit is asked for)."""


class Foreign(errors.Invalid):
    """A token that is not ours, or of another list."""


def rules(service: str) -> dict[str, Rule]:
    """The rules of a service by operation; empty for one without paginators."""
    for root in (services.OURS, _models()):
        found = sorted((root / service).glob("*/paginators-1.json"))
        if found:
            read = msgspec.json.decode(found[-1].read_bytes(), type=_Paginators)
            return {name: rule for name, one in read.pagination.items() if (rule := _rule(one)) is not None}
    return {}


def _models() -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        raise errors.NotFound("botocore, whose models describe the AWS services, is not installed")
    return Path(spec.origin).parent / "data"


def _rule(one: _Paginator) -> Rule | None:
    if not isinstance(one.input_token, str) or not isinstance(one.output_token, str):
        return None
    # `||` chooses between members; none of our services has it without a list in the first.
    result = one.result_key if isinstance(one.result_key, str) and one.result_key.isidentifier() else None
    return Rule(one.input_token, one.output_token, one.limit_key, result, one.more_results)


def opened(
    rule: Rule,
    operation: shapes.Operation,
    where: tuple[str, str, str, str],
    asked: Mapping[str, Any],
    secret: bytes,
    protocol: exchange.Protocol,
) -> tuple[Window, dict[str, Any]]:
    """What part of the list is asked for, and the input as the operation sees it. Raises Foreign."""
    besides = {key: value for key, value in asked.items() if key not in (rule.token, rule.limit)}
    one = List(where, besides)
    token = asked.get(rule.token)
    position = _open(token, one, secret) if token else None
    limit = asked.get(rule.limit) if rule.limit else None
    most = _most(operation, rule)
    if limit is None and protocol != "ec2":
        limit = min(DEFAULT, most or DEFAULT)
    given = dict(asked)
    given.pop(rule.token, None)
    if position is not None and position.own is not None:
        given[rule.token] = position.own
    return Window(rule, one, position, limit), given


def _most(operation: shapes.Operation, rule: Rule) -> int | None:
    ref = operation.input.members.get(rule.limit) if operation.input and rule.limit else None
    return int(ref.shape.maximum) if ref is not None and ref.shape.maximum is not None else None


def cut(window: Window, answer: Mapping[str, Any], secret: bytes) -> dict[str, Any]:
    """The page of an answer, with the token for the next one."""
    rule, page = window.rule, dict(answer)
    following: Position | None = None
    if own := page.pop(rule.next, None):
        following = Position(own=own)
    elif rule.result is not None and (window.position is None or window.position.own is None):
        items = list(page.get(rule.result) or ())
        start = _start(items, window.position)
        end = len(items) if window.limit is None else start + window.limit
        page[rule.result] = items[start:end]
        if end < len(items):
            following = Position(end, tuple(_mark(item) for item in items[max(start, end - _REMEMBERED) : end]))
    if following is not None:
        page[rule.next] = _seal(following, window.list, secret)
    if rule.more is not None:
        page[rule.more] = following is not None
    return page


def _start(items: list[Any], position: Position | None) -> int:
    """The place behind the last remembered item that is still there: rather an item twice than one not at all."""
    if position is None:
        return 0
    marks = [_mark(item) for item in items]
    often = collections.Counter(marks)
    # What looks like another one tells nothing.
    places = {mark: index for index, mark in enumerate(marks) if often[mark] == 1}
    last = next((places[mark] for mark in reversed(position.marks) if mark in places), None)
    return last + 1 if last is not None else min(position.after, len(items))


def _mark(item: Any) -> bytes:
    """What an item is, whatever state it is in: a name as it is, of a structure its ids, names and ARNs."""
    if isinstance(item, Mapping):
        item = sorted((key, text) for key, text in item.items() if isinstance(text, str) and _names(key)) or item
    return digests.digest({"item": item})[:6]


def _names(key: str) -> bool:
    return key.lower().endswith(("id", "name", "arn", "key", "version", "type"))


def _seal(position: Position, one: List, secret: bytes) -> str:
    body = msgspec.msgpack.encode(position)
    mac = hmac.digest(secret, one.digest() + body, "sha256")[:_MAC]
    return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")


def _open(token: str, one: List, secret: bytes) -> Position:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Foreign("The token for the next page is not valid.") from error
    mac, body = raw[:_MAC], raw[_MAC:]
    if not hmac.compare_digest(mac, hmac.digest(secret, one.digest() + body, "sha256")[:_MAC]):
        raise Foreign("The token for the next page is not valid, or belongs to another list.")
    return msgspec.msgpack.decode(body, type=Position)
