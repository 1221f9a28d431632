"""Real QUIC connections over emulated paths, driven by the native core's controllers and by policies."""
