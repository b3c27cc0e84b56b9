"""How we reach the brokers: one place turns settings into arguments for aiokafka and Faust, and asks why a broker
turns us away (to aiokafka's clients a wrong password and a broker that is away are the same)."""

import ssl
from typing import Any

import faust.auth
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context

from pipeline.settings import Settings

ANSWER_MS = 10_000


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


async def refusal(settings: Settings) -> str | None:
    """Why no broker lets us in, in a sentence without secrets; None when one does, or when none answers (then waiting
    may help)."""
    try:
        arguments = client_arguments(settings)
    except (OSError, ssl.SSLError) as error:
        return f"the files named by CARDWATCH_KAFKA_SSL_CA, _CERTIFICATE and _KEY cannot be used: {error}"
    servers = arguments.pop("bootstrap_servers")
    found = None
    for host, port, _ in collect_hosts(servers):
        try:
            connection = await create_conn(host, port, request_timeout_ms=ANSWER_MS, **arguments)
        except (TimeoutError, KafkaError, OSError) as error:
            if (why := _why(error, settings)) is not None:
                found = f"Kafka at {host}:{port} {why}"
        else:
            connection.close()
            return None
    return found


def unanswered(settings: Settings) -> str:
    """What to tell when a client found no broker and `refusal` knows of nothing either."""
    return f"no Kafka broker answers at {settings.kafka_bootstrap}: is CARDWATCH_KAFKA_BOOTSTRAP right?"


def _why(error: Exception, settings: Settings) -> str | None:
    protocol = settings.kafka_security_protocol
    match error:
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted ({error.verify_message}): is CARDWATCH_KAFKA_SSL_CA its CA?"
        case ssl.SSLError():
            return f"does not speak TLS with us ({error.reason}): see CARDWATCH_KAFKA_SECURITY_PROTOCOL and _SSL_CERTIFICATE"
        case SaslAuthenticationFailed():
            return f"refuses the user {settings.kafka_sasl_username}: wrong CARDWATCH_KAFKA_SASL_USERNAME or _PASSWORD"
        case UnsupportedSaslMechanismError():
            return f"does not take CARDWATCH_KAFKA_SASL_MECHANISM {settings.kafka_sasl_mechanism}"
        case KafkaConnectionError() | ConnectionResetError() if protocol != "PLAINTEXT":
            return (
                f"closes the connection: does it want another CARDWATCH_KAFKA_SECURITY_PROTOCOL than {protocol}, or a "
                "client's certificate (CARDWATCH_KAFKA_SSL_CERTIFICATE)?"
            )
    return None
