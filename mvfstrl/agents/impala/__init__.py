"""IMPALA (Espeholt et al. 2018): asynchronous actors and a V-trace learner."""
