"""CreateListener, ModifyListener, DescribeListeners, DeleteListener: TCP, UDP or both, on a port of a network load balancer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.balancer_arns import (
    balancer_of,
    find_balancer,
    find_listener,
    listener_arn,
    new_id,
)
from rookery.api.handlers.balancer_names import checked_tags
from rookery.api.handlers.balancer_pages import balancing_page
from rookery.api.handlers.listener_actions import COMPATIBLE, actions_shape, check_listener, forwards_in
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.model.balancers import Listener, LoadBalancer

_UNBUILT = ("TLS", "QUIC", "TCP_QUIC")


@balancing_operation("CreateListener")
def create_listener(request: Request, view: View) -> Outcome:
    """The same call again answers what the first one made."""
    parameters = request.parameters
    honour_only(parameters, {"LoadBalancerArn", "Protocol", "Port", "DefaultActions", "Tags"})
    balancer = find_balancer(view, parameters["LoadBalancerArn"])
    if not parameters.get("Protocol") or parameters.get("Port") is None:
        raise ApiError("ValidationError", "A port and a protocol must be specified")
    made = Listener(
        account=request.account,
        region=request.region,
        id=new_id(request, Listener),
        created=request.now,
        tags=checked_tags(parameters.get("Tags")),
        balancer_id=balancer.id,
        port=parameters["Port"],
        protocol=checked_protocol(parameters["Protocol"]),
        forwards=forwards_in(view, parameters["DefaultActions"]),
    )
    before = at_port(view, balancer, made.port)
    if before is not None:
        if (before.protocol, before.forwards, before.tags) != (made.protocol, made.forwards, made.tags):
            raise port_taken(made.port)
        return Outcome(result={"Listeners": [listener_shape(view, before)]})
    if len(listeners_of(view, balancer)) >= request.quotas.listeners_per_balancer:
        raise ApiError("TooManyListeners", "The maximum number of listeners has been reached")
    check_listener(request, view, balancer, made)
    return Outcome(result={"Listeners": [listener_shape(view, made)]}, puts=(made,))


def checked_protocol(protocol: str) -> str:
    """Raises UnsupportedProtocol, UnsupportedOperation."""
    if protocol in _UNBUILT:
        raise unsupported(f"Listeners of the protocol '{protocol}' are not supported by Rookery yet.")
    if protocol not in COMPATIBLE:
        why = f"Network load balancers do not support the protocol '{protocol}'"
        raise ApiError("UnsupportedProtocol", why)
    return protocol


def at_port(view: View, balancer: LoadBalancer, port: int) -> Listener | None:
    """One for each port: TCP and UDP share it as TCP_UDP."""
    return next((one for one in listeners_of(view, balancer) if one.port == port), None)


def port_taken(port: int) -> ApiError:
    return ApiError(
        "DuplicateListener", f"A listener already exists on the port {port} of this load balancer"
    )


def listeners_of(view: View, balancer: LoadBalancer) -> list[Listener]:
    return [one for one in view.all(Listener) if one.balancer_id == balancer.id]


@balancing_operation("ModifyListener")
def modify_listener(request: Request, view: View) -> Outcome:
    """What is not said stays."""
    parameters = request.parameters
    honour_only(parameters, {"ListenerArn", "Protocol", "Port", "DefaultActions"})
    before = find_listener(view, parameters["ListenerArn"])
    balancer = balancer_of(view, before)
    actions = parameters.get("DefaultActions")
    after: Listener = replace(
        before,
        port=parameters.get("Port", before.port),
        protocol=checked_protocol(parameters.get("Protocol") or before.protocol),
        forwards=forwards_in(view, actions) if actions else before.forwards,
    )
    holder = at_port(view, balancer, after.port)
    if holder is not None and holder.id != after.id:
        raise port_taken(after.port)
    check_listener(request, view, balancer, after)
    return Outcome(
        result={"Listeners": [listener_shape(view, after)]}, puts=(after,) if after != before else ()
    )


@balancing_operation("DescribeListeners")
def describe_listeners(request: Request, view: View) -> Outcome:
    """Of one load balancer, or these ones."""
    arns, balancer = request.parameters.get("ListenerArns"), request.parameters.get("LoadBalancerArn")
    if bool(arns) == bool(balancer):
        why = "Either a load balancer ARN or listener ARNs must be specified"
        raise ApiError("ValidationError", why)
    found = (
        [find_listener(view, arn) for arn in dict.fromkeys(arns)]
        if arns
        else listeners_of(view, find_balancer(view, balancer or ""))
    )
    return Outcome(result=balancing_page(request, found, "Listeners", lambda one: listener_shape(view, one)))


@balancing_operation("DeleteListener")
def delete_listener(request: Request, view: View) -> Outcome:
    """Raises ListenerNotFound when it is gone already: only balancers and target groups go twice."""
    return Outcome(deletes=(find_listener(view, request.parameters["ListenerArn"]),))


def listener_shape(view: View, listener: Listener) -> dict[str, Any]:
    """`Listener`."""
    return {
        "ListenerArn": listener_arn(view, listener),
        "LoadBalancerArn": balancer_of(view, listener).arn,
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": actions_shape(view, listener.forwards),
    }
