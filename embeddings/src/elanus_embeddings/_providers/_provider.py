"""Who is asked, where, and with which key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from elanus.errors import MissingExtraError, ParamError, cut, shown
from elanus_embeddings._extras import how_to_install
from elanus_embeddings._http import RetryPolicy, checked_url, find_key, seconds

if TYPE_CHECKING:
    from elanus_embeddings._providers._transport import Endpoint


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider, as its documentation describes it.

    Attributes:
        name: its name.
        base_url: the root of its API.
        variables: the environment variables that may hold the key, the documented one first.
    """

    name: str
    base_url: str
    variables: tuple[str, ...]

    def connect(
        self,
        path: str,
        *,
        api_key: str | None,
        base_url: str | None,
        timeout: float,
        retry: RetryPolicy | None,
    ) -> Endpoint:
        """Make the endpoint of one path; no request is sent.

        Raises:
            MissingExtraError: httpx or tenacity is not installed.
            ParamError: a value is wrong, or the provider needs a key and none is found.
        """
        try:
            from elanus_embeddings._providers._transport import (  # noqa: PLC0415 - an extra
                Endpoint,
            )
        except ImportError as error:
            raise MissingExtraError(
                f"{self.name} needs httpx and tenacity: {how_to_install('http')}"
            ) from error
        root = self.base_url if base_url is None else checked_url(base_url)
        # The key in the environment is meant for the provider; no other server gets to see it.
        own = root == self.base_url
        key = find_key(api_key, self.variables, read=own)
        hint = f"api_key=, or the environment variable {self.variables[0]}" if own else "api_key="
        if key is None and own:
            raise ParamError(f"{self.name} needs an API key: {hint}")
        policy = RetryPolicy() if retry is None else retry
        if not isinstance(policy, RetryPolicy):
            raise ParamError(f"retry must be a RetryPolicy, not {cut(type(policy).__name__)}")
        return Endpoint(
            provider=self.name,
            url=root + path,
            key=key,
            key_hint=hint,
            timeout=seconds("timeout", timeout),
            retry=policy,
        )


def checked_name(model_name: object) -> str:
    """Check a model's name.

    Raises:
        ParamError: it is no string, or empty.
    """
    if not isinstance(model_name, str) or not model_name:
        raise ParamError(f"model_name must be a string that is not empty, got {shown(model_name)}")
    return model_name
