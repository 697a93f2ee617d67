"""How the user called us, so that a command in a message can be copied as it stands."""

from __future__ import annotations

import os

COMMAND = os.environ.get("ROOKERY_COMMAND", "rookery")
"""Set by the launcher to the word it was called by: ./rookery, a path, or a link's."""
