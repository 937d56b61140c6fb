"""AWS KMS and IAM by moto, with signatures and policies checked.

moto has no notion of time in signatures, and lets keys be used whatever their state; both are added here, with the
errors that the KMS documentation names. Its policies know actions but not resources.
"""

import datetime
import json

import moto
import moto.server
from botocore.config import Config
from botocore.session import Session
from moto import settings
from moto.core.exceptions import JsonRESTError
from moto.iam.access_control import IAMRequest
from moto.kms.models import KmsBackend, kms_backends
from werkzeug.serving import make_server

import peer

REGION = "eu-central-1"
ACCOUNT = "123456789012"
# The last is for who names an endpoint of his own.
NAMES = [f"kms.{REGION}.amazonaws.com", f"sts.{REGION}.amazonaws.com", "iam.amazonaws.com", "kms.passport.test"]
SKEW = datetime.timedelta(minutes=5)
USE = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]


def check_time(check_signature):
    """Refuses signatures of another time, as all services of AWS do."""

    def checked(request):
        check_signature(request)
        form = "%Y%m%dT%H%M%SZ"
        signed = datetime.datetime.strptime(request._headers["X-Amz-Date"], form)
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        text = lambda time: time.strftime(form)
        if signed < now - SKEW:
            reason = f"Signature expired: {text(signed)} is now earlier than {text(now - SKEW)} ({text(now)} - 5 min.)"
            raise JsonRESTError("InvalidSignatureException", reason)
        if signed > now + SKEW:
            reason = f"Signature not yet current: {text(signed)} is still later than {text(now + SKEW)} ({text(now)} + 5 min.)"
            raise JsonRESTError("InvalidSignatureException", reason)

    return checked


def check_state(use):
    """Refuses the use of a key that is not enabled."""

    def checked(self, *args, **kwargs):
        answer = use(self, *args, **kwargs)
        key = self.keys[answer[1].split("/")[-1]]
        if key.key_state == "Disabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        if key.key_state != "Enabled":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        return answer

    return checked


def set_up(client):
    """Makes keys and who may use them; all of it through moto's own interface, before it asks who is there."""
    kms, iam, sts = client("kms"), client("iam"), client("sts")
    # Left to itself moto gives new keys no usage at all.
    usual = {"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT"}
    make = lambda **parameters: kms.create_key(**usual | parameters)["KeyMetadata"]["Arn"]
    keys = {name: make() for name in ("bunker", "cosigner", "next")}
    keys["software"] = make(Origin="EXTERNAL")
    keys["cloudhsm"] = make(Origin="AWS_CLOUDHSM")
    keys["signing"] = make(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
    keys["missing"] = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"

    def policy(*statements):
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": actions, "Resource": "*"} for effect, actions in statements]})

    users = {}
    for name, statements in {
        "bunker": [("Allow", USE)],
        "cosigner": [("Allow", USE)],
        "wrapper": [("Allow", USE), ("Deny", ["kms:Decrypt"])],
        "stranger": [("Allow", ["s3:GetObject"])],
    }.items():
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="use", PolicyDocument=policy(*statements))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        users[name] = {"id": made["AccessKeyId"], "secret": made["SecretAccessKey"], "token": None}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
    role = iam.create_role(RoleName="bunker", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="bunker", PolicyName="use", PolicyDocument=policy(("Allow", USE)))
    made = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    users["session"] = {"id": made["AccessKeyId"], "secret": made["SecretAccessKey"], "token": made["SessionToken"]}
    return {"version": moto.__version__, "keys": keys, "users": users}


def main():
    certificate = peer.Certificate(NAMES)
    app = moto.server.DomainDispatcherApplication(moto.server.create_backend_app)
    handler = moto.server.MotoRequestHandler
    handler.log = lambda *_, **__: None
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=certificate.context(), request_handler=handler)
    peer.start(server)
    session = Session()
    session.set_credentials("testing", "testing")
    peer.reroute(NAMES, server.port)
    client = lambda service: session.create_client(service, region_name=REGION, verify=certificate.ca_file, config=Config(retries={"max_attempts": 0}))
    introduction = set_up(client)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    IAMRequest.check_signature = check_time(IAMRequest.check_signature)
    KmsBackend.encrypt = check_state(KmsBackend.encrypt)
    KmsBackend.decrypt = check_state(KmsBackend.decrypt)
    backend = kms_backends[ACCOUNT][REGION]

    def command(word):
        key = introduction["keys"][word["key"]].split("/")[-1]
        {
            "enabled": lambda: (backend.cancel_key_deletion(key), backend.enable_key(key)),
            "disabled": lambda: backend.disable_key(key),
            "pending": lambda: backend.schedule_key_deletion(key, 7),
        }[word["state"]]()

    peer.attend(server, certificate, NAMES, introduction, command)


if __name__ == "__main__":
    main()
