"""Many runs as one: the sweepers behind `python run.py -m`. sweeps/README.md tells how to write a sweep."""
