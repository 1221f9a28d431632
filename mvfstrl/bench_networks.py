"""The networks that benchmarks measure, ours and other libraries', by the names that figures give them."""

from __future__ import annotations

from mvfstrl.agents.impala.config import NetworkConfig

NETWORKS = {
    "h128_mlp": NetworkConfig(hidden_size=128, lstm=False),
    "h128_lstm": NetworkConfig(hidden_size=128, lstm=True),
    "h512_mlp": NetworkConfig(hidden_size=512, lstm=False),
    "h512_lstm": NetworkConfig(hidden_size=512, lstm=True),
}
