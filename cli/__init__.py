"""The ``spot-optimizer`` command: one module per sub-command. Nothing of it ships to Lambda."""
