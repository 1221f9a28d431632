"""What can go wrong with a real connection."""

from __future__ import annotations

from mvfstrl.errors import MvfstrlError


class RealtimeError(MvfstrlError):
    """A connection, or a process of one, that did not come up or did not last."""
