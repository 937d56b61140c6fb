"""A small Azure Key Vault, a small Managed HSM and the directory that gives out their tokens: what the adapter and
Microsoft's own clients need of the three.

`prove_azure_keys.py` holds it against those clients. Keys have kinds, operations, states and times, applications have
permissions, requests without a token are answered by a challenge, and tokens end. Its clock can be set.
"""

import base64
import json
import os
import time
import urllib.parse
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import peer

DIRECTORY = "login.microsoftonline.com"
VAULT, HSM = "passport.vault.azure.net", "passport.managedhsm.azure.net"
TENANT = "11111111-2222-3333-4444-555555555555"
LIFETIME_S = 3600
# The version that the adapter speaks, and those that the clients may.
API_VERSIONS = {"7.4", "7.5", "7.6"}
WRAPPING = ("wrapKey", "unwrapKey")
GET, WRAP, UNWRAP = "get", "wrapKey", "unwrapKey"
EVERYTHING = (GET, WRAP, UNWRAP)
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class Refused(Exception):
    """An answer that is no 200."""

    def __init__(self, status, value, headers=None):
        self.status, self.value, self.headers = status, value, headers or {}


def refused(status, code, message, inner=None):
    error = {"code": code, "message": message}
    return Refused(status, {"error": error | ({"innererror": {"code": inner}} if inner else {})})


@dataclass
class Key:
    kty: str
    operations: tuple = WRAPPING
    enabled: bool = True
    deleted: bool = False
    expires: int | None = None
    version: str = field(default_factory=lambda: os.urandom(16).hex())

    def __post_init__(self):
        self.secret = os.urandom(32) if self.kty.startswith("oct") else rsa.generate_private_key(65537, 2048)

    @property
    def algorithm(self):
        return "A256KW" if self.kty.startswith("oct") else "RSA-OAEP-256"

    def wrap(self, value):
        if self.algorithm == "A256KW":
            return keywrap.aes_key_wrap(self.secret, value)
        return self.secret.public_key().encrypt(value, OAEP)

    def unwrap(self, value):
        try:
            return keywrap.aes_key_unwrap(self.secret, value) if self.algorithm == "A256KW" else self.secret.decrypt(value, OAEP)
        except (ValueError, keywrap.InvalidUnwrap):
            raise refused(400, "BadParameter", "The parameter is incorrect.\r\n")

    def public(self):
        """The half that a vault tells; of a symmetric key there is none."""
        if self.algorithm == "A256KW":
            return {}
        numbers = self.secret.public_key().public_numbers()
        return {"n": text(numbers.n.to_bytes(256, "big")), "e": text(numbers.e.to_bytes(3, "big"))}


@dataclass
class Application:
    """Somebody who may do something to some keys."""

    grants: dict
    id: str = field(default_factory=lambda: "-".join(os.urandom(n).hex() for n in (4, 2, 2, 2, 6)))
    secret: str = field(default_factory=lambda: text(os.urandom(30)) + "~")


class Store:
    """A vault or a managed HSM."""

    def __init__(self, host, kind):
        self.host, self.resource = host, "https://" + host.split(".", 1)[1]
        software = kind.removesuffix("-HSM")
        self.keys = {name: Key(kind) for name in ("bunker", "cosigner", "next")}
        self.keys["software"] = Key(software)
        self.keys["signing"] = Key(kind, operations=("sign", "verify") if software == "RSA" else ("encrypt", "decrypt"))

    def key_id(self, name):
        return f"https://{self.host}/keys/{name}/{self.keys[name].version if name in self.keys else '0' * 32}"


