"""The services that the front speaks, from botocore's own models: which operations exist, and how each is read and written.

A service is called as its credential scope says; botocore's model of ELBv2 has a name of its own.

Parsers and serialisers are compiled from the model on an operation's first use and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from rookery.api.wire.parse import Parser, compile_parser
from rookery.api.wire.serialize import compile_serializer
from rookery.api.wire.structured import checked, compile_reader

Serializer = Callable[[dict[str, Any]], str]

BALANCING = "elasticloadbalancing"
MONITORING = "monitoring"
_MODELS = {BALANCING: "elbv2", MONITORING: "cloudwatch"}


class WireOperation:
    """One operation of a service."""

    def __init__(self, model: OperationModel, is_ec2: bool, service_name: str = "ec2"):
        self._model = model
        self.service = service_name
        self._is_ec2 = is_ec2
        self.name: str = model.name
        self.is_read_only = model.name.startswith(("Describe", "Get", "Search", "List"))
        members = model.input_shape.members if model.input_shape else {}
        self.takes_token = "ClientToken" in members

    @cached_property
    def parse(self) -> Parser:
        """The tree of a form (wire.form.tree) as typed parameters. Raises ApiError."""
        return compile_parser(self._model.input_shape, self._is_ec2)

    @cached_property
    def body(self) -> Serializer:
        """A result as the XML inside the answer's envelope."""
        return compile_serializer(self._model.output_shape)

    @cached_property
    def read(self) -> Parser:
        """What JSON or CBOR was of a body as typed parameters. Raises ApiError."""
        return compile_reader(self._model.input_shape)

    def checked(self, result: dict[str, Any]) -> dict[str, Any]:
        """A result as JSON or CBOR have it. Raises KeyError: the model does not know all of it."""
        return checked(self._model.output_shape, result)

    @cached_property
    def answers_return(self) -> bool:
        """EC2 operations without another answer say `<return>true</return>`."""
        shape = self._model.output_shape
        return self._is_ec2 and (shape is None or not shape.members)

    @cached_property
    def returns_true(self) -> bool:
        shape = self._model.output_shape
        return shape is not None and "Return" in shape.members

    @cached_property
    def result_wrapper(self) -> str:
        """The query protocol's element around a result."""
        shape = self._model.output_shape
        return shape.serialization.get("resultWrapper", f"{self.name}Result") if shape else ""


class Service:
    """One API: "ec2", "sts", "elasticloadbalancing" or "monitoring"."""

    def __init__(self, name: str):
        known_as = _MODELS.get(name, name)
        self._model = ServiceModel(Loader().load_service_model(known_as, "service-2"), known_as)
        self.name = name
        self.version: str = self._model.metadata["apiVersion"]
        self.namespace: str = self._model.metadata["xmlNamespace"].rstrip("/") + "/"
        self.is_ec2: bool = self._model.metadata["protocol"] == "ec2"
        self.target: str = self._model.metadata.get("targetPrefix", "")
        self._operations: dict[str, WireOperation] = {}
        self._names = frozenset(self._model.operation_names)

    @cached_property
    def _error_shapes(self) -> dict[str, str]:
        return {shape.error_code: shape.name for shape in self._model.error_shapes}

    def error_shape(self, code: str) -> str:
        """The code itself where the model has no shape for it."""
        return self._error_shapes.get(code, code)

    @property
    def operation_names(self) -> frozenset[str]:
        return self._names

    def operation(self, name: str) -> WireOperation | None:
        """None: the model does not know it."""
        found = self._operations.get(name)
        if found is None and name in self._names:
            found = WireOperation(self._model.operation_model(name), self.is_ec2, self.name)
            self._operations[name] = found
        return found


@cache
def service(name: str) -> Service:
    """Loading EC2's model takes some hundred milliseconds: once a process."""
    return Service(name)
