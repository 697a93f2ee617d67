"""How an agent ends that has lost a device: a sentence for main, whatever group of tasks it came out of."""

from __future__ import annotations

import pytest

from rookery.host.start import DeviceLost, StartRefused, ends_with_its_devices


def test_a_lost_device_is_a_refusal_to_go_on():
    with pytest.raises(StartRefused, match="u0 is gone"), ends_with_its_devices():
        raise ExceptionGroup("tasks", [DeviceLost("the device u0 is gone")])


def test_any_other_end_of_the_tasks_stays_what_it_is():
    with pytest.raises(ExceptionGroup), ends_with_its_devices():
        raise ExceptionGroup("tasks", [OSError("the disk is full")])
