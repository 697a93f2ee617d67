"""A data plane as if it were newly loaded: loading takes most of a second, emptying its tables a hundredth."""

from __future__ import annotations

from rookery.dataplane.counters import OVERFLOW_DEVICE
from rookery.dataplane.formats import BusyConstant
from rookery.dataplane.host import HostDataplane
from tests.dataplane import plan
from tests.dataplane.rule_rows import clear_rules


def clear(real: HostDataplane) -> None:
    for table in (real.interfaces, real.local_interfaces, real.mappings, real.routes,
                  real.delegated, real.forwarders, real.peerings, real.service_budgets, real.interface_devices):  # fmt: skip
        table.delete_many([key for key, _ in table.items()])
    clear_rules(real)
    counted = {key.ifindex for key in real.counters()} - {OVERFLOW_DEVICE}
    for device in counted | {plan.DEVICE, plan.DEVICE + BusyConstant.DEVICES}:
        real.forget_counters(device)
    real.poll_events()  # nobody is told of what earlier tests sampled
