"""An AWS account in this process: the product's real template, handlers and state machines."""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.moto_api._internal import mock_random
from moto.s3.models import s3_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from simulator.account import patches, resources
from simulator.account.callers import Call, Callers
from simulator.account.deploy import Stack, delete_stack, deploy_stack
from simulator.account.events import EventBridge
from simulator.account.executions import (
    Execution,
    History,
    Place,
    place_in,
    read_executions,
    read_history,
    read_input,
    read_inputs,
)
from simulator.account.interception import Interceptor, Rewriter, Wire, World
from simulator.account.lambdas import Invocation, Lambdas
from simulator.account.output import route_loggers
from simulator.account.rates import Rates
from simulator.account.redrive import redrive
from simulator.account.roles import roles_of
from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.api_calls import ApiCall
from simulator.clock import VirtualClock
from simulator.limits import LIMITS, Bucket, Limits
from simulator.permissions import services
from simulator.permissions.guard import Guard

__all__ = ["EmbeddedAccount", "FunctionFailed", "StillRunning"]


class FunctionFailed(Exception):
    """A function that the driver invoked ended in an error.

    Attributes:
        error_type: name of the exception's class, as ``ErrorEquals`` would match it.
        message: what the exception said.
        logs: what the handler had written.
    """

    def __init__(self, invocation: Invocation) -> None:
        super().__init__(
            f"{invocation.function}: {invocation.error}: {invocation.error_message}"
            f"\n{invocation.logs}"
        )
        self.error_type = invocation.error
        self.message = invocation.error_message
        self.logs = invocation.logs


class StillRunning(Exception):
    """Something is still due after the time that it was given."""


