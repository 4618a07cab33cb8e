"""Spot Optimizer: keeps tagged EC2 workloads on the best spot pool.

Floors, an upper one imports a lower one, never the reverse::

    services/     what each function does: from request to answer
    aws/          the only modules that import boto3
    switching/    launch template, parity, error table, subnets, adoption, left-overs
    decision/     stages, truth table, right-sizing, guards
    forecast/     forecaster behind its Protocol, snapshot of the market
    market/       prices, catalogue, advisor          usage/  sketches of what workloads use
    contracts.py  what crosses a boundary             telemetry.py  logger, metrics, tracer
    settings.py   thresholds and flags                codec.py  the two forms of stored state
    vocabulary.py      the vocabulary: Pool, Lifecycle, Mode, DecisionKind
"""
