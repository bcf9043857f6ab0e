"""The source of every section."""

from __future__ import annotations

from roadstead.serve.sections import access, names, principals, source, webhooks


def sources(given: source.Given) -> tuple[source.Source, ...]:
    """Of all sections, a line for each."""
    return (
        webhooks.source_of(given),
        access.source_of(given),
        principals.source_of(given),
        names.source_of(given),
    )
