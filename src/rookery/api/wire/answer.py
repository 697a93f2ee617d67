"""The envelopes of answers and errors, as the two protocols write them."""

from __future__ import annotations

from typing import Any

from rookery.api.operation import ApiError
from rookery.api.wire.serialize import escape
from rookery.api.wire.service import BALANCING, MONITORING, Service, WireOperation

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

# Of errors, which may have to be told before a service's model is known.
QUERY_NAMESPACES = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    BALANCING: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    MONITORING: "http://monitoring.amazonaws.com/doc/2010-08-01/",
}


def answer(service: Service, operation: WireOperation, result: dict[str, Any], request_id: str) -> bytes:
    """Raises KeyError for a result that the operation's model does not know: a mistake of the handler."""
    body = operation.body(_completed(operation, result))
    text = _ec2(operation, body, request_id) if service.is_ec2 else _query(operation, body, request_id)
    return f'{_HEAD}<{operation.name}Response xmlns="{service.namespace}">{text}</{operation.name}Response>'.encode()


def _completed(operation: WireOperation, result: dict[str, Any]) -> dict[str, Any]:
    if operation.returns_true and "Return" not in result:
        return {"Return": True, **result}
    return result


def _ec2(operation: WireOperation, body: str, request_id: str) -> str:
    if operation.answers_return:
        body = "<return>true</return>"
    return f"<requestId>{request_id}</requestId>{body}"


def _query(operation: WireOperation, body: str, request_id: str) -> str:
    wrapper = operation.result_wrapper
    wrapped = f"<{wrapper}>{body}</{wrapper}>" if wrapper else ""
    return f"{wrapped}<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"


def error_answer(error: ApiError, request_id: str, service_name: str) -> bytes:
    """For a service of the query protocol in that form, for everything else in EC2's."""
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    namespace = QUERY_NAMESPACES.get(service_name)
    if namespace:
        kind = "Sender" if error.status < 500 else "Receiver"
        return (
            f'{_HEAD}<ErrorResponse xmlns="{namespace}"><Error><Type>{kind}</Type>{inner}'
            f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        ).encode()
    return (
        f"{_HEAD}<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    ).encode()
