"""Where each thing lies in the store. The only place where a store key is spelled."""

from __future__ import annotations

from rookery.model.objects import Resource

INTENDED = "intended/"
CLAIMS = "claims/"
PUBLIC_CLAIMS = "claims/public/"
HOSTS = "infrastructure/host/"
POOLS = "infrastructure/pool/"
CELLS = "infrastructure/cell/"
SHARDS = "infrastructure/shard/"
REVOCATIONS = "infrastructure/revocation/"
OBSERVED = "observed/"  # what hosts say, and how far they are
OBSERVED_INSTANCES = "observed/instance/"
OBSERVED_CONSOLES = "observed/console/"
OBSERVED_CELLS = "observed/cell/"
OBSERVED_HEALTH = "observed/health/"
ROOM = "room/"
LIVE = "observed/live"
CREDENTIALS = "credentials/"
TOKENS = "tokens/"
ACCOUNTS = "accounts/"


def resource_key(account: str, region: str, kind: str, resource_id: str) -> str:
    return f"{INTENDED}{account}/{region}/{kind}/{resource_id}"


def key_of(resource: Resource) -> str:
    return resource_key(resource.account, resource.region, resource.KIND, resource.id)


def head_key(account: str, region: str) -> str:
    """Changed by every transaction of this account in this region: comparing it makes them serializable."""
    return f"{ACCOUNTS}{account}/{region}/head"


def vni_claim(vni: int) -> str:
    """Exists while a VPC of any account owns this VNI."""
    return f"{CLAIMS}vni/{vni:06x}"


def number_claim(number: int) -> str:
    """Exists while a subnet, interface, route table or network ACL of any account owns this number."""
    return f"{CLAIMS}number/{number:08x}"


def token_key(account: str, region: str, operation: str, token: str) -> str:
    return f"{TOKENS}{account}/{region}/{operation}/{token}"


def instance_status_key(instance_id: str) -> str:
    return f"{OBSERVED_INSTANCES}{instance_id}"


def console_key(instance_id: str) -> str:
    return f"{OBSERVED_CONSOLES}{instance_id}"


def host_key(name: str) -> str:
    return f"{HOSTS}{name}"


def revocation_key(name: str) -> str:
    return f"{REVOCATIONS}{name}"


def pool_key(cidr: str) -> str:
    return f"{POOLS}{cidr.partition('/')[0]}"


def public_claim(address: str) -> str:
    """Exists while an account holds this public address, allocated or assigned."""
    return f"{PUBLIC_CLAIMS}{address}"


def credential_key(access_key: str) -> str:
    return f"{CREDENTIALS}{access_key}"


def cell_key(name: str) -> str:
    return f"{CELLS}{name}"


def room_key(cell: str) -> str:
    """Changed by every transaction that takes rows of the cell: comparing it makes them serializable, whosoever they are."""
    return f"{ROOM}{cell}"


def shard_key(cell: str, account: str) -> str:
    return f"{SHARDS}{cell}/{account}"


def cell_status_key(name: str) -> str:
    return f"{OBSERVED_CELLS}{name}"


def target_health_key(cell: str) -> str:
    """What a cell's checks found, of all its targets."""
    return f"{OBSERVED_HEALTH}{cell}"
