"""Proves `google_kms.py` with Google's own client, over its REST transport and with its own service accounts."""

import functools
import json
import os
import unittest

import google_crc32c
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud import kms
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport
from google.oauth2 import service_account

import google_kms
import peer

service, certificate, names, server = google_kms.start()
os.environ["REQUESTS_CA_BUNDLE"] = certificate.ca_file
peer.reroute(names, server.port)
introduction = service.introduction()
AAD = b"passport/v1/dek:bunker"
DEK = bytes(range(32))


@functools.cache
def client(account):
    info = json.loads(introduction["accounts"][account])
    credentials = service_account.Credentials.from_service_account_info(info, scopes=["https://www.googleapis.com/auth/cloudkms"])
    # By way of the token endpoint, as the adapter goes; left to itself this client signs its own tokens.
    transport = KeyManagementServiceRestTransport(credentials=credentials, always_use_jwt_access=False)
    return kms.KeyManagementServiceClient(transport=transport)


def key(name):
    return f"{introduction['ring']}/{name}"


def wrap(account="bunker", name="bunker", aad=AAD, **more):
    request = {"name": key(name), "plaintext": DEK, "additional_authenticated_data": aad}
    checksums = {"plaintext_crc32c": google_crc32c.value(DEK), "additional_authenticated_data_crc32c": google_crc32c.value(aad)}
    return client(account).encrypt(request=request | checksums | more, retry=None)


def unwrap(ciphertext, account="bunker", name="bunker", aad=AAD, **more):
    request = {"name": key(name), "ciphertext": ciphertext, "additional_authenticated_data": aad}
    return client(account).decrypt(request=request | {"ciphertext_crc32c": google_crc32c.value(ciphertext)} | more, retry=None)


