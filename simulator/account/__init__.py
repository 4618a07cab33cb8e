"""An embedded AWS account that runs the product's template under a virtual clock."""

from simulator.account.account import EmbeddedAccount, FunctionFailed, StillRunning
from simulator.account.callers import Call, Caller
from simulator.account.executions import Execution
from simulator.account.interception import World
from simulator.account.lambdas import Invocation

__all__ = [
    "Call",
    "Caller",
    "EmbeddedAccount",
    "Execution",
    "FunctionFailed",
    "Invocation",
    "StillRunning",
    "World",
]
