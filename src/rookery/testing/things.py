"""Resources for tests, by an address plan written once: 10.<vpc>.<subnet>.<instance>.

VPC v has one block 10.v.0.0/16, no DHCP options set, a main route table, and subnets s = 10.v.s.0/24. Instance n of it has one interface.
What guards the VPC is apart (guards): where no packet flows it is not needed.
"""

from __future__ import annotations

from typing import TypedDict

from rookery.model.codec import encode
from rookery.model.keys import host_key, key_of
from rookery.model.objects import (
    NO_OPTIONS,
    Attachment,
    CidrAssociation,
    Host,
    Instance,
    NetworkAcl,
    NetworkAclAssociation,
    NetworkAclEntry,
    NetworkInterface,
    Resource,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from rookery.region.layout import host_address, host_name


class Owner(TypedDict):
    account: str
    region: str


OWNER: Owner = {"account": "123456789012", "region": "us-east-1"}
ZONE = "us-east-1a"


def rows(*things: Resource | Host) -> dict[str, bytes]:
    """As the puts of a transaction."""
    return {_key(thing): encode(thing) for thing in things}


def hosts(count: int) -> list[Host]:
    """host-1, host-2, ..."""
    return [Host(name=host_name(n), zone=0, address=host_address(0, n)) for n in range(count)]


def vpc(v: int) -> list[Resource]:
    """The VPC and its main route table."""
    identity = f"vpc-{v:017x}"
    block = CidrAssociation(f"vpc-cidr-assoc-{v:017x}", f"10.{v}.0.0/16")
    main = RouteTableAssociation(f"rtbassoc-{v:017x}")
    return [
        Vpc(**OWNER, id=identity, cidr_associations=(block,), dhcp_options_id=NO_OPTIONS),
        RouteTable(**OWNER, id=f"rtb-{0xA0000000 + v:017x}", vpc_id=identity, associations=(main,)),
    ]


def subnet(v: int, s: int) -> Subnet:
    identity = f"subnet-{0xB0000000 + (v << 8) + s:017x}"
    return Subnet(**OWNER, id=identity, vpc_id=f"vpc-{v:017x}", cidr=f"10.{v}.{s}.0/24", zone=ZONE)


def guards(v: int, *subnets: int) -> tuple[SecurityGroup, NetworkAcl]:
    """The VPC's default security group and its default network ACL, which guards the subnets. Both let everything pass."""
    rules = tuple(
        SecurityGroupRule(
            id=f"sgr-{(v << 1) + egress:017x}", is_egress=bool(egress), protocol="-1", cidr="0.0.0.0/0"
        )
        for egress in (0, 1)
    )
    entries = tuple(
        NetworkAclEntry(number=100, is_egress=egress, allow=True, protocol=-1, cidr="0.0.0.0/0")
        for egress in (False, True)
    )
    associations = tuple(
        NetworkAclAssociation(f"aclassoc-{(v << 8) + s:017x}", subnet(v, s).id) for s in subnets
    )
    vpc_id = f"vpc-{v:017x}"
    return (
        SecurityGroup(
            **OWNER,
            id=group(v),
            vpc_id=vpc_id,
            name="default",
            description="default VPC security group",
            rules=rules,
        ),
        NetworkAcl(
            **OWNER,
            id=f"acl-{0xC0000000 + v:017x}",
            vpc_id=vpc_id,
            is_default=True,
            associations=associations,
            entries=entries,
        ),
    )


def group(v: int) -> str:
    """The id of the VPC's default security group."""
    return f"sg-{v:017x}"


def address(v: int, s: int, n: int) -> str:
    return f"10.{v}.{s}.{n}"


def launch(v: int, s: int, n: int, host: str, wanted: str = "running") -> tuple[Instance, NetworkInterface]:
    """Instance n of the subnet, with its interface, on `host`."""
    number = (v << 16) + (s << 8) + n
    inside = subnet(v, s)
    interface = _interface(inside, number, address(v, s, n), host)
    instance = Instance(
        **OWNER,
        id=f"i-{number:017x}",
        image_id="ami-1",
        instance_type="t3.nano",
        subnet_id=inside.id,
        vpc_id=inside.vpc_id,
        zone=ZONE,
        host=host,
        interface_ids=(interface.id,),
        wanted=wanted,
    )
    return instance, interface


def _interface(inside: Subnet, number: int, private: str, host: str) -> NetworkInterface:
    attachment = Attachment(id=f"eni-attach-{number:017x}", instance_id=f"i-{number:017x}", host=host)
    return NetworkInterface(
        **OWNER,
        id=f"eni-{number:017x}",
        vpc_id=inside.vpc_id,
        subnet_id=inside.id,
        zone=ZONE,
        mac=(b"\x02\x00" + number.to_bytes(4, "big")).hex(":"),
        addresses=(private,),
        attachment=attachment,
    )


def _key(thing: Resource | Host) -> str:
    return host_key(thing.name) if isinstance(thing, Host) else key_of(thing)
