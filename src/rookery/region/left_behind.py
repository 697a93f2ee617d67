"""Tables that hosts of an earlier life left pinned, packets still running over them: does this build know their form?"""

from __future__ import annotations

from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.errors import DataplaneError, IncompatiblePins
from rookery.dataplane.host import HostDataplane
from rookery.hyperplane import cell_file
from rookery.region.called import COMMAND
from rookery.region.errors import CannotStart
from rookery.region.layout import BPF_OBJECTS
from rookery.region.settings import Settings


def check(settings: Settings) -> None:
    """Before anything is begun: the agents would refuse, one after the other. Raises CannotStart."""
    name = settings.name
    nodes: list[tuple[str, type[HostDataplane | EdgeDataplane | CellDataplane]]] = [
        *((host, HostDataplane) for host in settings.host_names),
        *((edge, EdgeDataplane) for edge in settings.edge_names),
        *((node, CellDataplane) for node in settings.node_names),
    ]
    for node, dataplane in nodes:
        try:
            dataplane.check_pins(settings.layout.pins / node, BPF_OBJECTS)
            CellDataplane.check_halves(settings.layout.pins / node, cell_file.SERVICES.rows, cell_file.TARGETS.rows)
        except IncompatiblePins as error:
            raise CannotStart(
                f"another build of Rookery left the region {name} behind, and its tables have another form. "
                f"Its instances have to end: {COMMAND} down --keep-data --name {name}, then up again boots them anew"
            ) from error
        except DataplaneError as error:
            raise CannotStart(str(error)) from error
