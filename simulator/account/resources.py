"""The CloudFormation resource types and properties that moto 5.2.5 skips without a word.

moto finds a type by scanning the subclasses of ``CloudFormationModel``, so defining a class here is
enough. :data:`COMPLETIONS` adds the properties that moto's own types drop.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
import moto.awslambda.models as lambda_models
import moto.events.models as events_models
import moto.stepfunctions.models as stepfunctions_models
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

__all__ = ["complete", "register"]

Properties = dict[str, Any]


@dataclass(frozen=True)
class _Created:
    """What ``Ref`` and ``Fn::GetAtt`` answer for a created resource."""

    reference: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """A resource to be created: its physical name and its properties, references resolved."""

    name: str
    properties: Properties
    account_id: str
    region: str

    def client(self, service: str) -> Any:
        return _client(service, self.region)


@functools.cache
def _client(service: Any, region: str) -> Any:
    """Making a client takes longer than its call; the clients of one account serve the next."""
    return boto3.client(service, region_name=region)


def register() -> None:
    """Make the types known to moto, whose list of types is cached on first use."""
    # What Ref yields, where moto has nothing to yield.
    lambda_models.LayerVersion.physical_resource_id = property(lambda self: self.arn)
    lambda_models.Permission.physical_resource_id = property(lambda self: self.logical_resource_id)
    events_models.EventBus.physical_resource_id = property(lambda self: self.name)
    events_models.Archive.physical_resource_id = property(lambda self: self.name)
    stepfunctions_models.StateMachine.has_cfn_attr = classmethod(_state_machine_has_attribute)
    stepfunctions_models.StateMachine.get_cfn_attribute = _state_machine_attribute
    parsing.get_model_list.cache_clear()
    parsing.get_model_map.cache_clear()
    parsing.get_name_type_map.cache_clear()


def complete(resource_type: str, reference: str, properties: Properties, region: str) -> None:
    """Apply the properties that moto's own CloudFormation type drops."""
    completion = COMPLETIONS.get(resource_type)
    if completion is not None:
        completion(reference, properties, region)


_moto_state_machine_attribute = stepfunctions_models.StateMachine.get_cfn_attribute
_moto_state_machine_has_attribute = stepfunctions_models.StateMachine.has_cfn_attr.__func__


def _state_machine_has_attribute(cls: type, attribute: str) -> bool:
    known = ("Arn", "StateMachineRevisionId")
    return attribute in known or bool(_moto_state_machine_has_attribute(cls, attribute))


def _state_machine_attribute(self: Any, attribute: str) -> Any:
    if attribute == "Arn":
        return self.arn
    if attribute == "StateMachineRevisionId":
        return "INITIAL"  # until it is updated, which no stack here is
    return _moto_state_machine_attribute(self, attribute)


def _type(
    cloudformation_type: str,
    *,
    name_property: str = "Name",
    attributes: tuple[str, ...] = (),
    deleted_by: tuple[str, str, str] | None = None,
) -> Callable[[Callable[[_Wanted], _Created]], type[CloudFormationModel]]:
    """Turn ``create`` into a type that moto can create, and delete with the stack.

    ``deleted_by`` names the call that deletes it: service, operation, and the parameter that takes its
    physical id. Without it, it goes with what it belongs to.
    """

    def declare(create: Callable[[_Wanted], _Created]) -> type[CloudFormationModel]:
        def create_resource(
            cls: type, name: str, resource: Properties, account_id: str, region: str, **__: Any
        ) -> Any:
            instance: Any = cls()
            instance.created = create(
                _Wanted(name, dict(resource["Properties"]), account_id, region)
            )
            return instance

        members = {
            "__module__": __name__,
            "physical_resource_id": property(lambda self: self.created.reference),
            "cloudformation_name_type": staticmethod(lambda: name_property),
            "cloudformation_type": staticmethod(lambda: cloudformation_type),
            "has_cfn_attr": staticmethod(attributes.__contains__),
            "get_cfn_attribute": lambda self, attribute: self.created.attributes[attribute],
            "create_from_cloudformation_json": classmethod(create_resource),  # type: ignore[arg-type]
            "update_from_cloudformation_json": classmethod(_refuse),
            "delete_from_cloudformation_json": staticmethod(functools.partial(_delete, deleted_by)),
        }
        return type(cloudformation_type.replace("::", ""), (CloudFormationModel,), members)

    return declare


def _delete(
    deleted_by: tuple[str, str, str] | None, reference: str, _: Any, __: str, region: str
) -> None:
    if deleted_by is not None:
        service, operation, parameter = deleted_by
        wanted = [reference] if parameter.endswith("Names") else reference
        getattr(_client(service, region), operation)(**{parameter: wanted})


def _refuse(cls: Any, *_: Any, **__: Any) -> None:
    raise NotImplementedError(
        f"{cls.cloudformation_type()}: an embedded account deploys a stack once; open a new one"
    )


