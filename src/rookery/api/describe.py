"""Describe calls: ids, filters and pages, the same for every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rookery.api.filters import Filters, apply_filters
from rookery.api.lookup import find_all
from rookery.api.operation import Outcome, Request, View
from rookery.api.pages import Page, page
from rookery.model.objects import Resource

R = TypeVar("R", bound=Resource)


def describe(  # noqa: PLR0917
    request: Request,
    view: View,
    kind: type[R],
    ids_member: str,
    result_member: str,
    render: Callable[[R, View], dict[str, Any]],
    filters: Filters,
) -> Outcome:
    """The whole handler of most describe calls.

    `ids_member` is the parameter with ids ("VpcIds"), `result_member` the result's list ("Vpcs"), `render` makes
    one element of it, `filters` says which values of a resource each filter compares."""
    chosen = select_page(request, view, kind, ids_member, filters)
    return Outcome(result=chosen.result(result_member, [render(one, view) for one in chosen.items]))


def select(request: Request, view: View, kind: type[R], ids_member: str, filters: Filters) -> list[R]:
    """By ids (all of them must exist) and filters; in order of creation."""
    ids = request.parameters.get(ids_member)
    resources = find_all(view, kind, ids) if ids else view.all(kind)
    return apply_filters(resources, request.parameters.get("Filters"), filters, view)


def select_page(request: Request, view: View, kind: type[R], ids_member: str, filters: Filters) -> Page:
    """`select`, and of that the page asked for: for calls that render in their own way (DescribeInstances)."""
    return page(request, select(request, view, kind, ids_member, filters), ids_member)
