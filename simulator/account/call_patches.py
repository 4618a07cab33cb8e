"""What botocore, moto 5.2.5 and X-Ray repeat for every call with the same result."""

import functools
from typing import Any

import botocore.useragent as useragent
import moto.core.responses as responses
import moto.kms.models as kms_models
from aws_xray_sdk.core.models.entity import Entity
from botocore.context import get_context
from botocore.signers import RequestSigner
from moto.core.base_backend import BaseBackend

from simulator.account.modules import Replacements

__all__ = ["apply_calls"]

_SIGNED = frozenset({"s3"})
"""The signature of S3 says how the body is framed, which moto reads."""


def apply_calls(replacements: Replacements) -> None:
    """Apply every patch of this module."""
    _draw_no_trace_ids(replacements)
    _list_operations_once(replacements)
    _list_urls_once(replacements)
    _name_the_agent_once(replacements)
    _sign_for_nobody(replacements)
    _make_key_pairs_for_asymmetric_keys(replacements)


def _make_key_pairs_for_asymmetric_keys(replacements: Replacements) -> None:
    """moto makes an RSA key pair for symmetric keys too, such as that of a table, which have none."""
    generate = kms_models.generate_private_key

    def generate_private_key(key_spec: str) -> Any:
        return None if key_spec == "SYMMETRIC_DEFAULT" else generate(key_spec)

    replacements.set(kms_models, "generate_private_key", generate_private_key)


def _name_the_agent_once(replacements: Replacements) -> None:
    """A client puts its User-Agent together twice a call, letter by letter; only the features that
    the call has used differ."""
    to_string = useragent.UserAgentString.to_string

    def text(self: Any) -> str:
        context = get_context()
        used = frozenset(context.features) if context else None
        # A copy of it, made for another client, has the same memory.
        key = used, frozenset(self._client_features or ()), id(self._client_config)
        known = vars(self).setdefault("known_texts", {})
        if key not in known:
            known[key] = to_string(self)
        return str(known[key])

    replacements.set(useragent.UserAgentString, "to_string", text)


def _draw_no_trace_ids(replacements: Replacements) -> None:
    """X-Ray's SDK asks the kernel for random bytes for each part of a trace that nobody collects."""
    replacements.set(Entity, "_generate_random_id", lambda _self: "0" * 16)


_operations = functools.lru_cache(maxsize=64)(responses.method_names_from_class)


def _list_operations_once(replacements: Replacements) -> None:
    """moto lists the members of a class to see whether it has an operation."""
    replacements.set(responses, "method_names_from_class", _operations)


def _list_urls_once(replacements: Replacements) -> None:
    """moto puts together the URLs of a service, which are those of its class."""
    urls_of = vars(BaseBackend)["urls"].fget
    known: dict[type, Any] = {}

    def urls(self: Any) -> Any:
        if type(self) not in known:
            known[type(self)] = urls_of(self)
        return known[type(self)]

    replacements.set(BaseBackend, "urls", property(urls))


class _Unproven:
    """Names the service and region of a request, as a signature does, and proves nothing."""

    def __init__(self, service: str, region: str) -> None:
        scope = f"embedded/20000101/{region}/{service}/aws4_request"
        self._header = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"

    def add_auth(self, request: Any) -> None:
        request.headers["Authorization"] = self._header


_unproven = functools.lru_cache(maxsize=64)(_Unproven)


def _sign_for_nobody(replacements: Replacements) -> None:
    """No signature is looked at in here; only those that carry an expiry are made."""
    choose = RequestSigner.get_auth_instance

    def get_auth_instance(
        self: Any, signing_name: str, region_name: str, signature_version: Any = None, **more: Any
    ) -> Any:
        if more or signing_name in _SIGNED or signature_version != "v4":
            return choose(self, signing_name, region_name, signature_version, **more)
        return _unproven(signing_name, region_name)

    replacements.set(RequestSigner, "get_auth_instance", get_auth_instance)
    replacements.set(RequestSigner, "get_auth", get_auth_instance)
