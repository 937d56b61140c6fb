"""A small Google Cloud KMS with its token endpoint: what the adapter and Google's own client need of both.

`prove_google_kms.py` holds it against that client. Keys have versions with states, accounts have permissions, requests
are held against their checksums, and tokens end. Its clock can be set.
"""

import base64
import json
import os
import time
import urllib.parse
from dataclasses import dataclass, field

import google_crc32c
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import peer

KMS, TOKENS = "cloudkms.googleapis.com", "oauth2.googleapis.com"
# The same two, for who names endpoints of his own.
OWN_KMS, OWN_TOKENS = "kms.passport.test", "tokens.passport.test"
RING = "projects/passport-test/locations/europe-west3/keyRings/passport"
SCOPES = {"https://www.googleapis.com/auth/cloudkms", "https://www.googleapis.com/auth/cloud-platform"}
LIFETIME_S = 3600
SKEW_S = 300
VIEW, ENCRYPT, DECRYPT = "cryptoKeys.get", "cryptoKeyVersions.useToEncrypt", "cryptoKeyVersions.useToDecrypt"
EVERYTHING = (VIEW, ENCRYPT, DECRYPT)


class Refused(Exception):
    """An answer that is no 200."""

    def __init__(self, status, value):
        self.status, self.value = status, value


def refused(code, status, message):
    return Refused(code, {"error": {"code": code, "message": message, "status": status}})


@dataclass
class Key:
    protection: str = "HSM"
    purpose: str = "ENCRYPT_DECRYPT"
    versions: list = field(default_factory=lambda: [os.urandom(32)])
    states: list = field(default_factory=lambda: ["ENABLED"])

    @property
    def primary(self):
        return len(self.versions)


class Account:
    """A service account with its key."""

    def __init__(self, name, grants):
        self.email = f"{name}@passport-test.iam.gserviceaccount.com"
        self.grants = grants
        self.key_id = os.urandom(20).hex()
        self.key = rsa.generate_private_key(65537, 2048)

    def file(self):
        """As Google gives it out."""
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {
            "type": "service_account",
            "project_id": "passport-test",
            "private_key_id": self.key_id,
            "private_key": self.key.private_bytes(*form).decode(),
            "client_email": self.email,
            "client_id": "1",
            "token_uri": f"https://{TOKENS}/token",
        }


