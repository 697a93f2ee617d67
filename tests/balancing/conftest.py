"""One region for all tests here: a street of VPCs with a shop (tests/balancing/street.py), and the shop's balancers.

    balancer    zones  where         listeners
    front       a, b   internet      TCP 80 instances, their client preserved; TCP 81 addresses, hidden; TCP_UDP 53 instances
    inner       a, b   internal      TCP 80 instances, zones crossed; TCP 81 one by weight 10, three by weight 20
    single      a      internal      TCP 80 one as an instance, preserved; TCP 81 one as an address, hidden
    guarded     a      internal      TCP 80 kept; has the group "guard", which admits client's address only
    counter     a      internal      TCP 80 one and three: behind an endpoint service
    dual        a      internet      dualstack: TCP 80 one and three, of IPv4; TCP 81 one, of IPv6; TCP 82 and 83 one, of IPv4 and of IPv6, by proxy protocol; behind an endpoint service, too
    mute        a      internal      TCP 80 one, unheard: has the group "mute", which lets nothing out
    parted      a, b   internal      TCP 80 one and three, zones crossed; a network ACL keeps checks of three from leaving zone b
    failing     a, b   internal      TCP 80 fails: two and three stop being healthy
    changing    a      internal      TCP 81 shown: becomes a group that preserves its client; TCP 82 leaves: three is deregistered

All that changes does so as soon as the last two hold connections (tests/balancing/changed.py): checks take their time, and the other
tests run in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.balancing import changed as changes
from tests.balancing import street
from tests.balancing.changed import CHANGING, FAILING, Changed
from tests.balancing.street import APART, ENDS, Street
from tests.conftest import SHARED, bring_up, take_down


@pytest.fixture(scope="session")
def whole_street() -> Iterator[Street]:
    region = bring_up(2, 2, "--edges", "1", "--nodes", "4")
    SHARED.callback(take_down, region)
    made = street.built(region)
    SHARED.callback(made.end)
    _open_shop(made)
    yield made
    SHARED.close()


def _open_shop(shop: Street) -> None:
    shop.keep_apart("shop b", "three", APART)
    shop.balancer("front", Scheme="internet-facing")
    shop.balancer("inner")
    shop.balancer("single", "a")
    shop.balancer("guarded", "a", SecurityGroups=[shop.groups["guard"]])
    shop.balancer("counter", "a")
    shop.balancer("parted")
    shop.group("mute", "shop", street.EVERYTHING)
    shop.let_nothing_out("mute")
    shop.balancer("mute", "a", SecurityGroups=[shop.groups["mute"]])
    shop.target_group("seen", "TCP", 80, "one", "two", "three")
    shop.target_group("hidden", "TCP", 81, "one", "two", "three", by="ip")
    shop.target_group("names", "TCP_UDP", 53, "one", "two", "three")
    shop.target_group("crossed", "TCP", 80, "one", "two", "three")
    shop.target_group("self", "TCP", 80, "one")
    shop.target_group("self-hidden", "TCP", 80, "one", by="ip")
    shop.target_group("kept", "TCP", 80, "kept")
    shop.target_group("counter", "TCP", 80, "one", "three")
    shop.target_group("parted", "TCP", 80, "one", "three", check=APART)
    shop.target_group("unheard", "TCP", 80, "one")
    shop.target_group("light", "TCP", 81, "one")
    shop.target_group("heavy", "TCP", 81, "three")
    for crossed in ("crossed", "parted"):
        shop.set_group(crossed, load_balancing__cross_zone__enabled="true")
    shop.listen("front", 80, "seen")
    shop.listen("front", 81, "hidden")
    shop.listen("front", 53, "names", "TCP_UDP")
    shop.listen("inner", 80, "crossed")
    shop.weigh("inner", 81, light=10, heavy=20)
    shop.listen("mute", 80, "unheard")
    shop.listen("parted", 80, "parted")
    shop.listen("single", 80, "self")
    shop.listen("single", 81, "self-hidden")
    shop.listen("guarded", 80, "kept")
    shop.listen("counter", 80, "counter")
    shop.balancer("failing")
    shop.balancer("changing", "a")
    shop.target_group("fails", "TCP", 80, "one", "two", "three", check=ENDS)
    shop.target_group("shown", "TCP", 81, "one", by="ip")
    shop.target_group("leaves", "TCP", 82, "one", "three")
    shop.listen("failing", FAILING, "fails")
    for port, group in zip(CHANGING, ("shown", "leaves"), strict=True):
        shop.listen("changing", port, group)
    _open_dual(shop)
    shop.until_active()


def _open_dual(shop: Street) -> None:
    shop.balancer("dual", "a", Scheme="internet-facing", IpAddressType="dualstack")
    shop.target_group("dual", "TCP", 80, "one", "three")
    shop.target_group("dual-ipv6", "TCP", 81, "one", family="ipv6")
    shop.target_group("dual-proxied", "TCP", 82, "one")
    shop.target_group("dual-ipv6-proxied", "TCP", 82, "one", family="ipv6")
    for proxied in ("dual-proxied", "dual-ipv6-proxied"):
        shop.set_group(proxied, proxy_protocol_v2__enabled="true")
    for port, group in enumerate(("dual", "dual-ipv6", "dual-proxied", "dual-ipv6-proxied"), start=80):
        shop.listen("dual", port, group)


@pytest.fixture(scope="session")
def changed(whole_street: Street) -> Changed:
    return changes.change(whole_street)
