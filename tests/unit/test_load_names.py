"""Names of images are made whole as the library does it that Docker and containerd share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.machine.load import names

REAL: dict[str, str] = json.loads((Path(__file__).parent / "golden" / "image-names.json").read_text())
"""What ParseDockerRef of github.com/distribution/reference 0.6.0 made of them; empty where it made an error."""


@pytest.mark.parametrize("name", REAL)
def test_a_name_is_made_whole_as_docker_does_it(name: str) -> None:
    if REAL[name]:
        assert names.whole(name) == REAL[name]
        assert names.whole(REAL[name]) == REAL[name]
    else:
        with pytest.raises(errors.Invalid, match="is no name of an image"):
            names.whole(name)


def test_tags() -> None:
    assert (names.tag_of("x"), names.tag_of("x:1"), names.tag_of("localhost:5000/x")) == ("", "1", "")
    tags = [word for word in ("1.0", "latest", "", "x:1", "me/x", "@sha256:0") if names.is_tag(word)]
    assert tags == ["1.0", "latest"]
