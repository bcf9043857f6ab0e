"""The forms of the scalars in messages. A value that has another form is refused with the field's name.

Patterns are searched for, so each says its beginning and its end; the end is `\\Z`, since `$` takes a line break too.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

_ID = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,3}\Z"
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

Id = Annotated[str, msgspec.Meta(pattern=_ID, max_length=80)]
"""Labels of a-z, 0-9 and '-', joined by dots: `cluster-1.etcd-a`. Never a path: no '/', no '..'."""

Address = Annotated[str, msgspec.Meta(pattern=rf"^{_OCTET}(\.{_OCTET}){{3}}\Z")]
"""An IPv4 address."""

Cidr = Annotated[str, msgspec.Meta(pattern=rf"^{_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])\Z")]
"""An IPv4 network; host bits must be zero (checked where it is used)."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]

FileName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_]([a-zA-Z0-9._-]{0,62}[a-zA-Z0-9_])?\Z")]
"""A file's name without a folder; no leading dot."""

FlagName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z]([a-zA-Z0-9-]{0,78}[a-zA-Z0-9])?\Z")]
"""A flag without its dashes. One letter stands for `-x VALUE`, more for `--name=VALUE`."""

FlagValue = Annotated[str, msgspec.Meta(pattern=r"^[^\x00\n\r]*\Z", max_length=8192)]

Hostname = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")]

Generation = Annotated[int, msgspec.Meta(ge=1)]

Bytes = Annotated[int, msgspec.Meta(ge=1)]
"""A size in bytes."""