class GoogleKms(unittest.TestCase):
    def setUp(self):
        client.cache_clear()

    def assertRefused(self, word, use, message=""):
        """That the client understands a refusal of this status, which over REST only the body tells exactly."""
        with self.assertRaisesRegex(exceptions.ClientError, message) as caught:
            use()
        self.assertEqual(caught.exception.response.json()["error"]["status"], word)
        self.assertEqual(caught.exception.code, caught.exception.response.json()["error"]["code"])

    def test_what_was_encrypted_comes_back_with_all_that_google_says_of_it(self):
        wrapped = wrap()
        self.assertEqual(wrapped.name, key("bunker") + "/cryptoKeyVersions/1")
        self.assertEqual(wrapped.ciphertext_crc32c, google_crc32c.value(wrapped.ciphertext))
        self.assertTrue(wrapped.verified_plaintext_crc32c and wrapped.verified_additional_authenticated_data_crc32c)
        self.assertEqual(wrapped.protection_level, kms.ProtectionLevel.HSM)
        opened = unwrap(wrapped.ciphertext)
        self.assertEqual((opened.plaintext, opened.plaintext_crc32c), (DEK, google_crc32c.value(DEK)))
        self.assertEqual(opened.protection_level, kms.ProtectionLevel.HSM)
        self.assertTrue(opened.used_primary)

    def test_checksums_that_were_not_sent_are_not_said_to_be_verified(self):
        wrapped = client("bunker").encrypt(name=key("bunker"), plaintext=DEK)
        self.assertFalse(wrapped.verified_plaintext_crc32c or wrapped.verified_additional_authenticated_data_crc32c)

    def test_the_key_is_told_with_its_primary_version(self):
        told = client("bunker").get_crypto_key(name=key("bunker"))
        self.assertEqual((told.name, told.purpose), (key("bunker"), kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT))
        self.assertEqual(told.primary.state, kms.CryptoKeyVersion.CryptoKeyVersionState.ENABLED)
        self.assertEqual(told.primary.protection_level, kms.ProtectionLevel.HSM)
        told = client("bunker").get_crypto_key(name=key("software"))
        self.assertEqual(told.primary.protection_level, kms.ProtectionLevel.SOFTWARE)
        told = client("bunker").get_crypto_key(name=key("signing"))
        self.assertEqual(told.purpose, kms.CryptoKey.CryptoKeyPurpose.ASYMMETRIC_SIGN)

    def test_other_associated_data_another_key_and_altered_bytes_open_nothing(self):
        ciphertext = wrap().ciphertext
        altered = [ciphertext[:at] + bytes([ciphertext[at] ^ 1]) + ciphertext[at + 1 :] for at in range(len(ciphertext))]
        cut = [ciphertext[:length] for length in range(1, len(ciphertext))]
        for bad in altered + cut:
            self.assertRefused("INVALID_ARGUMENT", lambda: unwrap(bad), "Decryption failed")
        for other in ({"aad": b"passport/v1/dek:cosigner"}, {"name": "next"}):
            self.assertRefused("INVALID_ARGUMENT", lambda: unwrap(ciphertext, **other), "Decryption failed")

    def test_a_wrong_checksum_is_refused_by_its_name(self):
        for name in ("plaintext_crc32c", "additional_authenticated_data_crc32c"):
            self.assertRefused("INVALID_ARGUMENT", lambda: wrap(**{name: 1}), f"checksum in field {name}")
        ciphertext = wrap().ciphertext
        for name in ("ciphertext_crc32c", "additional_authenticated_data_crc32c"):
            self.assertRefused("INVALID_ARGUMENT", lambda: unwrap(ciphertext, **{name: 1}), f"checksum in field {name}")

    def test_an_older_version_still_opens_what_it_encrypted(self):
        old = wrap(name="next").ciphertext
        service.command({"key": "next", "state": "rotated"})
        self.assertEqual(wrap(name="next").name, key("next") + "/cryptoKeyVersions/2")
        opened = unwrap(old, name="next")
        self.assertEqual((opened.plaintext, opened.used_primary), (DEK, False))

    def test_a_key_that_is_disabled_or_going_is_refused(self):
        ciphertext = wrap().ciphertext
        states = kms.CryptoKeyVersion.CryptoKeyVersionState
        for word, state in (("disabled", states.DISABLED), ("pending", states.DESTROY_SCHEDULED)):
            service.command({"key": "bunker", "state": word})
            self.addCleanup(service.command, {"key": "bunker", "state": "enabled"})
            self.assertEqual(client("bunker").get_crypto_key(name=key("bunker")).primary.state, state)
            for use in (wrap, lambda: unwrap(ciphertext)):
                self.assertRefused("FAILED_PRECONDITION", use, f"current state is: {state.name}")

    def test_a_key_that_is_not_there_and_one_for_something_else_are_refused(self):
        self.assertRefused("NOT_FOUND", lambda: wrap(name="missing"))
        self.assertRefused("FAILED_PRECONDITION", lambda: wrap(name="signing"))

    def test_each_account_does_what_it_may(self):
        ciphertext = wrap("wrapper").ciphertext
        refused = [lambda: unwrap(ciphertext, "wrapper"), lambda: wrap("stranger"), lambda: wrap("cosigner"), lambda: wrap("bunker", "cosigner")]
        for use in refused:
            self.assertRefused("PERMISSION_DENIED", use)

    def test_a_wrong_or_unknown_account_gets_no_token(self):
        with self.assertRaisesRegex(RefreshError, "Invalid JWT Signature"):
            wrap("wrong")
        with self.assertRaisesRegex(RefreshError, "account not found"):
            wrap("unknown")

    def test_a_wrong_clock_gets_no_token(self):
        self.addCleanup(service.command, {"ahead_s": 0})
        for ahead_s in (7200, -7200):
            service.command({"ahead_s": ahead_s})
            with self.assertRaisesRegex(RefreshError, "reasonable timeframe"):
                wrap()

    def test_a_token_ends(self):
        used = client("bunker")
        used.get_crypto_key(name=key("bunker"))
        self.addCleanup(service.command, {"ahead_s": 0})
        service.command({"ahead_s": 7200})
        # When it is refused, Google's client asks for another token, and gets none while the clocks are apart.
        with self.assertRaisesRegex(RefreshError, "reasonable timeframe"):
            used.get_crypto_key(name=key("bunker"), retry=None)


if __name__ == "__main__":
    unittest.main()
