"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.ec2 import absent, instance_types, instances, offers, subnets, tags, vpcs
from roadstead.aws.ec2.vpc import absent as vpc_absent
from roadstead.aws.ec2.vpc import default_vpcs, groups, interfaces, resources, routes, settings
from roadstead.network import spec

SERVICE = registry.Service(
    operations=(
        *(vpcs, subnets, instances, instance_types, offers, tags, absent),
        *(default_vpcs, groups, routes, settings, interfaces, vpc_absent),
    ),
    kinds=(spec.VPCS, spec.SUBNETS),
    context=resources.REGION,
)
