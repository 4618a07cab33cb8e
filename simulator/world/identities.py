"""Key pairs and instance profiles, which a launch names and anybody may delete."""

from simulator.world.errors import AwsError
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered
from simulator.world.state import WorldState


@operation("ec2", "DescribeKeyPairs")
def describe_key_pairs(state: WorldState, params: Params) -> Reply:
    """API_DescribeKeyPairs: an unknown name is InvalidKeyPair.NotFound."""
    rows: list[Row] = [{"KeyName": name, "KeyType": "ed25519"} for name in sorted(state.key_names)]
    for name in params.get("KeyNames", []):
        if name not in state.key_names:
            raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    if names := params.get("KeyNames"):
        rows = [row for row in rows if row["KeyName"] in names]
    return {"KeyPairs": filtered(rows, params, {"key-name": "KeyName"})}


@operation("iam", "GetInstanceProfile")
def get_instance_profile(state: WorldState, params: Params) -> Reply:
    """API_GetInstanceProfile of IAM: NoSuchEntity with status 404."""
    name = params["InstanceProfileName"]
    for arn in sorted(state.instance_profile_arns):
        if arn.rpartition("/")[2] == name:
            return {
                "InstanceProfile": {
                    "Path": "/",
                    "InstanceProfileName": name,
                    "InstanceProfileId": "AIPA" + state.digest("profile", name).hex()[:16].upper(),
                    "Arn": arn,
                    "CreateDate": state.now().replace(microsecond=0),
                    "Roles": [],
                }
            }
    raise AwsError("NoSuchEntity", f"Instance Profile {name} cannot be found.")
