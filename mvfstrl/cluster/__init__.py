"""Runs on a SLURM cluster: the launcher of sweeps, what becomes of a run that must make room, and the command
`python -m mvfstrl.cluster` for jobs that were left alone."""
