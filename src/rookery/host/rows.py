"""From the intent's words to the kernel's rows. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Iterator, Mapping

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, mac_bytes, substrate_bytes, substrate_text
from rookery.dataplane.formats import (
    LAYOUTS,
    CellConstant,
    DelegatedKey,
    EdgeAddress,
    EdgeNode,
    Forwarder,
    ForwarderKey,
    Gateway,
    GatewayFlag,
    Ifindex,
    InterfaceConfig,
    InterfaceFlag,
    InterfaceNumber,
    LocalInterface,
    LocalInterfaceKey,
    MappingKey,
    MappingKind,
    Peering,
    PeeringKey,
    Route,
    RouteConstant,
    RouteKey,
    RouteKind,
    TopSet,
    TopsNumber,
    VpcNumber,
)
from rookery.host.rule_book import RuleBook
from rookery.intent.host import (
    EdgeIntent,
    ForwarderIntent,
    GatewayIntent,
    InstanceIntent,
    InterfaceIntent,
    MappingIntent,
    PeeringIntent,
    RouteIntent,
    RuleIntent,
    RuleKey,
    TopsIntent,
)
from rookery.model.objects import GUEST, NAMESPACE

VPC_BITS = 32
TOPS_MAX = CellConstant.NODES_MAX
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
MAPPED_BITS = [MAPPED.supernet(new_prefix=bits).network_address.packed for bits in range(RouteConstant.IPV4_BITS + 1)]
CHECKED, NO_PEER, AT_CELL = (
    int(flag) for flag in (InterfaceFlag.SOURCE_DEST_CHECK, InterfaceFlag.NO_PEER, InterfaceFlag.AT_CELL)
)  # an enum's "or" takes as long as a row
NO_ROUTE = Route(kind=RouteKind.NONE, target=0)

Devices = Mapping[tuple[str, int], int]  # (instance, number of an interface) -> ifindex of its host side


def _flags(source_dest_check: bool, kind: str = NAMESPACE, at_cell: bool = False) -> int:
    """`kind`: of the instance that has the interface; a guest's device has no other end."""
    checked = CHECKED if source_dest_check else 0
    return checked | (NO_PEER if kind == GUEST else 0) | (AT_CELL if at_cell else 0)


def _wired(
    instances: Mapping[str, InstanceIntent], devices: Devices
) -> list[tuple[InstanceIntent, InterfaceIntent, int]]:
    """Interfaces that may speak and have a device. What is terminated may not: its addresses may be another's already.
    A device counts for the instance it is plugged into: an interface that moved is not that of the guest it left."""
    return [
        (instance, interface, devices[instance.id, interface.number])
        for instance in instances.values()
        if instance.wanted != "terminated"
        for interface in instance.interfaces
        if (instance.id, interface.number) in devices
    ]


def interfaces(
    instances: Mapping[str, InstanceIntent], devices: Devices, book: RuleBook
) -> dict[Ifindex, InterfaceConfig]:
    return {Ifindex(ifindex): _interface(i, instance.kind, book) for instance, i, ifindex in _wired(instances, devices)}


def _interface(i: InterfaceIntent, kind: str, book: RuleBook) -> InterfaceConfig:
    return InterfaceConfig(
        vni=i.vni,
        interface=i.number,
        subnet=i.subnet,
        route_table=i.route_table,
        router=address_bytes(i.router),
        router_ipv6=address_bytes(i.router_ipv6 or "::"),
        resolver=address_bytes(i.resolver or "::"),
        primary=address_bytes(i.primary),
        mac=mac_bytes(i.mac),
        router_mac=mac_bytes(i.router_mac),
        mtu=i.mtu,
        flags=_flags(i.source_dest_check, kind),
        **book.gates(i)._asdict(),
    )


def local_interfaces(
    instances: Mapping[str, InstanceIntent], devices: Devices, book: RuleBook
) -> dict[LocalInterfaceKey, LocalInterface]:
    return {
        LocalInterfaceKey(i.vni, i.number): LocalInterface(
            ifindex=ifindex,
            mtu=i.mtu,
            flags=_flags(i.source_dest_check, instance.kind),
            mac=mac_bytes(i.mac),
            router_mac=mac_bytes(i.router_mac),
            subnet=i.subnet,
            **book.gates(i)._asdict(),
        )
        for instance, i, ifindex in _wired(instances, devices)
    }


