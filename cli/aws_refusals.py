"""An error of an AWS account in our own words."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as NotConnected,
)

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
)
_BAD_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NOT_PERMITTED = ("AccessDenied", "UnauthorizedOperation")


def refused_by_account(error: BotoCoreError | ClientError, region: str) -> str:
    """The option, its value and what to do about it."""
    if isinstance(error, ClientError):
        why = _refused_call(error)
    elif isinstance(error, _NO_CREDENTIALS):
        why = (
            "there are no usable AWS credentials; configure some, or name a --profile that has them"
        )
    elif isinstance(error, InvalidRegionError):
        why = "this is no region; allowed are names of AWS regions, such as eu-west-1"
    elif isinstance(error, (NotConnected, HTTPClientError)):
        why = (
            "AWS cannot be reached there; allowed are names of AWS regions that your network reaches,"
            " such as eu-west-1"
        )
    else:
        why = f"the account cannot be read ({type(error).__name__})"
    return f"--region {region}: {why}"


def _refused_call(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "no code")
    if code in _BAD_CREDENTIALS:
        return (
            f"AWS does not accept the credentials ({code}); renew them, or name another --profile"
        )
    if code.startswith(_NOT_PERMITTED):
        return f"the credentials do not allow the call {error.operation_name} ({code})"
    message = error.response.get("Error", {}).get("Message", "")
    return f"AWS refused the call {error.operation_name} ({code}){': ' if message else ''}{message}"
