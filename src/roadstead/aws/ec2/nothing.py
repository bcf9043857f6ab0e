"""Operations that list what there never is here: the list is empty, and whatever is named does not exist."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, ids
from roadstead.aws.ec2.vpc import resources


def listed(module: str, name: str, member: str, named: Mapping[str, str], documented: str | None) -> calls.Handler:
    """The operation `name`, which answers an empty `member`; to be a name of the module that calls this.

    named: members of the request that name things, with the error that EC2 has for one that is not there. documented:
    the filters that EC2's model tells of, divided by spaces; None where it tells of none, and takes some.
    """
    known = filters.nothing(documented or "")

    async def operation(_: calls.Call, asked: calls.Asked) -> calls.Answer:
        filters.not_dry(asked)
        for which, code in named.items():
            given = asked.get(which)
            if given:
                all_of_them = [given] if isinstance(given, str) else given
                if not which.endswith(("Names", "Name", "Ips")):
                    ids.check(all_of_them, code)
                store_access.refuse(code, f"'{all_of_them[0]}' does not exist: there is none of {member} here")
        if documented is not None:
            filters.applied((), asked, known)
        return {member: []}

    operation.__module__ = module
    return calls.operation("ec2", name, answers="empty", on=resources.ANYTHING)(operation)
