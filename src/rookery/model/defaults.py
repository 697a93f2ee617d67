"""What a region has where nobody says otherwise. Sizes are of IP packets, in bytes."""

from __future__ import annotations

API_PORT = 4580
INSTANCE_MTU = 1500
SUBSTRATE_MTU = 1700  # 1500 + 66 of Geneve, and room for options to come
JUMBO_INSTANCE_MTU = 9001
JUMBO_SUBSTRATE_MTU = 9216
