"""CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair. Private keys are answered once and never stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rookery.api.describe import select
from rookery.api.errors import invalid_value, missing_parameter
from rookery.api.filters import apply_filters
from rookery.api.handlers.key_material import NewKey, PublicHalf, imported_key, new_key
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import ApiError, Outcome, Request, View, draws, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import KeyPair

LONGEST_NAME = 255

FILTERS = {
    "key-pair-id": lambda pair, view: pair.id,
    "key-name": lambda pair, view: pair.name,
    "fingerprint": lambda pair, view: pair.fingerprint,
}


@operation("CreateKeyPair")
def create_key_pair(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"KeyName", "KeyType", "TagSpecifications"}, {"KeyFormat": ("pem",)})
    name, tags = checked_new_pair(request, view)
    key: NewKey = request.drawn
    pair = new_pair(request, name, tags, key.public)
    return Outcome(result={**summary(pair), "KeyMaterial": key.private}, puts=(pair,))


@draws("CreateKeyPair")
def drawn_key(parameters: Mapping[str, Any]) -> NewKey:
    return new_key(parameters.get("KeyType") or "rsa")


@operation("ImportKeyPair")
def import_key_pair(request: Request, view: View) -> Outcome:
    name, tags = checked_new_pair(request, view)
    pair = new_pair(request, name, tags, imported_key(request.parameters["PublicKeyMaterial"]))
    return Outcome(result=summary(pair), puts=(pair,))


def checked_new_pair(request: Request, view: View) -> tuple[str, dict[str, str]]:
    name = request.parameters["KeyName"]
    if not name.strip() or len(name) > LONGEST_NAME or not name.isascii():
        raise invalid_value("KeyName", name, f"A name has 1 to {LONGEST_NAME} ASCII characters.")
    if named(view, name):
        raise ApiError("InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")
    if len(view.all(KeyPair)) >= request.quotas.key_pairs:
        raise ApiError("KeyPairLimitExceeded", "The maximum number of key pairs has been reached.")
    return name, tags_for(request, "key-pair")


def new_pair(request: Request, name: str, tags: dict[str, str], key: PublicHalf) -> KeyPair:
    return KeyPair(
        account=request.account,
        region=request.region,
        id=request.ids.new(KeyPair.PREFIX),
        created=request.now,
        tags=tags,
        name=name,
        key_type=key.type,
        fingerprint=key.fingerprint,
        public_key=f"{key.openssh} {name}",
    )


def summary(pair: KeyPair) -> dict[str, Any]:
    return {
        "KeyPairId": pair.id,
        "KeyName": pair.name,
        "KeyFingerprint": pair.fingerprint,
        "Tags": render_tags(pair.tags),
    }


def named(view: View, name: str) -> KeyPair | None:
    return next((pair for pair in view.all(KeyPair) if pair.name == name), None)


def key_pair_named(view: View, name: str) -> KeyPair:
    """Raises InvalidKeyPair.NotFound."""
    pair = named(view, name)
    if pair is None:
        raise ApiError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    return pair


@operation("DescribeKeyPairs")
def describe_key_pairs(request: Request, view: View) -> Outcome:
    names = request.parameters.get("KeyNames")
    if names:
        pairs = [key_pair_named(view, name) for name in dict.fromkeys(names)]
        pairs = apply_filters(pairs, request.parameters.get("Filters"), FILTERS, view)
    else:
        pairs = select(request, view, KeyPair, "KeyPairIds", FILTERS)
    with_key = bool(request.parameters.get("IncludePublicKey"))
    return Outcome(result={"KeyPairs": [described(pair, with_key) for pair in pairs]})


def described(pair: KeyPair, with_key: bool) -> dict[str, Any]:
    shape = {**summary(pair), "KeyType": pair.key_type, "CreateTime": pair.created}
    if with_key:
        shape["PublicKey"] = pair.public_key
    return shape


@operation("DeleteKeyPair")
def delete_key_pair(request: Request, view: View) -> Outcome:
    """What does not exist is deleted already."""
    name, pair_id = request.parameters.get("KeyName") or "", request.parameters.get("KeyPairId") or ""
    if not name and not pair_id:
        raise missing_parameter("KeyName or KeyPairId")
    pair = view.get(KeyPair, pair_id) if pair_id else named(view, name)
    if pair is None or (name and pair.name != name):
        return Outcome(result={"Return": True})
    return Outcome(result={"Return": True, "KeyPairId": pair.id}, deletes=(pair,))
