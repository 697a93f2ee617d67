"""Fake maps that keep a journal of their writes, and a small intent to fill them with: instance n has interface n with
10.7.1.n, and once plugged device 100 + n."""

from __future__ import annotations

from rookery.host import rows
from rookery.intent.host import HostIntent, InstanceIntent, InterfaceIntent, MappingIntent, RouteIntent

TABLES = (
    "interfaces", "local_interfaces", "mappings", "delegated", "routes", "forwarders", "peerings", "rule_addresses",
    "rule_groups", "rule_ports", "allowances", "service_budgets", "interface_devices", "gateways", "edge_nodes", "tops",
)  # fmt: skip


class Journal:
    """Fake maps and the order of their writes."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        for name in TABLES:
            setattr(self, name, FakeMap(name, self.entries))

    @property
    def rows(self) -> dict[str, dict]:
        return {name: getattr(self, name).rows for name in TABLES}


class FakeMap:
    def __init__(self, name: str, entries: list[tuple[str, str]]):
        self.name, self.entries, self.rows = name, entries, {}

    def items(self):
        return list(self.rows.items())

    def get(self, key):
        return self.rows.get(key)

    def put_many(self, rows):
        self.entries.append(("put", self.name))
        self.rows.update(rows)

    def delete_many(self, keys):
        self.entries.append(("delete", self.name))
        for key in keys:
            self.rows.pop(key, None)


def an_instance(
    number: int, wanted: str = "running", route_table: int = 3, group_set: int = 0, acl: int = 0
) -> InstanceIntent:
    interface = InterfaceIntent(
        id=f"eni-{number:08x}", vni=7, number=number, subnet=2, route_table=route_table, router="10.7.1.1",
        primary=f"10.7.1.{number}", addresses=(f"10.7.1.{number}",), prefix_length=24,
        mac=f"02:00:00:00:00:{number:02x}", router_mac="02:00:00:00:00:01", mtu=1500, source_dest_check=True,
        device_index=0, group_set=group_set, acl=acl,
    )  # fmt: skip
    return InstanceIntent(
        id=f"i-{number:08x}", wanted=wanted, boot=1, hostname="h", domain="d", user_data="", interfaces=(interface,)
    )


def a_mapping(number: int) -> MappingIntent:
    return MappingIntent(
        vni=7, address=f"10.7.1.{number}", host="100.64.1.10", interface=number, subnet=2,
        mac=f"02:00:00:00:00:{number:02x}", source_dest_check=True, group_set=0, generation=number, issued=1,
    )  # fmt: skip


ROUTE = RouteIntent(table=3, destination="10.7.0.0/16", kind="local")


def an_intent(*numbers: int, wanted: str = "running") -> HostIntent:
    return HostIntent(
        host="host-1",
        generation=1,
        instances={i.id: i for i in (an_instance(n, wanted) for n in numbers)},
        mappings={m.key: m for m in map(a_mapping, numbers)},
        routes={ROUTE.key: ROUTE},
    )


def plugged(*numbers: int) -> rows.Devices:
    """Interface n of instance n has device 100 + n."""
    return {(an_instance(n).id, n): 100 + n for n in numbers}