def interface_devices(local: Mapping[LocalInterfaceKey, LocalInterface]) -> dict[InterfaceNumber, Ifindex]:
    """Where the answers of services go."""
    return {InterfaceNumber(key.interface): Ifindex(row.ifindex) for key, row in local.items()}


def mapping_key(key: tuple[int, str]) -> MappingKey:
    return MappingKey(key[0], address_bytes(key[1]))


def mapping_keys(keys: Iterable[tuple[int, str]]) -> list[MappingKey]:
    return [mapping_key(key) for key in keys if not _is_prefix(key[1])]


def mappings(intents: Iterable[MappingIntent]) -> dict[MappingKey, formats.Mapping]:
    """Of addresses; delegated() has the prefixes."""
    return {mapping_key(intent.key): _mapping(intent) for intent in intents if not _is_prefix(intent.address)}


def delegated_key(key: tuple[int, str]) -> DelegatedKey:
    network, bits = _prefix(key[1])
    return DelegatedKey(VPC_BITS + bits, key[0], network)


def delegated_keys(keys: Iterable[tuple[int, str]]) -> list[DelegatedKey]:
    return [delegated_key(key) for key in keys if _is_prefix(key[1])]


def delegated(intents: Iterable[MappingIntent]) -> dict[DelegatedKey, formats.Mapping]:
    return {delegated_key(intent.key): _mapping(intent) for intent in intents if _is_prefix(intent.address)}


def _is_prefix(address: str) -> bool:
    return "/" in address


def _prefix(cidr: str) -> tuple[bytes, int]:
    """Its address, and its bits in an address of 16 bytes. Raises ValueError."""
    network = ipaddress.ip_network(cidr)
    family = RouteConstant.IPV4_BITS if network.version == 4 else 0
    return address_bytes(str(network.network_address)), family + network.prefixlen


def forwarders(intents: Iterable[RuleIntent]) -> dict[ForwarderKey, Forwarder]:
    return {
        ForwarderKey(i.vni, i.interface): Forwarder(
            host=_home(i),
            subnet=i.subnet,
            mac=mac_bytes(i.mac),
            flags=_flags(i.source_dest_check, at_cell=bool(i.tops)),
            group_set=i.group_set,
        )
        for i in intents
        if isinstance(i, ForwarderIntent)
    }


def forwarder_keys(keys: Iterable[RuleKey]) -> list[ForwarderKey]:
    return [ForwarderKey(vni, int(interface)) for kind, vni, interface in keys if kind == "forwarder"]


def peerings(intents: Iterable[RuleIntent]) -> dict[PeeringKey, Peering]:
    return {PeeringKey(i.vni, i.peer): Peering(admitted=1) for i in intents if isinstance(i, PeeringIntent)}


def peering_keys(keys: Iterable[RuleKey]) -> list[PeeringKey]:
    return [PeeringKey(vni, int(peer)) for kind, vni, peer in keys if kind == "peering"]


def gateways(intents: Iterable[RuleIntent]) -> dict[VpcNumber, Gateway]:
    return {VpcNumber(i.vni): _gateway(i) for i in intents if isinstance(i, GatewayIntent)}


def _gateway(intent: GatewayIntent) -> Gateway:
    internet = GatewayFlag.INTERNET if intent.internet else 0
    egress_only = GatewayFlag.EGRESS_ONLY if intent.egress_only else 0
    return Gateway(flags=int(internet | egress_only), route_table=intent.route_table)


def gateway_keys(keys: Iterable[RuleKey]) -> list[VpcNumber]:
    return [VpcNumber(vni) for kind, vni, _ in keys if kind == "gateway"]


def edge_nodes(intents: Iterable[EdgeIntent]) -> dict[EdgeAddress, EdgeNode]:
    return {EdgeAddress(substrate_bytes(i.address)): EdgeNode(admitted=1) for i in intents}


def _home(intent: MappingIntent | ForwarderIntent) -> bytes:
    """The host's address, or, at a cell, the number of the set of nodes."""
    return LAYOUTS[TopsNumber].pack(intent.tops) if intent.tops else substrate_bytes(intent.host)


def tops(intents: Iterable[TopsIntent], living: Container[str]) -> dict[TopsNumber, TopSet]:
    """Those that live come first: one sends to them, and to all that one may send to where none does."""
    return {TopsNumber(intent.number): _top_set(intent, living) for intent in intents}


