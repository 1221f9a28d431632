"""Learning agents, one package each."""
