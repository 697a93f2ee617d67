"""The little that intent reads of each thing: the model's resources have it, and so have the facts that the mapping service
keeps of them (rookery.mapping.facts)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rookery.model.objects import CidrAssociation, RouteTableAssociation


class VpcThing(Protocol):
    @property
    def vni(self) -> int: ...

    @property
    def cidr_associations(self) -> tuple[CidrAssociation, ...]: ...


class SubnetThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def cidr(self) -> str: ...


class TableThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def associations(self) -> tuple[RouteTableAssociation, ...]: ...


class AttachmentThing(Protocol):
    @property
    def device_index(self) -> int: ...


class InterfaceThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def mac(self) -> str: ...

    @property
    def addresses(self) -> Sequence[str]: ...

    @property
    def primary(self) -> str: ...

    @property
    def source_dest_check(self) -> bool: ...

    @property
    def attachment(self) -> AttachmentThing | None: ...


class InstanceThing(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def wanted(self) -> str: ...

    @property
    def boot(self) -> int: ...

    @property
    def user_data(self) -> str: ...
