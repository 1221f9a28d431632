"""Reinforcement-learning congestion control for QUIC."""
