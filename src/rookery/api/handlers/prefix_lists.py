"""Managed prefix lists: named sets of blocks that routes and rules of security groups refer to.

A change of the entries is a new version; the last is the one in use. Everything is complete when the call returns. AWS has lists of
its own for its services; there are none of those services here, hence none of these lists.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.describe import describe
from rookery.api.errors import dependency_violation, invalid_combination, invalid_parameter, invalid_value
from rookery.api.filters import apply_filters
from rookery.api.handlers.prefix_list_entries import (
    Entries,
    canonical,
    check_family,
    check_fits,
    check_size,
    edited,
    given_entries,
    refuse_twice,
)
from rookery.api.handlers.prefix_list_uses import check_groups, check_routes, users_of
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import PrefixList

# A list with all its versions is one row of the store, written anew by each change; AWS keeps 1000.
KEPT_VERSIONS = 100
MOST_NAME = 255  # characters
LEAST_RESULTS = 1  # of a page

FILTERS = {
    "owner-id": lambda one, _view: one.account,
    "prefix-list-id": lambda one, _view: one.id,
    "prefix-list-name": lambda one, _view: one.name,
}


@operation("CreateManagedPrefixList")
def create_managed_prefix_list(request: Request, view: View) -> Outcome:
    given = request.parameters
    honour_only(given, {"PrefixListName", "Entries", "MaxEntries", "AddressFamily", "TagSpecifications"})
    most = check_size(given["MaxEntries"])
    family = check_family(given["AddressFamily"])
    entries = given_entries(given.get("Entries") or (), family)
    check_fits(entries, most)
    if len(view.all(PrefixList)) >= request.quotas.prefix_lists:
        raise ApiError("PrefixListLimitExceeded", "The maximum number of prefix lists has been reached.")
    made = PrefixList(
        account=request.account,
        region=request.region,
        id=request.ids.new(PrefixList.PREFIX),
        created=request.now,
        tags=tags_for(request, "prefix-list"),
        name=checked_name(given["PrefixListName"]),
        family=family,
        max_entries=most,
        versions=(entries,),
    )
    return Outcome(result={"PrefixList": shape(made, "create-in-progress")}, puts=(made,))


@redescribes("CreateManagedPrefixList")
def created_before(request: Request, view: View, made: Any) -> dict[str, Any]:
    return {"PrefixList": render(made[0], view)}


def checked_name(name: str) -> str:
    if not name or len(name) > MOST_NAME or name.startswith("com.amazonaws"):
        why = f"A name has 1 to {MOST_NAME} characters and does not start with com.amazonaws."
        raise invalid_value("PrefixListName", name[:80], why)
    return name


@operation("DescribeManagedPrefixLists")
def describe_managed_prefix_lists(request: Request, view: View) -> Outcome:
    return describe(request, view, PrefixList, "PrefixListIds", "PrefixLists", render, FILTERS)


def render(prefix_list: PrefixList, view: View) -> dict[str, Any]:
    return shape(prefix_list, prefix_list.state)


def shape(prefix_list: PrefixList, state: str) -> dict[str, Any]:
    """`ManagedPrefixList`."""
    return {
        "PrefixListId": prefix_list.id,
        "PrefixListArn": (
            f"arn:aws:ec2:{prefix_list.region}:{prefix_list.account}:prefix-list/{prefix_list.id}"
        ),
        "PrefixListName": prefix_list.name,
        "AddressFamily": prefix_list.family,
        "MaxEntries": prefix_list.max_entries,
        "State": state,
        "Version": len(prefix_list.versions),
        "OwnerId": prefix_list.account,
        "Tags": render_tags(prefix_list.tags),
    }


@operation("GetManagedPrefixListEntries")
def get_managed_prefix_list_entries(request: Request, view: View) -> Outcome:
    prefix_list = find(view, PrefixList, request.parameters["PrefixListId"])
    entries = version_of(prefix_list, request.parameters.get("TargetVersion"))
    chosen = page(request, entries, position=lambda entry: (0.0, entry.cidr), least=LEAST_RESULTS)
    shapes = [{"Cidr": entry.cidr, "Description": entry.description} for entry in chosen.items]
    return Outcome(result=chosen.result("Entries", shapes))


def version_of(prefix_list: PrefixList, version: int | None) -> Entries:
    """None: the current one. Raises InvalidParameterValue for one that is not, or no longer, kept."""
    current = len(prefix_list.versions)
    if version is None:
        return prefix_list.entries
    if not max(1, current - KEPT_VERSIONS + 1) <= version <= current:
        raise invalid_value("TargetVersion", version, f"There is no such version of {prefix_list.id}.")
    return prefix_list.versions[version - 1]


@operation("ModifyManagedPrefixList")
def modify_managed_prefix_list(request: Request, view: View) -> Outcome:
    given = request.parameters
    honour_only(
        given,
        {"PrefixListId", "CurrentVersion", "PrefixListName", "AddEntries", "RemoveEntries", "MaxEntries"},
        {"IpamPrefixListResolverSyncEnabled": (False,)},
    )
    before = find(view, PrefixList, given["PrefixListId"])
    edits = bool(given.get("AddEntries") or given.get("RemoveEntries"))
    if edits and given.get("MaxEntries") is not None:
        raise invalid_combination("The entries and the size of a prefix list cannot be modified at once.")
    if edits or given.get("CurrentVersion") is not None:
        check_version(before, given.get("CurrentVersion"))
    after = modified(request, before) if edits else before
    if given.get("MaxEntries") is not None:
        check_fits(before.entries, check_size(given["MaxEntries"]))
        after = replace(before, max_entries=given["MaxEntries"])
        check_groups(after, request, view)
    if given.get("PrefixListName") is not None:
        after = replace(after, name=checked_name(given["PrefixListName"]))
    return changed(request, view, replace(after, state="modify-complete"), "modify-in-progress")


def check_version(prefix_list: PrefixList, version: int | None) -> None:
    if version != len(prefix_list.versions):
        why = f"The prefix list has the incorrect version number: {prefix_list.id} is at version {len(prefix_list.versions)}."
        raise ApiError("PrefixListVersionMismatch", why)


def modified(request: Request, before: PrefixList) -> PrefixList:
    """With the entries of the request added and removed."""
    added = given_entries(request.parameters.get("AddEntries") or (), before.family)
    removed = [canonical(one["Cidr"], before.family) for one in request.parameters.get("RemoveEntries") or ()]
    refuse_twice(removed)
    return with_version(before, edited(before.entries, added, removed))


def with_version(before: PrefixList, entries: Entries) -> PrefixList:
    """A further version; what is older than the kept ones is emptied, so that the others keep their numbers."""
    check_fits(entries, before.max_entries)
    versions = (*before.versions, entries)
    gone = max(len(versions) - KEPT_VERSIONS, 0)
    return replace(before, versions=((),) * gone + versions[gone:])


def changed(request: Request, view: View, after: PrefixList, state: str) -> Outcome:
    check_routes(after, request, view)
    return Outcome(result={"PrefixList": shape(after, state)}, puts=(after,))


@operation("RestoreManagedPrefixListVersion")
def restore_managed_prefix_list_version(request: Request, view: View) -> Outcome:
    """A new version with the entries of an old one."""
    before = find(view, PrefixList, request.parameters["PrefixListId"])
    check_version(before, request.parameters["CurrentVersion"])
    previous = request.parameters["PreviousVersion"]
    if previous == len(before.versions):
        raise invalid_parameter(f"Version {previous} is the current version of {before.id}")
    after = with_version(before, version_of(before, previous))
    return changed(request, view, replace(after, state="restore-complete"), "restore-in-progress")


@operation("DeleteManagedPrefixList")
def delete_managed_prefix_list(request: Request, view: View) -> Outcome:
    prefix_list = find(view, PrefixList, request.parameters["PrefixListId"])
    if users_of(prefix_list, view):
        raise dependency_violation("prefixList", prefix_list.id)
    return Outcome(result={"PrefixList": shape(prefix_list, "delete-in-progress")}, deletes=(prefix_list,))


@operation("GetManagedPrefixListAssociations")
def get_managed_prefix_list_associations(request: Request, view: View) -> Outcome:
    prefix_list = find(view, PrefixList, request.parameters["PrefixListId"])
    chosen = page(request, users_of(prefix_list, view))
    shapes = [{"ResourceId": one.id, "ResourceOwner": one.account} for one in chosen.items]
    return Outcome(result=chosen.result("PrefixListAssociations", shapes))


@operation("DescribePrefixLists")
def describe_prefix_lists(request: Request, view: View) -> Outcome:
    """Those of AWS's services: there are none. The names of filters are checked all the same."""
    wanted = request.parameters.get("PrefixListIds") or ()
    if wanted:
        why = f"The prefix list ID '{wanted[0]}' does not exist"
        raise ApiError("InvalidPrefixListId.NotFound", why)
    none: list[PrefixList] = []
    apply_filters(none, request.parameters.get("Filters"), FILTERS, view)
    return Outcome(result=page(request, none).result("PrefixLists", []))