class Azure:
    def __init__(self):
        self.ahead_s = 0
        self.stores = {VAULT: Store(VAULT, "RSA-HSM"), HSM: Store(HSM, "oct-HSM")}
        self.applications = {
            "bunker": Application(dict.fromkeys(("bunker", "next", "software", "signing", "missing"), EVERYTHING)),
            "cosigner": Application({"cosigner": EVERYTHING}),
            "wrapper": Application({"bunker": (GET, WRAP)}),
            "blind": Application({"bunker": (WRAP, UNWRAP)}),
            "stranger": Application({}),
        }
        self.tokens = {}

    def now(self):
        return time.time() + self.ahead_s

    def introduction(self):
        names = ("bunker", "cosigner", "next", "software", "signing", "missing")
        return {
            "tenant": TENANT,
            "keys": {kind: {name: store.key_id(name) for name in names} for kind, store in (("vault", self.stores[VAULT]), ("hsm", self.stores[HSM]))},
            "applications": {name: {"id": it.id, "secret": it.secret} for name, it in self.applications.items()},
        }

    def command(self, word):
        if "ahead_s" in word:
            self.ahead_s = word["ahead_s"]
            return
        for store in self.stores.values():
            key = store.keys[word["key"]]
            key.enabled = word["state"] != "disabled"
            key.deleted = word["state"] == "deleted"
            key.expires = int(self.now()) - 60 if word["state"] == "expired" else None

    # The directory.

    def directory(self, method, path, body):
        base = f"https://{DIRECTORY}/{TENANT}"
        if method == "GET" and path.endswith("/.well-known/openid-configuration"):
            return {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{base}/v2.0",
            }
        if method == "GET" and path.startswith("/common/discovery/instance"):
            return {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": []}
        if (method, path) != ("POST", f"/{TENANT}/oauth2/v2.0/token"):
            raise Refused(400, {"error": "invalid_request", "error_description": "AADSTS900023: no such tenant"})
        form = dict(urllib.parse.parse_qsl(body.decode()))
        application = next((it for it in self.applications.values() if it.id == form.get("client_id")), None)
        if application is None:
            raise Refused(400, {"error": "unauthorized_client", "error_description": "AADSTS700016: Application was not found in the directory."})
        if form.get("client_secret") != application.secret:
            raise Refused(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
        scopes = {f"{store.resource}/.default" for store in self.stores.values()}
        if form.get("grant_type") != "client_credentials" or form.get("scope") not in scopes:
            raise Refused(400, {"error": "invalid_scope", "error_description": "AADSTS70011: The provided value for scope is not valid."})
        token = text(os.urandom(300))
        self.tokens[token] = (application, form["scope"].removesuffix("/.default"), self.now() + LIFETIME_S)
        return {"token_type": "Bearer", "expires_in": LIFETIME_S - 1, "ext_expires_in": LIFETIME_S - 1, "access_token": token}

    # The vault and the HSM.

    def caller(self, store, authorization):
        application, resource, until = self.tokens.get((authorization or "").removeprefix("Bearer "), (None, None, 0))
        if application is None or resource != store.resource or self.now() >= until:
            challenge = f'Bearer authorization="https://{DIRECTORY}/{TENANT}", resource="{store.resource}"'
            if authorization:
                challenge += ', error="invalid_token", error_description="AKV10001: the token is not valid"'
            message = "AKV10000: Request is missing a Bearer or PoP token." if not authorization else "AKV10001: the token is not valid"
            raise Refused(401, {"error": {"code": "Unauthorized", "message": message}}, {"www-authenticate": challenge})
        return application

    def store(self, store, method, path, query, body, authorization):
        application = self.caller(store, authorization)
        if dict(urllib.parse.parse_qsl(query)).get("api-version") not in API_VERSIONS:
            raise refused(400, "BadParameter", "AKV10026: unknown api-version")
        parts = path.strip("/").split("/")
        if len(parts) not in (3, 4) or parts[0] != "keys":
            raise refused(400, "BadParameter", "no such path")
        _, name, version = parts[:3]
        operation = {("GET", ""): GET, ("POST", "wrapkey"): WRAP, ("POST", "unwrapkey"): UNWRAP}.get((method, "/".join(parts[3:]).lower()))
        if operation is None:
            raise refused(405, "MethodNotAllowed", "not allowed")
        if operation not in application.grants.get(name, ()):
            message = f"The user, group or application does not have keys {operation} permission on key vault."
            raise refused(403, "Forbidden", message, "AccessDenied")
        key = store.keys.get(name)
        if key is None or key.deleted or key.version != version:
            raise refused(404, "KeyNotFound", f"A key with (name/id) {name}/{version} was not found in this key vault.")
        kid = store.key_id(name)
        if operation == GET:
            attributes = {"enabled": key.enabled, "created": 1700000000, "updated": 1700000000, "recoveryLevel": "Recoverable+Purgeable"}
            if key.expires is not None:
                attributes["exp"] = key.expires
            return {"key": {"kid": kid, "kty": key.kty, "key_ops": list(key.operations)} | key.public(), "attributes": attributes}
        # A disabled key still wraps; one out of its time still unwraps.
        if operation == UNWRAP and not key.enabled:
            raise refused(403, "Forbidden", "Operation unwrapKey is not allowed on a disabled key.", "KeyDisabled")
        if operation == WRAP and key.expires is not None and key.expires <= self.now():
            raise refused(403, "Forbidden", "Operation wrapKey is not allowed on an expired key.", "KeyExpired")
        request = json.loads(body)
        if operation not in key.operations:
            raise refused(403, "Forbidden", f"Operation {operation} is not permitted on this key.", "KeyOperationForbidden")
        if request["alg"] != key.algorithm:
            raise refused(400, "BadParameter", "Key and algorithm do not go together")
        value = base64.urlsafe_b64decode(request["value"] + "=" * (-len(request["value"]) % 4))
        return {"kid": kid, "value": text((key.wrap if operation == WRAP else key.unwrap)(value))}

    def answer(self, method, host, path, body, authorization):
        path, _, query = path.partition("?")
        if host == DIRECTORY:
            return self.directory(method, path, body)
        if host not in self.stores:
            raise refused(404, "NotFound", "no such host")
        return self.store(self.stores[host], method, path, query, body, authorization)


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def handler(azure):
    class Handler(peer.Handler):
        def answer(self, method, host, path, body):
            try:
                return 200, {}, azure.answer(method, host, path, body, self.headers["authorization"])
            except Refused as refusal:
                return refusal.status, refusal.headers, refusal.value
            except (ValueError, KeyError):
                return 400, {}, refused(400, "BadParameter", "not understood").value

    return Handler


def start():
    """The services in this process, for a test of them: services, certificate, names and port."""
    azure = Azure()
    names = [DIRECTORY, VAULT, HSM]
    certificate = peer.Certificate(names)
    server = peer.Server(handler(azure), certificate)
    peer.start(server)
    return azure, certificate, names, server


def main():
    azure, certificate, names, server = start()
    peer.attend(server, certificate, names, azure.introduction(), azure.command)


if __name__ == "__main__":
    main()
