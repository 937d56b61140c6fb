"""Writes requests as botocore signs them, for `hsm/tests/sigv4.rs` to sign again and compare byte for byte.

Most are made by botocore's own KMS client, taken from it just before they would be sent; the rest are signed by its
`SigV4Auth` alone, with headers that the client never makes. Clock, keys and tokens are fixed, so the output is always
the same: `python botocore_samples.py > botocore_samples.json`.
"""

import datetime
import json
import sys

import botocore
import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

# The documentation's own example credentials; nobody's.
LONG_TERM = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
TEMPORARY = ("ASIAEXAMPLE", "short+lived/secret=EXAMPLE", "FwoGZXIvYXdzEXAMPLE//+token==" * 9)
KEY = "arn:aws:kms:{}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXT = {"passport:purpose": "passport/v1/dek", "passport:holder": "bunker"}
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "us-gov-west-1", "cn-north-1"]
TIMES = ["2015-08-30T12:36:00", "2024-02-29T23:59:59", "2026-01-01T00:00:00", "2026-11-29T09:05:07", "2099-12-31T23:59:59"]
# What a carrier adds, or botocore does not sign; it may not grow unseen.
UNSIGNED = {"accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "content-length", "user-agent"}

now = None
seen = {}


def freeze():
    """Fixes botocore's clock, and keeps what it makes on the way to a signature."""
    auth = botocore.auth.SigV4Auth
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: now
    for name in ("canonical_request", "string_to_sign"):
        def keep(self, *args, name=name, original=getattr(auth, name)):
            seen[name] = original(self, *args)
            return seen[name]
        setattr(auth, name, keep)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def sample(name, credentials, region, url, headers, body):
    """One request after botocore has signed it."""
    lower = {key.lower(): text(value) for key, value in headers.items()}
    made = {key: lower.pop(key, None) for key in ("x-amz-date", "x-amz-security-token", "authorization")}
    signed = made["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    unsigned = set(lower) - set(signed)
    if not unsigned <= UNSIGNED:
        raise SystemExit(f"botocore sends unsigned headers that are not known here: {unsigned - UNSIGNED}")
    return {
        "name": name,
        "now_ms": int(now.replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000,
        "access_key_id": credentials[0],
        "secret_access_key": credentials[1],
        "session_token": credentials[2],
        "region": region,
        "host": url.split("://")[1].rstrip("/"),
        "headers": {key: value for key, value in lower.items() if key in signed and key != "host"},
        "body": text(body),
        "canonical_request": seen["canonical_request"],
        "string_to_sign": seen["string_to_sign"],
        "signed": {key: value for key, value in made.items() if value is not None},
    }


def of_client(name, credentials, region, operation, **parameters):
    """A request of the KMS client, stopped before it leaves."""
    session = botocore.session.Session()
    session.set_credentials(*credentials)
    client = session.create_client("kms", region_name=region, config=Config(retries={"max_attempts": 0}))
    caught = []

    def stop(request, **_):
        caught.append(request)
        answer = AWSResponse(request.url, 200, {}, None)
        answer._content = b"{}"
        return answer

    client.meta.events.register("before-send.kms", stop)
    getattr(client, operation)(**parameters)
    [request] = caught
    return sample(name, credentials, region, request.url, request.headers, request.body)


def of_signer(name, credentials, region, host, headers, body):
    """A request of our own that `SigV4Auth` signs."""
    request = AWSRequest("POST", f"https://{host}/", headers=headers, data=body)
    botocore.auth.SigV4Auth(Credentials(*credentials), "kms", region).add_auth(request)
    return sample(name, credentials, region, request.url, request.headers, body)


def samples():
    global now
    for at, region in enumerate(REGIONS):
        now = datetime.datetime.fromisoformat(TIMES[at])
        for kind, credentials in (("long-term", LONG_TERM), ("temporary", TEMPORARY)):
            key = KEY.format(region)
            name = f"{{}} in {region}, {kind}".format
            yield of_client(name("Encrypt"), credentials, region, "encrypt", KeyId=key, Plaintext=bytes(range(32)),
                            EncryptionContext=CONTEXT, EncryptionAlgorithm="SYMMETRIC_DEFAULT")
            yield of_client(name("Decrypt"), credentials, region, "decrypt", KeyId=key, CiphertextBlob=bytes(200),
                            EncryptionContext=CONTEXT, EncryptionAlgorithm="SYMMETRIC_DEFAULT")
            yield of_client(name("DescribeKey"), credentials, region, "describe_key", KeyId=key)
    json_11 = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Encrypt"}
    host = "kms.eu-central-1.amazonaws.com"
    odd = {
        "an empty body": (host, json_11, b""),
        "a body beyond ASCII": (host, json_11, '{"KeyId":"schlüssel ✓"}'.encode()),
        "a long body": (host, json_11, b'{"CiphertextBlob":"' + b"A" * 2048 + b'"}'),
        "space in and around values": (host, json_11 | {"X-Odd": "  a   b  c  ", "X-Quoted": '"a   b"'}, b"{}"),
        "headers that sort by more than letters": (host, {"X-B": "1", "X-A-B": "2", "X-A": "3", "X-A1": "4"} | json_11, b"{}"),
        "an empty value": (host, json_11 | {"X-Empty": ""}, b"{}"),
        "a host with a port": ("127.0.0.1:4566", json_11, b"{}"),
        "a private endpoint": ("vpce-0123-abcd.kms.eu-central-1.vpce.amazonaws.com", json_11, b"{}"),
    }
    for name, (host, headers, body) in odd.items():
        for kind, credentials in (("long-term", LONG_TERM), ("temporary", TEMPORARY)):
            yield of_signer(f"{name}, {kind}", credentials, "eu-central-1", host, headers, body)


if __name__ == "__main__":
    freeze()
    written = {"botocore": botocore.__version__, "samples": list(samples())}
    json.dump(written, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
