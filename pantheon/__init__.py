"""The benchmark: schemes side by side over scenarios, and the checks of the path that they run on."""
