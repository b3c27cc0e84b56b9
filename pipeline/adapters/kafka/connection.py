"""How we reach the brokers: one place turns settings into arguments for aiokafka and Faust."""

import ssl
from typing import Any

import faust.auth
from aiokafka.helpers import create_ssl_context

from pipeline.settings import Settings


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context when the protocol is an encrypted one: the bank's CA, and a client certificate if given."""
    if "SSL" not in settings.kafka_security_protocol:
        return None

    def text(value: object) -> str | None:
        return None if value is None else str(value)

    context: ssl.SSLContext = create_ssl_context(
        cafile=text(settings.kafka_ssl_ca),
        certfile=text(settings.kafka_ssl_certificate),
        keyfile=text(settings.kafka_ssl_key),
    )
    return context


def _password(settings: Settings) -> str | None:
    return settings.kafka_sasl_password.get_secret_value() if settings.kafka_sasl_password else None


def client_arguments(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that aiokafka's consumer, producer and admin client share."""
    arguments: dict[str, Any] = {"bootstrap_servers": settings.kafka_bootstrap}
    if settings.kafka_security_protocol != "PLAINTEXT":
        arguments["security_protocol"] = settings.kafka_security_protocol
        arguments["ssl_context"] = ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.kafka_sasl_mechanism
        arguments["sasl_plain_username"] = settings.kafka_sasl_username
        arguments["sasl_plain_password"] = _password(settings)
    return arguments


def faust_credentials(settings: Settings) -> Any:
    """The same as Faust wants it: credentials, or None for a plain connection."""
    if settings.kafka_security_protocol.startswith("SASL"):
        return faust.auth.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_sasl_username,
            password=_password(settings),
            ssl_context=ssl_context(settings),
        )
    if settings.kafka_security_protocol == "SSL":
        return faust.auth.SSLCredentials(context=ssl_context(settings))
    return None
