"""Spot Optimizer: keeps tagged EC2 workloads on the best spot pool.

Floors; an upper one imports a lower one, never the reverse::

    services/      a folder for each function: from request to answer
    workflow/      what several functions share: orders of switches and failovers, engines, readings
    aws/           the only modules that import boto3; aws/ledger/ is the DynamoDB table
    switching/     launch template, comparison with the original, error table, subnets, adoption
    decision/      engines, decision table, right-sizing, guards
    forecast/      forecaster behind its Protocol, snapshot of the market
    market/        prices, catalog, advisor            usage/  sketches of what workloads use
    telemetry.py   logger, metrics, tracer
    contracts/     what crosses a boundary, one module for each
    codec.py       the two forms of stored state
    settings.py    thresholds and flags                setting_precedence.py  which source wins
    vocabulary.py  Pool, Placement, Lifecycle, Mode, DecisionKind, Rule
"""
