"""What serve is given of this service."""

from __future__ import annotations

from tests.unit.pretended import counting, keeper, namespaces, spec

from roadstead.aws import registry

SERVICE = registry.Service(
    operations=(namespaces,),
    kinds=(spec.NAMESPACES,),
    reconcilers=(keeper.made,),
    controllers=(counting.CONTROLLER,),
)
