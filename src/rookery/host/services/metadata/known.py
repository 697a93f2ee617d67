"""The guests' contents, made once for as long as nothing changes: a view's version is theirs."""

from __future__ import annotations

from rookery.host.services.metadata.contents import contents
from rookery.host.services.metadata.directory import Directory
from rookery.host.services.view import View
from rookery.intent.host import InstanceIntent


class KnownContents:
    def __init__(self, view: View):
        self._view = view
        self._version = view.version
        self._contents: dict[str, Directory] = {}

    def of(self, instance: InstanceIntent) -> Directory:
        """`instance` as the view has it now."""
        if self._view.version != self._version:
            self._version = self._view.version
            self._contents.clear()
        if instance.id not in self._contents:
            self._contents[instance.id] = contents(instance)
        return self._contents[instance.id]
