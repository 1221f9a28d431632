"""Overrides of a training that takes seconds in a process of its own. What it learns is not looked at."""

TINY = [
    "agent=impala",
    "env=constant",
    "tracker=none",
    "actors.simulated=8",
    "actors.threads=1",
    "agent.network.hidden_size=8",
    "agent.unroll_length=20",
    "agent.batch_size=4",
    "env.episode_ms=3000",
]
