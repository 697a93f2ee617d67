"""What must hold of a subnet's addresses, whatever happens: a /26, small enough to run out."""

from __future__ import annotations

from ipaddress import IPv4Network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rookery.api.handlers.addresses import addresses_of
from rookery.api.held import ipv4_units
from rookery.api.operation import ApiError
from rookery.model.objects import NetworkInterface
from rookery.testing.small_view import SmallView

USABLE = {f"10.0.2.{last}" for last in range(4, 63)}
lasts = st.integers(0, 64)  # of an address; 64 is outside


def at(last: int) -> str:
    return f"10.0.2.{last}"


class AddressesOfASubnet(RuleBasedStateMachine):
    """Addresses, prefixes and reservations come and go; an oracle counts in the simplest way."""

    def __init__(self):
        super().__init__()
        self.view = SmallView()
        self.subnet = self.view.make_subnet(self.view.make_vpc("10.0.0.0/16"), "10.0.2.0/26")

    def attempt(self, operation, **parameters):
        try:
            self.view.call(operation, **parameters)
        except ApiError as error:
            assert error.status == 400

    def interface(self, data):
        everything = [each.id for each in self.view.all(NetworkInterface)]
        return data.draw(st.sampled_from(everything)) if everything else "eni-0123456789abcdef0"

    @rule(addresses=st.integers(0, 12), prefixes=st.integers(0, 1))
    def create(self, addresses, prefixes):
        self.attempt(
            "CreateNetworkInterface",
            SubnetId=self.subnet.id,
            SecondaryPrivateIpAddressCount=addresses,
            Ipv4PrefixCount=prefixes,
        )

    @rule(last=lasts)
    def create_at(self, last):
        self.attempt("CreateNetworkInterface", SubnetId=self.subnet.id, PrivateIpAddress=at(last))

    @rule(start=st.integers(0, 15), kind=st.sampled_from(["prefix", "explicit"]))
    def reserve(self, start, kind):
        cidr = f"{at(start % 4 * 16)}/28" if kind == "prefix" else f"{at(start * 4)}/30"
        self.attempt("CreateSubnetCidrReservation", SubnetId=self.subnet.id, Cidr=cidr, ReservationType=kind)

    @rule(data=st.data(), chosen=st.lists(lasts, max_size=3), move=st.booleans())
    def assign(self, data, chosen, move):
        self.attempt(
            "AssignPrivateIpAddresses",
            NetworkInterfaceId=self.interface(data),
            PrivateIpAddresses=list(map(at, chosen)),
            AllowReassignment=move,
        )

    @rule(data=st.data(), stranger=lasts)
    def unassign(self, data, stranger):
        interface = self.interface(data)
        found = self.view.get(NetworkInterface, interface)
        own = found.addresses if found else ()
        chosen = data.draw(st.lists(st.sampled_from([*own, at(stranger)]), max_size=3))
        self.attempt("UnassignPrivateIpAddresses", NetworkInterfaceId=interface, PrivateIpAddresses=chosen)

    @rule(data=st.data(), number=st.integers(0, 3))
    def delegate(self, data, number):
        self.attempt(
            "AssignPrivateIpAddresses",
            NetworkInterfaceId=self.interface(data),
            Ipv4Prefixes=[f"{at(number * 16)}/28"],
        )

    @rule(data=st.data())
    def delete(self, data):
        self.attempt("DeleteNetworkInterface", NetworkInterfaceId=self.interface(data))

    def everything(self):
        for found in self.view.all(NetworkInterface):
            for each in (*found.addresses, *found.prefixes):
                yield from (str(address) for address in IPv4Network(each))

    @invariant()
    def no_address_has_two_holders_and_none_is_the_subnets_own(self):
        held = list(self.everything())
        assert len(set(held)) == len(held)
        assert set(held) <= USABLE

    @invariant()
    def the_counts_are_what_an_oracle_counts(self):
        held = set(self.everything())
        assert self.view.held_addresses(self.subnet.id).ipv4 == len(held)
        told = self.view.call("GetSubnetCidrReservations", SubnetId=self.subnet.id)
        reserved = {
            str(address) for one in told["SubnetIpv4CidrReservations"] for address in IPv4Network(one["Cidr"])
        }
        assert addresses_of(self.view, self.subnet).free == len(USABLE - held - reserved)

    @invariant()
    def no_interface_exceeds_its_limit(self):
        assert all(ipv4_units(each) <= 50 for each in self.view.all(NetworkInterface))


AddressesOfASubnet.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAddressesOfASubnet = AddressesOfASubnet.TestCase
