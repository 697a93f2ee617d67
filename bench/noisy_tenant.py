"""What others feel of an account that floods its NAT gateway with new flows, and holds as many as it may.

    python -m bench.noisy_tenant [--rounds 7] [--seconds 3] [--rate 4000] [--json]

    an instance of each of three accounts -- their NAT gateways at a cell of four nodes, each account served by two -- a server outside

`outside`  an account of which no node serves the noisy one
`inside`   one that shares a node with it, which no two accounts do with more than half of theirs

Each asks the server all the while, a datagram there and back every few milliseconds, in turn by a flow that is old and by one that is new.
Rounds of three kinds take turns: `quiet`; `flood`: the noisy one begins so many flows a second, and most are refused; `elsewhere`: it sends the same
datagrams to an address of its VPC that nobody has, so that its host drops them. Two cores do everything here: what the flood costs its sender and
its host, all others feel in `elsewhere` already, and only what is beyond that is the cell's.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bench.cell_path import private_instance, wait_until_settled
from bench.edge_topology import SERVER
from bench.path import PATIENCE, load, output_of, wait_for_listener
from bench.region import NAME, client_of, namespace_of, rookery, running_region, wait_for_ping
from rookery.dataplane.formats import TenantNumber
from rookery.hyperplane.rows import tenant_number
from rookery.region.layout import PAGE_ADDRESSES, Layout
from rookery.testing.cell_flows import leads_for, put_tenant, tenant

NODES, EDGE = 4, "edge-1"
NOBODY = "10.0.7.7"  # an address of the noisy one's VPC
ROOM = 2000  # flows that the noisy one may hold at each node: less than a second of its flood
KINDS = ("quiet", "elsewhere", "flood")
MOST_ACCOUNTS = 8
PACED = tuple(f"{flow}_{figure}" for flow in ("old", "new") for figure in ("p50_us", "p99_us", "lost"))


class Account(NamedTuple):
    number: str
    namespace: str  # of its instance
    shard: frozenset[str]  # addresses of nodes


def _account() -> Account:
    number, key = f"{secrets.randbelow(10**12):012d}", (f"AKIABENCH{secrets.token_hex(6).upper()}", secrets.token_hex(20))
    rookery("keys", "add", *key, "--account", number)
    instance = private_instance(client_of("ec2", key))
    wait_for_ping(namespace_of(instance), SERVER)
    return Account(number, namespace_of(instance), leads_for(NAME, EDGE, number))


def cast() -> dict[str, Account]:
    """Accounts are made until there are an insider and an outsider."""
    found = {"noisy": _account()}
    for _ in range(MOST_ACCOUNTS):
        one = _account()
        found.setdefault("inside" if one.shard & found["noisy"].shard else "outside", one)
        if len(found) == 3:
            return found
    raise RuntimeError(f"{MOST_ACCOUNTS} accounts, and all shards are alike: {found}")


def restrict(account: Account) -> None:
    """To so many flows more than it holds."""
    key = TenantNumber(tenant_number(account.number))
    for number in range(1, NODES + 1):
        held = tenant(NAME, f"node-{number}", key)
        put_tenant(NAME, f"node-{number}", key, held._replace(allowed=held.tracked + ROOM))


def held_by(account: Account) -> list[float]:
    """Of what it may, at each node."""
    rows = [tenant(NAME, f"node-{number}", TenantNumber(tenant_number(account.number))) for number in range(1, NODES + 1)]
    return [round(row.tracked / row.allowed, 3) for row in rows]


@contextmanager
def _noise(account: Account, kind: str, seconds: float, rate: int) -> Iterator[None]:
    if kind == "quiet":
        yield
        return
    address = SERVER if kind == "flood" else NOBODY
    flood = load(account.namespace, "flow-flood", address, str(seconds + PATIENCE), str(rate))
    try:
        if not flood.stdout or flood.stdout.readline() != "begun\n":
            raise RuntimeError("the flood does not begin")
        yield
    finally:
        flood.terminate()
        flood.wait()


def one_round(accounts: dict[str, Account], kind: str, seconds: float, rate: int) -> dict[str, dict[str, float]]:
    with _noise(accounts["noisy"], kind, seconds, rate):
        asking = {who: load(accounts[who].namespace, "paced", SERVER, str(seconds)) for who in ("outside", "inside")}
        return {who: output_of(process) for who, process in asking.items()}


def measure(rounds: int, seconds: float, rate: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, dict[str, float]]]] = {kind: [] for kind in KINDS}
    with running_region(hosts=2, edges=1, nodes=NODES):
        accounts = cast()
        wait_until_settled(NODES)
        restrict(accounts["noisy"])
        namespace = Layout(NAME).page_namespace
        server = load(namespace, "udp-echo", PAGE_ADDRESSES[0], str(10 * PATIENCE + rounds * len(KINDS) * (seconds + 5)))
        wait_for_listener(namespace, 5301, "u")
        for number in range(rounds):
            for kind in KINDS[:: 1 if number % 2 == 0 else -1]:
                found[kind].append(one_round(accounts, kind, seconds, rate))
            print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
        at_limit = held_by(accounts["noisy"])
        server.terminate()
        output_of(server)
    return {"rounds": rounds, "rate": rate, "held_of_allowed": at_limit, "figures": found, "summary": summary(found)}


def summary(found: dict[str, list[dict[str, dict[str, float]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """By who and figure: medians of each kind, and of the flood's ratio to the others of its round."""
    told: dict[str, dict[str, dict[str, float]]] = {}
    for who in ("outside", "inside"):
        told[who] = {}
        for figure in PACED:
            values = {kind: [one[who][figure] for one in rows] for kind, rows in found.items()}
            told[who][figure] = {kind: statistics.median(each) for kind, each in values.items()} | {
                f"flood / {base}": statistics.median(a / b if b else float(a == b) for a, b in zip(values["flood"], values[base], strict=True))
                for base in ("quiet", "elsewhere")
            }
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rate", type=int, default=4000, help="flows a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    told = measure(options.rounds, options.seconds, options.rate)
    if options.json:
        print(json.dumps(told))
        return
    for who, figures in told["summary"].items():
        for figure, values in figures.items():
            print(f"{who:<9}{figure:<14}" + "".join(f"  {name} {value:.4g}" for name, value in values.items()))
    print(f"the noisy one held {told['held_of_allowed']} of what it may")


if __name__ == "__main__":
    main()
