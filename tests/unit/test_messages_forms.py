"""The forms of scalars in messages: what has one character more than the form is refused."""

from __future__ import annotations

from typing import Annotated, get_args, get_origin

import msgspec
import pytest

from roadstead.contract.messages import forms

GOOD: dict[str, str] = {
    "Id": "c-1a2b3c4d.etcd-a",
    "Address": "192.0.2.1",
    "Cidr": "192.0.2.0/24",
    "Digest": "sha256:" + "0" * 64,
    "FileName": "ca.pem",
    "FlagName": "data-dir",
    "FlagValue": "/var/lib/etcd",
    "Hostname": "ip-192-0-2-1",
}


def test_all_forms_of_text_are_looked_at() -> None:
    kinds = {name: kind for name, kind in vars(forms).items() if get_origin(kind) is Annotated}
    assert {name for name, kind in kinds.items() if get_args(kind)[0] is str} == GOOD.keys()


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\x00", "\nx"])
def test_nothing_follows_what_has_the_form(name: str, end: str) -> None:
    kind, good = getattr(forms, name), GOOD[name]
    assert msgspec.convert(good, kind) == good
    for bad in (good + end, end + good):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, kind)
