"""Regions, availability zones, and what an account may have."""

from __future__ import annotations

from typing import Any

from rookery.api.errors import invalid_parameter
from rookery.api.filters import apply_filters
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.zones import Zone, zones
from rookery.model.objects import Vpc

# Every AWS region exists here from its first use on; these are the ones that AWS enables for everybody.
REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
)

_OPT_IN = "opt-in-not-required"

ZONE_FILTERS = {
    "group-name": lambda zone, _view: zone.name[:-1],
    "message": lambda _zone, _view: None,
    "opt-in-status": lambda _zone, _view: _OPT_IN,
    "parent-zoneID": lambda _zone, _view: None,
    "parent-zoneName": lambda _zone, _view: None,
    "region-name": lambda zone, _view: zone.name[:-1],
    "state": lambda _zone, _view: "available",
    "zone-id": lambda zone, _view: zone.id,
    "zone-name": lambda zone, _view: zone.name,
    "zone-type": lambda _zone, _view: "availability-zone",
}

REGION_FILTERS = {
    "endpoint": lambda name, _view: _endpoint(name),
    "opt-in-status": lambda _name, _view: _OPT_IN,
    "region-name": lambda name, _view: name,
}


@operation("DescribeAvailabilityZones")
def describe_availability_zones(request: Request, view: View) -> Outcome:
    known = zones(request, view)
    _check_known("availability zone", request.parameters.get("ZoneNames"), {zone.name for zone in known})
    _check_known("availability zone id", request.parameters.get("ZoneIds"), {zone.id for zone in known})
    asked = [zone for zone in known if _is_asked(request, zone)]
    chosen = apply_filters(asked, request.parameters.get("Filters"), ZONE_FILTERS, view)
    return Outcome(result={"AvailabilityZones": [_render_zone(request, zone) for zone in chosen]})


def _check_known(noun: str, asked: list[str] | None, known: set[str]) -> None:
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise invalid_parameter(f"Invalid {noun}: [{', '.join(unknown)}]")


def _is_asked(request: Request, zone: Zone) -> bool:
    names, ids = request.parameters.get("ZoneNames"), request.parameters.get("ZoneIds")
    return (not names or zone.name in names) and (not ids or zone.id in ids)


def _render_zone(request: Request, zone: Zone) -> dict[str, Any]:
    return {
        "ZoneName": zone.name,
        "ZoneId": zone.id,
        "ZoneType": "availability-zone",
        "State": "available",
        "Messages": [],
        "RegionName": request.region,
        "GroupName": request.region,
        "NetworkBorderGroup": request.region,
        "OptInStatus": _OPT_IN,
    }


@operation("DescribeRegions")
def describe_regions(request: Request, view: View) -> Outcome:
    known = sorted({*REGIONS, request.region})
    names = request.parameters.get("RegionNames")
    _check_known("region name", names, set(known))
    asked = [name for name in known if not names or name in names]
    chosen = apply_filters(asked, request.parameters.get("Filters"), REGION_FILTERS, view)
    return Outcome(result={"Regions": [_render_region(name) for name in chosen]})


def _endpoint(region: str) -> str:
    return f"ec2.{region}.amazonaws.com"


def _render_region(name: str) -> dict[str, str]:
    return {"RegionName": name, "Endpoint": _endpoint(name), "OptInStatus": _OPT_IN}


@operation("DescribeAccountAttributes")
def describe_account_attributes(request: Request, view: View) -> Outcome:
    default = next((vpc.id for vpc in view.all(Vpc) if vpc.is_default), "none")
    values = {
        "supported-platforms": "VPC",
        "default-vpc": default,
        "max-instances": str(request.quotas.instances),
    }
    names = request.parameters.get("AttributeNames") or list(values)
    return Outcome(result={"AccountAttributes": [_render_attribute(name, values[name]) for name in names]})


def _render_attribute(name: str, value: str) -> dict[str, Any]:
    return {"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}
