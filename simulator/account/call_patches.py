"""What botocore and moto 5.2.5 do anew for every call, though it is the same each time."""

import functools
from typing import Any

import botocore.useragent as useragent
import moto.core.responses as responses
from botocore.signers import RequestSigner
from moto.core.base_backend import BaseBackend

from simulator.account.modules import Replacements

__all__ = ["apply_calls"]

_SIGNED = frozenset({"s3"})
"""The signature of S3 says how the body is framed, which moto reads."""


def apply_calls(replacements: Replacements) -> None:
    """Apply every patch of this module."""
    _clean_user_agents_once(replacements)
    _list_operations_once(replacements)
    _list_urls_once(replacements)
    _sign_for_nobody(replacements)


_clean = functools.lru_cache(maxsize=1024)(useragent.sanitize_user_agent_string_component)


def _clean_user_agents_once(replacements: Replacements) -> None:
    """Thirty parts of a header are looked at letter by letter, twice a call."""
    replacements.set(useragent, "sanitize_user_agent_string_component", _clean)


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
