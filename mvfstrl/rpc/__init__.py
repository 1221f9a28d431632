"""The policy server and who asks it: actors in other processes or on other hosts, over gRPC."""

PROTOCOL = 2
"""Version of what actors.proto says within its package."""
METHOD = "/mvfstrl.rpc.v1.Actors/Play"
MESSAGE_BYTES = 256 * 1024
"""A longer message than that is refused: an observation has less than a hundredth of it."""
