"""Where to ask, for which region and as whom: from flags, the environment and the AWS config files.

Source: AWS SDKs and Tools Reference Guide, "Configuration and authentication settings": what the environment says
goes before the files; AWS_ENDPOINT_URL_<SERVICE> before AWS_ENDPOINT_URL; keys of a profile stand in `credentials`
or in `config`. Ours: without a word about a profile it is `roadstead`, which `roadstead start` writes. Nothing is ever
sent to AWS: an endpoint must be given.

**Keys go with their endpoint.** Keys in the environment are mostly AWS's, of somebody who works with both. They count
where the environment names an endpoint, too (AWS_ENDPOINT_URL, or that of a service), or where the profile has none.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.contract import programs
from roadstead.core import errors
from roadstead.wire import sigv4

PROFILE = programs.PROFILE
REGION = programs.REGION
KEY, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True)
class ApiAccess:
    """All that a request needs beside its input."""

    region: str
    endpoint: str
    """For services without one of their own, `http://127.0.0.1:4566`."""
    credentials: sigv4.Credentials = field(repr=False)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """By service, from AWS_ENDPOINT_URL_<SERVICE>."""
    ca_bundle: str | None = None
    """A file of certificates to trust instead of the system's, for an endpoint with https."""
    keys_of: str = ""
    """Where the keys stand, as a human reads it: `AWS_ACCESS_KEY_ID`, or a profile."""
    ca: str | None = None
    """The certificates themselves, in PEM, where they are in no file of the caller's."""


def files(environment: Mapping[str, str], home: Path) -> tuple[Path, Path]:
    """The config file and the credentials file."""
    return (
        Path(environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config").expanduser(),
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials").expanduser(),
    )


def region(environment: Mapping[str, str], settings: Mapping[str, str], asked: str | None) -> str:
    """The region: the flag's, the environment's, the profile's, else the one that Roadstead begins with."""
    found = (
        asked
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or settings.get("region")
        or REGION
    )
    if not _REGION.fullmatch(found):
        raise errors.Invalid(f"{found!r} is no region such as {REGION}")
    return found


def settings(
    environment: Mapping[str, str], config: str, credentials: str, asked: str | None
) -> tuple[str, dict[str, str]]:
    """The profile's name and what both files say of it. `config` and `credentials` are the files' texts.

    Raises NotFound for a profile that was asked for and is in neither file.
    """
    wanted = asked or environment.get("AWS_PROFILE")
    name = wanted or PROFILE
    sections = [_section(credentials, name, name), _section(config, name, f"profile {name}")]
    if name == "default":
        sections.append(_section(config, name, name))
    if wanted and not any(section is not None for section in sections):
        raise errors.NotFound(f"the AWS config has no profile {name!r}")
    merged: dict[str, str] = {}
    for section in reversed(sections):
        merged |= section or {}
    return name, merged


def access(
    environment: Mapping[str, str], config: str, credentials: str, *, profile: str | None, region_asked: str | None
) -> ApiAccess:
    """Whom to ask and as whom. Raises NotFound when there is no endpoint or there are no keys, saying what to do."""
    name, found = settings(environment, config, credentials, profile)
    endpoint = environment.get("AWS_ENDPOINT_URL") or found.get("endpoint_url")
    if not endpoint:
        raise errors.NotFound(
            f"no endpoint of Roadstead is known: neither AWS_ENDPOINT_URL nor endpoint_url of the AWS profile "
            f"{name!r} is set; 'roadstead start' writes the profile {PROFILE!r}"
        )
    keys, stand = _keys(environment, found, name, profile)
    return ApiAccess(
        region(environment, found, region_asked),
        endpoint,
        keys,
        _endpoints(environment),
        environment.get("AWS_CA_BUNDLE") or found.get("ca_bundle") or None,
        stand,
    )


def environments_keys(environment: Mapping[str, str], found: Mapping[str, str], asked: str | None) -> bool:
    """Whether the keys in the environment are those to ask with. `found`: the profile; `asked`: it, by flag."""
    if not (environment.get(KEY) and environment.get(SECRET)) or asked is not None:
        return False
    named = bool(environment.get("AWS_ENDPOINT_URL") or _endpoints(environment))
    return named or not (found.get("aws_access_key_id") and found.get("aws_secret_access_key"))


def _endpoints(environment: Mapping[str, str]) -> dict[str, str]:
    """By service."""
    return {
        key.removeprefix("AWS_ENDPOINT_URL_").lower().replace("_", ""): value
        for key, value in environment.items()
        if key.startswith("AWS_ENDPOINT_URL_") and value
    }


def _keys(
    environment: Mapping[str, str], found: Mapping[str, str], name: str, asked: str | None
) -> tuple[sigv4.Credentials, str]:
    """The keys, and where they stand."""
    if environments_keys(environment, found, asked):
        return sigv4.Credentials(
            environment[KEY], environment[SECRET], environment.get("AWS_SESSION_TOKEN") or None
        ), KEY
    key, secret = found.get("aws_access_key_id"), found.get("aws_secret_access_key")
    if key and secret:
        return sigv4.Credentials(key, secret, found.get("aws_session_token")), f"the AWS profile {name!r}"
    raise errors.NotFound(f"no credentials: neither {KEY} and {SECRET} are set, nor has the AWS profile {name!r} keys")


def _section(text: str, profile: str, section: str) -> dict[str, str] | None:
    parser = configparser.RawConfigParser(interpolation=None, default_section="\0", strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        said = " ".join(str(error).split())
        raise errors.Invalid(f"the AWS config is damaged, so profile {profile!r} cannot be read: {said}") from error
    return dict(parser[section]) if parser.has_section(section) else None


def read(path: Path) -> str:
    """A file's text; empty when there is none. Raises Denied for one that may not be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Denied(f"{path} cannot be read: {error}") from error
