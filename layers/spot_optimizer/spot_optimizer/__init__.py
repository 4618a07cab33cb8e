"""Spot Optimizer: keeps tagged EC2 workloads on the best spot pool.

Floors, an upper one imports a lower one, never the reverse::

    aws/          the only modules that import boto3
    switching/    launch template, parity, error table, subnets
    decision/     stages, engines, right-sizing, guards
    forecast/     forecaster behind its Protocol
    market/       prices, catalogue, advisor, snapshot
    contracts.py  what crosses a boundary
    settings.py   thresholds and flags
    words.py      the vocabulary: Pool, Lifecycle, Mode, DecisionKind
"""
