"""DescribeVolumes: there are none, which is what clients that look for an instance's disks need to hear."""

from __future__ import annotations

from rookery.api.errors import is_well_formed
from rookery.api.operation import ApiError, Outcome, Request, View, operation


@operation("DescribeVolumes")
def describe_volumes(request: Request, view: View) -> Outcome:
    for volume_id in request.parameters.get("VolumeIds") or ():
        if not is_well_formed("vol", volume_id):
            raise ApiError("InvalidParameterValue", f'Invalid id: "{volume_id}" (expecting "vol-...")')
        raise ApiError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
    return Outcome(result={"Volumes": []})