def _lower_first(value: Any) -> Any:
    """CloudFormation's PascalCase keys as the camelCase of the Step Functions API."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_first(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lower_first(item) for item in value]
    return value


@_type("AWS::Lambda::Version", attributes=("Version", "FunctionArn"))
def _version(wanted: _Wanted) -> _Created:
    # moto has this type, but neither Ref nor GetAtt of it.
    reply = wanted.client("lambda").publish_version(FunctionName=wanted.properties["FunctionName"])
    arn = reply["FunctionArn"]
    return _Created(arn, {"Version": reply["Version"], "FunctionArn": arn})


@_type("AWS::Lambda::Alias")
def _alias(wanted: _Wanted) -> _Created:
    keys = ("FunctionName", "FunctionVersion", "Name", "Description")
    arguments = {key: wanted.properties[key] for key in keys if key in wanted.properties}
    return _Created(wanted.client("lambda").create_alias(**arguments)["AliasArn"])


@_type("AWS::Lambda::EventInvokeConfig")
def _event_invoke_config(wanted: _Wanted) -> _Created:
    wanted.properties.pop("Qualifier", None)
    for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
        if key in wanted.properties:
            wanted.properties[key] = int(wanted.properties[key])
    wanted.client("lambda").put_function_event_invoke_config(**wanted.properties)
    return _Created(wanted.name)


@_type("AWS::Lambda::Url", attributes=("FunctionUrl", "FunctionArn"))
def _function_url(wanted: _Wanted) -> _Created:
    reply = wanted.client("lambda").create_function_url_config(
        FunctionName=wanted.properties["TargetFunctionArn"], AuthType=wanted.properties["AuthType"]
    )
    attributes = {key: reply[key] for key in ("FunctionUrl", "FunctionArn")}
    return _Created(reply["FunctionArn"], attributes)


@_type("AWS::StepFunctions::StateMachineVersion", attributes=("Arn",))
def _state_machine_version(wanted: _Wanted) -> _Created:
    # moto has no PublishStateMachineVersion; its model has.
    backend = stepfunctions_parser_backends[wanted.account_id][wanted.region]
    state_machine = backend.describe_state_machine(wanted.properties["StateMachineArn"])
    state_machine.publish(wanted.properties.get("Description"))
    assert state_machine.latest_version is not None
    arn = state_machine.latest_version.arn
    return _Created(arn, {"Arn": arn})


@_type("AWS::StepFunctions::StateMachineAlias", attributes=("Arn",))
def _state_machine_alias(wanted: _Wanted) -> _Created:
    routing = wanted.properties.get("RoutingConfiguration")
    if routing is None:
        version = wanted.properties["DeploymentPreference"]["StateMachineVersionArn"]
        routing = [{"StateMachineVersionArn": version, "Weight": 100}]
    for route in routing:
        route["Weight"] = int(route["Weight"])
    reply = wanted.client("stepfunctions").create_state_machine_alias(
        name=wanted.properties.get("Name", wanted.name), routingConfiguration=_lower_first(routing)
    )
    arn = reply["stateMachineAliasArn"]
    return _Created(arn, {"Arn": arn})


@_type("AWS::CodeDeploy::Application", name_property="ApplicationName")
def _deployments(wanted: _Wanted) -> _Created:
    wanted.client("codedeploy").create_application(
        applicationName=wanted.name, computePlatform=wanted.properties["ComputePlatform"]
    )
    return _Created(wanted.name)


@_type("AWS::CodeDeploy::DeploymentGroup", name_property="DeploymentGroupName")
def _deployment_group(wanted: _Wanted) -> _Created:
    given = dict(wanted.properties)
    application = given.pop("ApplicationName")
    wanted.client("codedeploy").create_deployment_group(
        applicationName=application,
        deploymentGroupName=wanted.name,
        deploymentConfigName=given["DeploymentConfigName"],
        serviceRoleArn=given["ServiceRoleArn"],
        alarmConfiguration=_lower_first(given["AlarmConfiguration"]),
    )
    return _Created(wanted.name)


@_type(
    "AWS::AppConfig::Application",
    deleted_by=("appconfig", "delete_application", "ApplicationId"),
)
def _configured(wanted: _Wanted) -> _Created:
    reply = wanted.client("appconfig").create_application(Name=wanted.name)
    return _Created(reply["Id"])


@_type("AWS::AppConfig::ConfigurationProfile")
def _configuration(wanted: _Wanted) -> _Created:
    reply = wanted.client("appconfig").create_configuration_profile(**wanted.properties)
    return _Created(reply["Id"])


@_type("AWS::AppConfig::HostedConfigurationVersion", attributes=("VersionNumber",))
def _configuration_version(wanted: _Wanted) -> _Created:
    wanted.properties["Content"] = wanted.properties["Content"].encode()
    reply = wanted.client("appconfig").create_hosted_configuration_version(**wanted.properties)
    number = str(reply["VersionNumber"])
    return _Created(number, {"VersionNumber": number})


@_type(
    "AWS::CloudWatch::Alarm",
    name_property="AlarmName",
    attributes=("Arn",),
    deleted_by=("cloudwatch", "delete_alarms", "AlarmNames"),
)
def _alarm(wanted: _Wanted) -> _Created:
    wanted.properties["AlarmName"] = wanted.name
    for key in ("Period", "EvaluationPeriods", "DatapointsToAlarm"):
        if key in wanted.properties:
            wanted.properties[key] = int(wanted.properties[key])
    if "Threshold" in wanted.properties:
        wanted.properties["Threshold"] = float(wanted.properties["Threshold"])
    wanted.client("cloudwatch").put_metric_alarm(**wanted.properties)
    arn = f"arn:aws:cloudwatch:{wanted.region}:{wanted.account_id}:alarm:{wanted.name}"
    return _Created(wanted.name, {"Arn": arn})


@_type("AWS::Scheduler::Schedule", attributes=("Arn",))
def _schedule(wanted: _Wanted) -> _Created:
    reply = wanted.client("scheduler").create_schedule(**{**wanted.properties, "Name": wanted.name})
    return _Created(wanted.name, {"Arn": reply["ScheduleArn"]})


@_type("AWS::Scheduler::ScheduleGroup", attributes=("Arn",))
def _schedule_group(wanted: _Wanted) -> _Created:
    reply = wanted.client("scheduler").create_schedule_group(Name=wanted.name)
    return _Created(wanted.name, {"Arn": reply["ScheduleGroupArn"]})


@_type("AWS::SQS::QueuePolicy", attributes=("Id",))
def _queue_policy(wanted: _Wanted) -> _Created:
    document = json.dumps(wanted.properties["PolicyDocument"])
    for url in wanted.properties["Queues"]:
        wanted.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    return _Created(wanted.name, {"Id": wanted.name})


@_type("AWS::SNS::TopicPolicy", attributes=("Id",))
def _topic_policy(wanted: _Wanted) -> _Created:
    document = json.dumps(wanted.properties["PolicyDocument"])
    for arn in wanted.properties["Topics"]:
        wanted.client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=document
        )
    return _Created(wanted.name, {"Id": wanted.name})


@_type(
    "AWS::SNS::Subscription",
    attributes=("Arn",),
    deleted_by=("sns", "unsubscribe", "SubscriptionArn"),
)
def _subscription(wanted: _Wanted) -> _Created:
    reply = wanted.client("sns").subscribe(
        TopicArn=wanted.properties["TopicArn"],
        Protocol=wanted.properties["Protocol"],
        Endpoint=wanted.properties["Endpoint"],
        ReturnSubscriptionArn=True,
    )
    return _Created(reply["SubscriptionArn"], {"Arn": reply["SubscriptionArn"]})


@_type("AWS::S3::BucketPolicy", deleted_by=("s3", "delete_bucket_policy", "Bucket"))
def _bucket_policy(wanted: _Wanted) -> _Created:
    wanted.client("s3").put_bucket_policy(
        Bucket=wanted.properties["Bucket"], Policy=json.dumps(wanted.properties["PolicyDocument"])
    )
    return _Created(wanted.properties["Bucket"])


@_type("AWS::Events::EventBusPolicy")
def _bus_policy(wanted: _Wanted) -> _Created:
    statement = {"Sid": wanted.properties["StatementId"], **wanted.properties["Statement"]}
    wanted.client("events").put_permission(
        EventBusName=wanted.properties.get("EventBusName", "default"),
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    return _Created(wanted.name)


@_type("AWS::Logs::MetricFilter", name_property="FilterName")
def _metric_filter(wanted: _Wanted) -> _Created:
    wanted.client("logs").put_metric_filter(
        logGroupName=wanted.properties["LogGroupName"],
        filterName=wanted.name,
        filterPattern=wanted.properties["FilterPattern"],
        metricTransformations=_lower_first(wanted.properties["MetricTransformations"]),
    )
    return _Created(wanted.name)


def _complete_table(reference: str, properties: Properties, region: str) -> None:
    client = _client("dynamodb", region)
    if "TimeToLiveSpecification" in properties:
        client.update_time_to_live(
            TableName=reference, TimeToLiveSpecification=properties["TimeToLiveSpecification"]
        )
    if "PointInTimeRecoverySpecification" in properties:
        client.update_continuous_backups(
            TableName=reference,
            PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"],
        )


def _complete_bucket(reference: str, properties: Properties, region: str) -> None:
    client = _client("s3", region)
    notifications = properties.get("NotificationConfiguration", {})
    if "EventBridgeConfiguration" in notifications:
        client.put_bucket_notification_configuration(
            Bucket=reference, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    if "VersioningConfiguration" in properties:
        client.put_bucket_versioning(
            Bucket=reference, VersioningConfiguration=properties["VersioningConfiguration"]
        )


COMPLETIONS: dict[str, Callable[[str, Properties, str], None]] = {
    "AWS::DynamoDB::Table": _complete_table,
    "AWS::S3::Bucket": _complete_bucket,
}
