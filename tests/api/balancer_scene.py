"""What tests of load balancers stand on: an account in memory, two zones, a cell of four nodes for each.

internet -- igw -- VPC 10.0.0.0/16 -- subnet a 10.0.1.0/24 (zone a, cell-0: node-0-0 .. node-0-3)
                                   \\- subnet b 10.0.2.0/28 (zone b, cell-1: node-1-0 .. node-1-3)      pool 198.18.0.0/24
"""

from __future__ import annotations

from rookery.api.operation import ApiError
from rookery.intent.balancing import balancing_intent
from rookery.intent.state import State
from rookery.model.balancers import Listener, LoadBalancer, TargetGroup
from rookery.model.codec import KINDS, encode
from rookery.model.keys import key_of
from rookery.model.objects import Cell, NetworkInterface, PrivateZone, TargetHealth
from rookery.store.interface import Entry
from tests.api.edge_scene import public_account
from tests.api.instance_scene import running

ELB = "elasticloadbalancing"
HEALTHY, FAILED = ("healthy", ""), ("unhealthy", "Target.FailedHealthChecks")


def balanced_account():
    here = public_account()
    for zone in (0, 1):
        name = f"cell-{zone}"
        nodes = tuple(f"node-{zone}-{n}" for n in range(4))
        here.view.given_cells[name] = Cell(name=name, zones=(zone,), nodes=nodes)
    return here


def elb(here, operation, **parameters):
    return here.view.call(operation, service=ELB, **parameters)


def refusal(here, operation, **parameters):
    """The code that it is refused with; nothing has changed then."""
    before = here.view.revision
    try:
        result = elb(here, operation, **parameters)
    except ApiError as error:
        assert here.view.revision == before
        return error.code
    raise AssertionError(f"{operation} was not refused but answered {result}")


def balance(here, name="web", *, works=True, **parameters):
    """A network load balancer, its shape. In both zones and internal unless said otherwise."""
    usual = {"Type": "network", "Scheme": "internal", "Subnets": [here.a.id, here.b.id]}
    if "SubnetMappings" in parameters:
        del usual["Subnets"]
    (made,) = elb(here, "CreateLoadBalancer", Name=name, **{**usual, **parameters})["LoadBalancers"]
    if works:
        here.view.cells_work()
    return made


def group(here, name="web", **parameters):
    """A target group's ARN; TCP 80 to instances unless said otherwise."""
    usual = {"Protocol": "TCP", "Port": 80, "VpcId": here.vpc.id}
    (made,) = elb(here, "CreateTargetGroup", Name=name, **{**usual, **parameters})["TargetGroups"]
    return made["TargetGroupArn"]


def forward(*arns_and_weights):
    if len(arns_and_weights) == 1:
        return [{"Type": "forward", "TargetGroupArn": arns_and_weights[0]}]
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in arns_and_weights]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]


def listen(here, balancer, *targets, port=80, protocol="TCP", **parameters):
    """A listener's shape."""
    (made,) = elb(
        here,
        "CreateListener",
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Port=port,
        Protocol=protocol,
        DefaultActions=forward(*targets),
        **parameters,
    )["Listeners"]
    return made


def register(here, arn, *targets):
    """Targets: ids, or (id, port)."""
    elb(here, "RegisterTargets", TargetGroupArn=arn, Targets=[named(target) for target in targets])


def deregister(here, arn, *targets):
    elb(here, "DeregisterTargets", TargetGroupArn=arn, Targets=[named(target) for target in targets])


def named(target):
    return {"Id": target} if isinstance(target, str) else {"Id": target[0], "Port": target[1]}


def target_health(here, arn, **parameters):
    """By (id, port): state and reason."""
    told = elb(here, "DescribeTargetHealth", TargetGroupArn=arn, **parameters)["TargetHealthDescriptions"]
    return {
        (one["Target"]["Id"], one["Target"]["Port"]): (
            one["TargetHealth"]["State"],
            one["TargetHealth"]["Reason"] or "",
        )
        for one in told
    }


def attributes(here, operation, **parameters):
    return {one["Key"]: one["Value"] for one in elb(here, operation, **parameters)["Attributes"]}


def modify(here, operation, values, **parameters):
    pairs = [{"Key": key, "Value": value} for key, value in values.items()]
    elb(here, operation, Attributes=pairs, **parameters)


def checks_find(here, arn, words, cell="cell-0"):
    """`words`: by "address:port"."""
    here.view.found_health[cell] = TargetHealth(cell=cell, targets={stored_group(here, arn).id: words})


def stored_balancer(here, name="web"):
    return next(one for one in here.view.all(LoadBalancer) if one.name == name)


def stored_group(here, arn):
    return next(one for one in here.view.all(TargetGroup) if arn.endswith(one.digits))


def stored_listener(here, arn):
    return next(one for one in here.view.all(Listener) if arn.endswith(one.digits))


def fronts(here, name="web"):
    """The balancer's interfaces, by zone."""
    balancer = stored_balancer(here, name)
    return {zone.zone: here.view.get(NetworkInterface, zone.interface_id) for zone in balancer.zones}


def records(here, name="web"):
    """What its names lead to."""
    balancer = stored_balancer(here, name)
    zone = here.view.get(PrivateZone, f"zone-0{balancer.digits}")
    return {record.name.removesuffix(zone.name): record.values for record in zone.records}


def state_now(here):
    kept = [one for kind in KINDS.values() for one in here.view.all(kind)]
    return State([Entry(key_of(one), encode(one), 1) for one in kept], here.view.revision, 1500)


def intent(here, words, cell="cell-0"):
    """What the cell must hold. `words`: what its checks found, by target group's id and "address:port"."""
    state = state_now(here)
    return balancing_intent(state, Cell(name=cell, zones=(), nodes=()), TargetHealth(cell=cell, targets=words))


def web_instances(here, count=2):
    """Running: one in subnet a, one in subnet b, and so on."""
    homes = (here.a, here.b)
    return [running(here, SubnetId=homes[n % 2].id) for n in range(count)]


def address_of(here, instance_id):
    return next(
        one.primary
        for one in here.view.all(NetworkInterface)
        if one.attachment and one.attachment.instance_id == instance_id and not one.attachment.device_index
    )
