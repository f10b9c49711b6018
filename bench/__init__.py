"""Measures headway beside its peers: `python -m bench list | NAME | all [--json] [--quick]`."""