def _top_set(intent: TopsIntent, living: Container[str]) -> TopSet:
    chosen = [address for address in intent.addresses if address in living] or list(intent.addresses)
    others = [address for address in (*intent.addresses, *intent.others) if address not in chosen]
    members = [*chosen, *others][:TOPS_MAX]
    packed = b"".join(map(substrate_bytes, members)).ljust(4 * TOPS_MAX, b"\0")
    return TopSet(living=min(len(chosen), TOPS_MAX), members=len(members), address=packed)


def tops_keys(numbers: Iterable[int]) -> list[TopsNumber]:
    return [TopsNumber(number) for number in numbers]


def living_tops(found: Iterable[TopSet]) -> frozenset[str]:
    """The nodes to which one sent, by these rows."""
    return frozenset(address for row in found for address in members_of(row)[: row.living])


def kept_tops(key: TopsNumber, row: TopSet) -> TopsIntent:
    """What is known of a set while nobody tells the intent: one goes on sending to the same nodes."""
    members = members_of(row)
    return TopsIntent(
        number=key.number, addresses=tuple(members[: row.living]), others=tuple(members[row.living :])
    )


def members_of(row: TopSet) -> list[str]:
    return [substrate_text(row.address[4 * n : 4 * n + 4]) for n in range(row.members)]


def _mapping(intent: MappingIntent) -> formats.Mapping:
    return formats.Mapping(
        host=_home(intent),
        interface=intent.interface,
        subnet=intent.subnet,
        mac=mac_bytes(intent.mac),
        kind=MappingKind.INTERFACE,
        flags=_flags(intent.source_dest_check, at_cell=bool(intent.tops)),
        issued=intent.issued,
        generation=intent.generation,
        group_set=intent.group_set,
    )


def route_key(key: tuple[int, str]) -> RouteKey:
    network, bits = _prefix(key[1])
    return RouteKey(prefix_length=RouteConstant.TABLE_BITS + bits, table=key[0], destination=network)


def route_keys(keys: Iterable[tuple[int, str]]) -> list[RouteKey]:
    return [route_key(key) for key in keys if not _is_mapped(key[1])]


def routes(intents: Iterable[RouteIntent]) -> dict[RouteKey, Route]:
    """Without the roots: see with_roots(). Raises ValueError for a kind that this version does not know: better no row than a
    wrong one."""
    return {route_key(intent.key): _route(intent) for intent in intents if not _is_mapped(intent.destination)}


def _is_mapped(cidr: str) -> bool:
    """IPv6 destinations that no packet carries: in the table they are IPv4's."""
    return ":" in cidr and ipaddress.IPv6Network(cidr).subnet_of(MAPPED)


def _route(intent: RouteIntent) -> Route:
    try:
        return Route(kind=RouteKind[intent.kind.upper()], target=intent.target)
    except KeyError as error:
        raise ValueError(f"route {intent.destination}: this host does not know the kind {intent.kind!r}") from error


def with_roots(routes: Mapping[RouteKey, Route]) -> dict[RouteKey, Route]:
    """And a row that stops IPv4, in each table where an IPv6 route would match it. It comes first: there is no moment
    without it."""
    tables = {key.table for key in routes if _covers_ipv4(key)}
    return {_root(table): NO_ROUTE for table in tables} | dict(routes)


def change_of_routes(
    put: Mapping[RouteKey, Route], delete: Iterable[RouteKey], held: Mapping[RouteKey, Route]
) -> tuple[dict[RouteKey, Route], list[RouteKey]]:
    """Rows to put and to delete, the roots' too. `held`: what the table holds now, roots included."""
    gone = [key for key in delete if key not in put]
    roots, needless = {}, []
    for table in sorted({key.table for key in (*put, *gone) if _covers_ipv4(key)}):
        root = _root(table)
        if root in put or (root not in gone and held.get(root, NO_ROUTE) != NO_ROUTE):
            continue
        if any(key in put or (key in held and key not in gone) for key in _covering(table)):
            roots[root] = NO_ROUTE
        elif root in held:
            needless.append(root)
    return roots | dict(put), [key for key in gone if key not in roots and key not in needless] + needless


def _root(table: int) -> RouteKey:
    return route_key((table, "0.0.0.0/0"))


def _covers_ipv4(key: RouteKey) -> bool:
    """The root itself does, too."""
    bits = key.prefix_length - RouteConstant.TABLE_BITS
    return bits <= RouteConstant.IPV4_BITS and key.destination == MAPPED_BITS[bits]


def _covering(table: int) -> Iterator[RouteKey]:
    for bits in range(RouteConstant.IPV4_BITS):
        yield RouteKey(RouteConstant.TABLE_BITS + bits, table, MAPPED_BITS[bits])
