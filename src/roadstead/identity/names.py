"""Ids as AWS makes them. Random, but an access key tells its account, as `sts get-access-key-info` shows."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets

GLOBAL = "aws-global"
"""The region in keys of the store for what belongs to no region."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ACCOUNT_BITS = 40
_RANDOM_BITS = 39


def account_id() -> str:
    """Twelve digits, the first not zero: programs that read it as a number keep its length."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def access_key_id(account: str, prefix: str = "AKIA") -> str:
    """Twenty characters: the prefix (AKIA of users, ASIA of sessions), and in base 32 a one, the account, chance."""
    number = (1 << _ACCOUNT_BITS | int(account)) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return prefix + base64.b32encode(number.to_bytes(10, "big")).decode()


def account_of(access_key: str) -> str | None:
    """The account that an access key tells; None for what is no access key."""
    try:
        number = int.from_bytes(base64.b32decode(access_key[4:]), "big")
    except (binascii.Error, ValueError):
        return None
    if len(access_key) != 20 or not number >> (_ACCOUNT_BITS + _RANDOM_BITS):
        return None
    account = f"{number >> _RANDOM_BITS & (1 << _ACCOUNT_BITS) - 1:012d}"
    return account if len(account) == 12 else None


def secret_access_key() -> str:
    """Forty characters of base 64."""
    return base64.b64encode(secrets.token_bytes(30)).decode()


def derived_id(prefix: str, of: str) -> str:
    """An id as of unique_id that follows from a name, for what is the same in every account."""
    digest = hashlib.sha256(f"{prefix}/{of}".encode()).digest()
    return prefix + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:17])


def unique_id(prefix: str) -> str:
    """IAM's unique ids, 21 characters: AIDA of users, AROA of roles, ANPA of policies, AIPA of instance profiles."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(17))
