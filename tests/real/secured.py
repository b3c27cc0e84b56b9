"""Servers that let nobody in without a password or a certificate: Apache Kafka with SASL_SSL, SSL and ACLs, Redis with
TLS and ACLs. Certificates are made by the openssl command; `Authority` is the bank's, or somebody else's."""

import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from servers import ApacheKafka, RedisServer, program

from pipeline.embedded.process import free_port

_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


class Authority:
    """A certificate authority in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.certificate = directory / "ca.pem"
        self._openssl(
            "req", "-x509", *_new_key(self._key_of("ca")), "-subj", "/CN=Test CA", "-days", "2", "-out",
            str(self.certificate),
        )  # fmt: skip

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key for ``name``, valid for 127.0.0.1."""
        request, certificate, key = self._directory / f"{name}.csr", self._directory / f"{name}.pem", self._key_of(name)
        extensions = self._directory / "names.ext"
        extensions.write_text(_NAMES + "\n")
        self._openssl("req", "-new", *_new_key(key), "-subj", f"/CN={name}", "-out", str(request))
        self._openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key_of("ca")),
            "-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key

    def _key_of(self, name: str) -> Path:
        return self._directory / f"{name}.key"

    def _openssl(self, *words: str) -> None:
        done = subprocess.run([program("openssl"), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]


class SecuredKafka(ApacheKafka):
    """``sasl`` and ``tls`` are addresses for everybody else; at `bootstrap`, without encryption, the tests themselves
    may do everything. ``scram`` and ``plain`` are users and passwords."""

    def __init__(
        self, directory: Path, libs: Path, authority: Authority, scram: Mapping[str, str], plain: Mapping[str, str]
    ) -> None:
        inside, controller, sasl, tls = (free_port() for _ in range(4))
        self.sasl, self.tls = f"127.0.0.1:{sasl}", f"127.0.0.1:{tls}"
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = authority.issue("kafka")
        keys = directory / "keystore.pem"
        keys.write_text(key.read_text() + certificate.read_text())
        users = " ".join(f'user_{name}="{password}"' for name, password in plain.items())
        modules = "org.apache.kafka.common.security"
        outer = f"PLAINTEXT://127.0.0.1:{inside},SASL_SSL://{self.sasl},SSL://{self.tls}"
        super().__init__(
            directory,
            libs,
            port=inside,
            properties={
                "listeners": f"{outer},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": outer,
                "controller.quorum.voters": f"1@127.0.0.1:{controller}",
                "listener.security.protocol.map": (
                    "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL"
                ),
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(keys),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(authority.certificate),
                "listener.name.ssl.ssl.client.auth": "required",
                "listener.name.ssl.ssl.principal.mapping.rules": "RULE:^CN=(.*?)$/$1/",
                "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
                "listener.name.sasl_ssl.plain.sasl.jaas.config": f"{modules}.plain.PlainLoginModule required {users};",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
            format_words=[
                word
                for name, password in scram.items()
                for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
            ],
        )


class SecuredRedis(RedisServer):
    """Redis that speaks only TLS; ``rules`` are lines of its ACL file beside the tests' own user."""

    OWN = "for-the-tests-alone"

    def __init__(self, directory: Path, authority: Authority, rules: Sequence[str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        users = directory / "users.acl"
        own = f"user tests on >{self.OWN} ~* &* +@all"
        users.write_text("".join(f"{line}\n" for line in ("user default off", own, *rules)))
        certificate, key = authority.issue("redis")
        self._tls_port = free_port()
        self._ca = authority.certificate
        super().__init__(
            directory,
            options={
                "port": "0",
                "tls-port": str(self._tls_port),
                "tls-cert-file": str(certificate),
                "tls-key-file": str(key),
                "tls-ca-cert-file": str(authority.certificate),
                "tls-auth-clients": "no",
                "aclfile": str(users),
            },
        )

    @property
    def url(self) -> str:
        return self.url_of("tests", self.OWN)

    def url_of(self, user: str, password: str, ca: Path | None = None) -> str:
        return f"rediss://{user}:{password}@127.0.0.1:{self._tls_port}/0?ssl_ca_certs={ca or self._ca}"

    def _ready(self) -> bool | None:
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except (RedisError, OSError, ssl.SSLError):
            return None