class Kms:
    def __init__(self):
        self.ahead_s = 0
        # Of a token endpoint that is reached by another address.
        self.audience = None
        self.keys = {
            "bunker": Key(),
            "cosigner": Key(),
            "next": Key(),
            "software": Key(protection="SOFTWARE"),
            "signing": Key(purpose="ASYMMETRIC_SIGN"),
        }
        bunker = dict.fromkeys(("bunker", "next", "software", "signing", "missing"), EVERYTHING)
        accounts = [
            Account("bunker", bunker),
            Account("cosigner", {"cosigner": EVERYTHING}),
            Account("wrapper", {"bunker": (VIEW, ENCRYPT)}),
            Account("stranger", {}),
        ]
        self.accounts = {account.email: account for account in accounts}
        self.tokens = {}

    def now(self):
        return time.time() + self.ahead_s

    def introduction(self):
        files = {account.email.split("@")[0]: json.dumps(account.file()) for account in self.accounts.values()}
        # Somebody else's key under the bunker's name, and somebody whom nobody knows.
        stranger = self.accounts[next(email for email in self.accounts if email.startswith("stranger"))]
        bunker = json.loads(files["bunker"])
        files["wrong"] = json.dumps(bunker | {"private_key": stranger.file()["private_key"]})
        files["unknown"] = json.dumps(bunker | {"client_email": bunker["client_email"].replace("bunker", "nobody")})
        return {"ring": f"{RING}/cryptoKeys", "accounts": files}

    def command(self, word):
        if "ahead_s" in word:
            self.ahead_s = word["ahead_s"]
        elif "audience" in word:
            self.audience = word["audience"]
        elif word.get("state") == "rotated":
            key = self.keys[word["key"]]
            key.versions.append(os.urandom(32))
            key.states.append("ENABLED")
        else:
            key = self.keys[word["key"]]
            key.states[-1] = {"enabled": "ENABLED", "disabled": "DISABLED", "pending": "DESTROY_SCHEDULED"}[word["state"]]

    # The token endpoint.

    def token(self, host, body):
        """RFC 7523, with Google's words where it refuses."""
        form = dict(urllib.parse.parse_qsl(body.decode()))
        refuse = lambda error, description: Refused(400, {"error": error, "error_description": description})
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            raise refuse("unsupported_grant_type", "Invalid grant_type: " + form.get("grant_type", ""))
        try:
            signed, _, signature = form["assertion"].rpartition(".")
            header, claims = (json.loads(unpadded(part)) for part in signed.split("."))
            account = self.accounts.get(claims["iss"])
            iat, exp = int(claims["iat"]), int(claims["exp"])
            signature = unpadded(signature)
        except (KeyError, ValueError):
            raise refuse("invalid_request", "Bad Request")
        if account is None:
            raise refuse("invalid_grant", "Invalid grant: account not found")
        if header.get("alg") != "RS256" or header.get("kid", account.key_id) != account.key_id:
            raise refuse("invalid_grant", "Invalid JWT Signature.")
        try:
            account.key.public_key().verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise refuse("invalid_grant", "Invalid JWT Signature.")
        now = self.now()
        if not (now - LIFETIME_S - SKEW_S < iat < now + SKEW_S) or exp < now - SKEW_S or exp - iat > LIFETIME_S:
            reason = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
            raise refuse("invalid_grant", reason)
        if claims.get("aud") not in (f"https://{host}/token", f"https://{host}/", self.audience):
            raise refuse("invalid_grant", "Invalid JWT: Failed audience check.")
        if not SCOPES & set(claims.get("scope", "").split()):
            raise refuse("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = "ya29." + os.urandom(32).hex()
        self.tokens[token] = (account, now + LIFETIME_S)
        return {"access_token": token, "expires_in": LIFETIME_S - 1, "token_type": "Bearer"}

    # The key management service.

    def caller(self, authorization):
        account, until = self.tokens.get((authorization or "").removeprefix("Bearer "), (None, 0))
        if account is None or self.now() >= until:
            reason = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."
            raise refused(401, "UNAUTHENTICATED", reason)
        return account

    def key(self, name, account, permission):
        short = name.removeprefix(f"{RING}/cryptoKeys/")
        if permission not in account.grants.get(short, ()):
            reason = f"Permission 'cloudkms.{permission}' denied on resource '{name}' (or it may not exist)."
            raise refused(403, "PERMISSION_DENIED", reason)
        if short not in self.keys:
            raise refused(404, "NOT_FOUND", f"CryptoKey {name} not found.")
        return self.keys[short]

    def get(self, name, account):
        key = self.key(name, account, VIEW)
        template = {"protectionLevel": key.protection, "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION"}
        answer = {"name": name, "purpose": key.purpose, "createTime": "2026-01-01T00:00:00.123456789Z", "versionTemplate": template}
        if key.purpose == "ENCRYPT_DECRYPT":
            answer["primary"] = {"name": version_name(name, key.primary), "state": key.states[-1], **template}
        return answer

    def encrypt(self, name, account, request):
        key = self.key(name, account, ENCRYPT)
        plaintext, aad = checked(request, "plaintext"), checked(request, "additionalAuthenticatedData")
        self.usable(key, name, key.primary)
        nonce = os.urandom(12)
        prefix = b"\x0a" + key.primary.to_bytes(4, "big")
        ciphertext = prefix + nonce + AESGCM(key.versions[-1]).encrypt(nonce, plaintext, prefix + aad)
        answer = {"name": version_name(name, key.primary), "ciphertext": text(ciphertext), "ciphertextCrc32c": checksum(ciphertext)}
        # As in all of Google's JSON, what is false is left out.
        for field_name, said in (("verifiedPlaintextCrc32c", "plaintextCrc32c"), ("verifiedAdditionalAuthenticatedDataCrc32c", "additionalAuthenticatedDataCrc32c")):
            if said in request:
                answer[field_name] = True
        return answer | {"protectionLevel": key.protection}

    def decrypt(self, name, account, request):
        key = self.key(name, account, DECRYPT)
        ciphertext, aad = checked(request, "ciphertext"), checked(request, "additionalAuthenticatedData")
        prefix, nonce, sealed = ciphertext[:5], ciphertext[5:17], ciphertext[17:]
        version = int.from_bytes(prefix[1:], "big")
        broken = refused(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
        if prefix[:1] != b"\x0a" or not 1 <= version <= len(key.versions) or len(sealed) < 16:
            raise broken
        try:
            plaintext = AESGCM(key.versions[version - 1]).decrypt(nonce, sealed, prefix + aad)
        except InvalidTag:
            raise broken
        self.usable(key, name, version)
        answer = {"plaintext": text(plaintext), "plaintextCrc32c": checksum(plaintext), "protectionLevel": key.protection}
        return answer | ({"usedPrimary": True} if version == key.primary else {})

    @staticmethod
    def usable(key, name, version):
        if key.purpose != "ENCRYPT_DECRYPT":
            raise refused(400, "FAILED_PRECONDITION", f"{name} is not enabled for encryption.")
        state = key.states[version - 1]
        if state != "ENABLED":
            reason = f"{version_name(name, version)} is not enabled, current state is: {state}."
            raise refused(400, "FAILED_PRECONDITION", reason)

    def answer(self, method, host, path, body, authorization):
        if host in (TOKENS, OWN_TOKENS) and (method, path) == ("POST", "/token"):
            return self.token(host, body)
        path, _, query = path.partition("?")
        name, _, operation = urllib.parse.unquote(path.removeprefix("/v1/")).partition(":")
        if host not in (KMS, OWN_KMS) or not path.startswith("/v1/projects/"):
            raise refused(404, "NOT_FOUND", "Not found.")
        account = self.caller(authorization)
        if (method, operation) == ("GET", ""):
            return self.get(name, account)
        if method == "POST" and operation in ("encrypt", "decrypt"):
            return getattr(self, operation)(name, account, json.loads(body))
        raise refused(404, "NOT_FOUND", "Not found.")


def unpadded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def text(data):
    return base64.b64encode(data).decode()


def checksum(data):
    """A 64-bit number, which Google's JSON has as text."""
    return str(google_crc32c.value(data))


def version_name(name, version):
    return f"{name}/cryptoKeyVersions/{version}"


def checked(request, name):
    """A field in base64, held against its checksum if there is one."""
    data = base64.b64decode(request.get(name, ""), validate=True)
    said = request.get(f"{name}Crc32c")
    if said is not None and str(said) != checksum(data):
        snake = "".join("_" + it.lower() if it.isupper() else it for it in name)
        raise refused(400, "INVALID_ARGUMENT", f"The checksum in field {snake}_crc32c did not match the data in field {snake}.")
    return data


def handler(kms):
    class Handler(peer.Handler):
        def answer(self, method, host, path, body):
            try:
                return 200, {}, kms.answer(method, host, path, body, self.headers["authorization"])
            except Refused as refusal:
                return refusal.status, {}, refusal.value
            except ValueError:
                return 400, {}, refused(400, "INVALID_ARGUMENT", "Invalid value").value

    return Handler


def start():
    """The service in this process, for a test of it: service, certificate, names and port."""
    kms = Kms()
    names = [KMS, TOKENS, OWN_KMS, OWN_TOKENS]
    certificate = peer.Certificate(names)
    server = peer.Server(handler(kms), certificate)
    peer.start(server)
    return kms, certificate, names, server


def main():
    kms, certificate, names, server = start()
    peer.attend(server, certificate, names, kms.introduction(), kms.command)


if __name__ == "__main__":
    main()