class EmbeddedAccount:
    """One account in one region, and in others on demand, with its own clock.

    While it is open, the process's time is the clock's, every AWS call of the process ends in this
    account, and there is no network. One at a time.

    Args:
        start: the first moment, with a time zone.
        account_id: twelve digits; everything in the account derives it from here.
        region: where the stack is deployed.
        world: answers what is not the account's own business (see :class:`World`); may also be
            given later by :meth:`attach`, once there is a clock to build it on.
        seed: of every identifier and jitter; two runs with one seed are identical.
        limits: rates and times of the account.
        rates: operation -> its own bucket, in place of that of the limits.
    """

    def __init__(
        self,
        *,
        start: datetime,
        account_id: str = DEFAULT_ACCOUNT_ID,
        region: str = "us-east-1",
        world: World | None = None,
        seed: int = 0,
        limits: Limits = LIMITS,
        rates: Mapping[ApiCall, Bucket] | None = None,
    ) -> None:
        self.account_id = account_id
        self.region = region
        self._seed = seed
        self.clock = VirtualClock(start, around_wait=lambda: self.lambdas.suspended())
        self.callers = Callers(region, self.clock.running_thread)
        self.lambdas = Lambdas(region, self.clock, self.callers)
        self.events = EventBridge(
            account_id, region, self.clock, self.lambdas, self.callers, limits
        )
        self.permissions = Guard(services.Place(account_id, region, self._has_object))
        self._interceptor = Interceptor(
            self.callers, Rates(limits, self.clock.now, rates), self.permissions, account_id
        )
        if world is not None:
            self.attach(world)
        self._stacks: dict[str, Stack] = {}
        self._logical_ids: dict[str, str] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(mock.patch.dict(os.environ, self._environment()))
            resources.register()
            opening.enter_context(
                mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
            )
            route_loggers()
            self._interceptor.open()
            opening.callback(self._interceptor.close)
            opening.callback(self.lambdas.close)
            opening.callback(patches.apply(self, self._seed).undo)
            opening.enter_context(self.clock)
            self._exit = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def attach(self, world: World, region: str = "") -> None:
        """Let ``world`` answer from now on; in the account's own region if no other is given."""
        self._interceptor.attach(world, region or self.region)

    def stand_between(self, wire: Wire, delays: Callable[[str, str], Sequence[timedelta]]) -> None:
        """Let ``wire`` stand between the callers and AWS, and ``delays`` say when events arrive."""
        self._interceptor.wire = wire
        self.events.delay_deliveries(delays)

    def rewrite_calls(self, rewriter: Rewriter) -> None:
        """Let ``rewriter`` change the calls of functions and state machines, and their replies."""
        self._interceptor.rewriter = rewriter

    def state_machine(self, logical_id: str) -> dict[str, Any]:
        """The deployed definition of a state machine."""
        definition: dict[str, Any] = json.loads(self._deployed(logical_id).definition)
        return definition

    def replace_state_machine(self, logical_id: str, definition: Mapping[str, Any]) -> None:
        """Run executions that start from now on by another definition."""
        self._deployed(logical_id).definition = json.dumps(definition)

    def _deployed(self, logical_id: str) -> Any:
        backend = stepfunctions_parser_backends[self.account_id][self.region]
        arn = self.stack.physical_ids[logical_id]
        return next(each for each in backend.state_machines if each.arn == arn)

    def reseed(self, seed: int) -> None:
        """Draw identifiers and jitter from another seed from now on."""
        mock_random.seed(seed)
        random.seed(seed)

    def deploy(
        self,
        template: Path,
        stack_name: str,
        parameters: Mapping[str, str | int | float] | None = None,
        region: str = "",
    ) -> Stack:
        """Deploy a region's one stack from its SAM template; in the account's own region if no other
        is given. Schedules and events of another region do not reach it.

        Raises:
            TemplateError, ParameterError, DeploymentError, ScheduleError, PolicyError: what is
                wrong, by name.
        """
        where = region or self.region
        if where in self._stacks:
            raise RuntimeError(
                f"stack {self._stacks[where].name} is deployed in {where}; open a new account"
            )
        given = {key: str(value) for key, value in (parameters or {}).items()}
        stack = self._stacks[where] = deploy_stack(
            template, stack_name, given, self.account_id, where
        )
        for logical_id, physical_id in stack.physical_ids.items():
            self._logical_ids[physical_id] = logical_id
        self.permissions.know(roles_of(stack, self.account_id))
        for function in stack.functions:
            self.lambdas.deploy(function)
        self.events.check_schedules()
        return stack

    def delete_stack(self) -> None:
        """Delete the stack as ``sam delete`` does; its functions are there no more."""
        delete_stack(self.stack, self.account_id, self.region)

    @property
    def stack(self) -> Stack:
        """The stack of the account's own region."""
        if self.region not in self._stacks:
            raise RuntimeError("nothing is deployed; call deploy first")
        return self._stacks[self.region]

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        return self.stack.outputs

    def logical_id(self, physical_id: str) -> str:
        """The template's name of a resource; what the template does not know keeps its own."""
        return self._logical_ids.get(physical_id, physical_id)

    def run_until(self, when: datetime) -> None:
        """Let time run: waits end, events arrive, schedules fire; then it is ``when``."""
        while (firing := self.events.next_firing(when)) is not None:
            self.clock.run_until(max(firing.time, self.clock.now()))
            # What happened until then may have disabled or changed the schedule.
            firing = self.events.next_firing(self.clock.now())
            if firing is not None:
                self.events.fire(firing)
        self.events.pass_by(when)
        self.clock.run_until(max(when, self.clock.now()))

    def run_for(self, duration: timedelta) -> None:
        """:meth:`run_until` that much later."""
        self.run_until(self.clock.now() + duration)

    def run_until_quiet(self, within: timedelta = timedelta(hours=2)) -> None:
        """Run until no execution runs and no event or retry is under way.

        Raises:
            StillRunning: something is due later than ``within`` from now.
        """
        limit = self.clock.now() + within
        while (due := self.clock.next_deadline()) is not None:
            if due > limit:
                running = [item.name for item in self.executions() if item.status == "RUNNING"]
                raise StillRunning(f"due at {due.isoformat()}; executions running: {running}")
            self.run_until(due)

    def invoke(self, function: str, payload: Any, region: str = "") -> Any:
        """Invoke a function by its logical id and return what it returns.

        Raises:
            FunctionFailed: the handler failed.
        """
        found = self.lambdas.find(function, region)
        outcome = self.lambdas.invoke(found, json.dumps(payload).encode())
        if outcome.failed:
            raise FunctionFailed(self.lambdas.trace[-1])
        return outcome.value()

    def emit(
        self,
        source: str,
        detail_type: str,
        detail: dict[str, Any],
        resources: list[str] | None = None,
        *,
        deliveries: int = 1,
        delay: timedelta = timedelta(),
    ) -> None:
        """Put an event of an AWS service on the default bus; delivered when time next runs, or as late
        and as often as is said."""
        self.events.emit(source, detail_type, detail, resources, deliveries=deliveries, delay=delay)

    def executions(self, region: str = "") -> list[Execution]:
        """Every Step Functions execution of a region, in order of its start."""
        return read_executions(self.account_id, region or self.region, self.logical_id)

    def execution_inputs(self) -> list[Any]:
        """The input of every execution."""
        return read_inputs(self.account_id, self.region)

    def place_in(self, execution: str) -> Place:
        """Where a Step Functions execution stands at this moment, by its name."""
        return place_in(self.account_id, self.region, execution)

    def input_of(self, execution: str) -> dict[str, Any]:
        """The input of a Step Functions execution, by its name."""
        return read_input(self.account_id, self.region, execution)

    def history_of(self, execution: str) -> History:
        """The history of a Step Functions execution, by its name."""
        return read_history(self.account_id, self.region, execution)

    def redrive(self, execution: str) -> None:
        """Redrive a Step Functions execution that has been stopped or has failed, by its name."""
        redrive(self.account_id, self.region, execution)

    def table_items(self, table: str, region: str = "") -> list[dict[str, Any]]:
        """Every item of a table (logical id or name), read past the API."""
        where = region or self.region
        name = self._stacks[where].physical_ids.get(table, table)
        deserialize = TypeDeserializer().deserialize
        items = dynamodb_backends[self.account_id][where].tables[name].all_items()
        return [
            {key: deserialize(value.to_regular_json()) for key, value in item.attrs.items()}
            for item in items
        ]

    @property
    def trace(self) -> list[Invocation]:
        """Every Lambda invocation so far, in order of its end."""
        return self.lambdas.trace

    @property
    def calls(self) -> Counter[Call]:
        """How often who called which operation of AWS."""
        return self._interceptor.calls

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "embedded",
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def _has_object(self, bucket: str, key: str) -> bool:
        known = s3_backends[self.account_id]["aws"].buckets.get(bucket)
        return known is not None and key in known.keys
