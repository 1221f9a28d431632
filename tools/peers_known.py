"""The peers that the project knows how to run by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mvfstrl.bench_networks import NETWORKS

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Peer:
    name: str
    part: str
    """`environment` or `training`; `both` where a command was given."""
    version: str
    script: str = ""
    """Ours, relative to the repository; takes the options of tools/peers/flow.py or tools/peers/race.py."""
    requirements: tuple[str, ...] = ()
    """Every package of its environment, pinned; without any it runs in .venv."""
    on_top: bool = False
    """Sees .venv's packages behind its own."""
    networks: tuple[str, ...] = ()
    command: tuple[str, ...] = field(default=())


_ALL = tuple(NETWORKS)
_NO_MEMORY = tuple(name for name, network in NETWORKS.items() if not network.lstm)

KNOWN: tuple[Peer, ...] = (
    Peer("ours", "environment", "this commit", "tools/peer_ours.py"),
    Peer("ours-gymnasium", "environment", "this commit", "tools/peers/ours_gymnasium_flow.py"),
    Peer(
        "ns-3",
        "environment",
        "3.44",
        "tools/peers/ns3_flow.py",
        (
            "ns3==3.44.post0",
            "cppyy==3.5.0",
            "cppyy-backend==1.15.3",
            "cppyy-cling==6.32.8",
            "CPyCppyy==1.13.0",
        ),
    ),
    Peer(
        "ns.py",
        "environment",
        "0.4.3",
        "tools/peers/nspy_flow.py",
        ("ns.py==0.4.3", "simpy==4.1.2", "networkx==3.6.1", "PyYAML==6.0.3"),
    ),
    Peer("ours-impala", "training", "this commit", "tools/peers/ours_impala.py", networks=_ALL),
    Peer("cleanrl-ppo", "training", "own script", "tools/peers/cleanrl_ppo.py", networks=_ALL),
    Peer(
        "torchrl-ppo",
        "training",
        "0.14.1",
        "tools/peers/torchrl_ppo.py",
        ("torchrl==0.14.1", "tensordict==0.14.3"),
        on_top=True,
        networks=_NO_MEMORY,
    ),
    Peer(
        "sample-factory",
        "training",
        "2.1.1",
        "tools/peers/sample_factory_appo.py",
        (
            "sample-factory==2.1.1",
            "signal-slot-mp==1.0.5",
            "tensorboardX==2.6.4",
            "colorlog==6.9.0",
            "psutil==7.1.0",
            "threadpoolctl==3.6.0",
            "huggingface-hub==0.34.4",
            "opencv-python-headless==4.12.0.88",
            "pyglet==2.1.19",
            "tqdm==4.70.1",
        ),
        on_top=True,
        networks=_ALL,
    ),
)
