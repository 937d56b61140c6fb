"""Proves `azure_keys.py` with Microsoft's own clients: their identity, their challenge policy, their keys."""

import logging
import unittest

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys._generated.models import KeyOperationsParameters
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

import azure_keys
import peer

logging.disable()  # what is refused here is meant to be
service, certificate, names, server = azure_keys.start()
peer.reroute(names, server.port)
introduction = service.introduction()
DEK = bytes(range(32))
OURS = {"api_version": "7.4", "connection_verify": certificate.ca_file, "retry_total": 0}
STORES = {"vault": KeyWrapAlgorithm.rsa_oaep_256, "hsm": KeyWrapAlgorithm.aes_256}


def credential(name, secret=None):
    application = introduction["applications"][name]
    return ClientSecretCredential(introduction["tenant"], application["id"], secret or application["secret"], connection_verify=certificate.ca_file, retry_total=0)


def keys(store, name="bunker", **more):
    url = "https://" + introduction["keys"][store]["bunker"].split("/")[2]
    return KeyClient(url, credential(name, **more), **OURS)


def told(store, key="bunker", name="bunker", **more):
    key_id = introduction["keys"][store][key]
    return keys(store, name, **more).get_key(key, key_id.rsplit("/", 1)[1])


def crypto(store, key="bunker", name="bunker", **more):
    """A client that has only the key's name; it asks for the key, and works with its public half itself if it may."""
    return CryptographyClient(introduction["keys"][store][key], credential(name, **more), **OURS)


def remote(store, operation, value, key="bunker", name="bunker"):
    """Wraps or unwraps at the service itself, by the client that the others are built on."""
    parameters = KeyOperationsParameters(algorithm=STORES[store], value=value)
    version = introduction["keys"][store][key].rsplit("/", 1)[1]
    return getattr(keys(store, name)._client, operation)(key, version, parameters)


class AzureKeys(unittest.TestCase):
    def assertRefused(self, status, code, inner, use):
        with self.assertRaises(HttpResponseError) as caught:
            use()
        error = caught.exception
        said = error.response.json()["error"]
        self.assertEqual((error.status_code, said["code"], said.get("innererror", {}).get("code")), (status, code, inner))
        self.assertIn(said["code"], str(error))

    def test_what_was_wrapped_comes_back_from_both_kinds_of_store(self):
        for store in STORES:
            done = remote(store, "wrap_key", DEK)
            self.assertEqual(done.kid, introduction["keys"][store]["bunker"])
            self.assertEqual(len(done.result), {"vault": 256, "hsm": 40}[store])
            self.assertEqual(crypto(store).unwrap_key(STORES[store], done.result).key, DEK)
            self.assertEqual(remote(store, "unwrap_key", done.result).result, DEK)

    def test_the_public_half_is_that_of_the_key(self):
        wrapped = crypto("vault").wrap_key(STORES["vault"], DEK)  # by the client itself
        self.assertEqual(remote("vault", "unwrap_key", wrapped.encrypted_key).result, DEK)

    def test_who_may_not_look_at_the_key_still_wraps_and_unwraps(self):
        wrapped = crypto("vault", name="blind").wrap_key(STORES["vault"], DEK)
        self.assertEqual(crypto("vault", name="blind").unwrap_key(STORES["vault"], wrapped.encrypted_key).key, DEK)

    def test_the_key_is_told_with_kind_operations_and_state(self):
        for store, kind in (("vault", "RSA-HSM"), ("hsm", "oct-HSM")):
            key = told(store)
            self.assertEqual((key.id, key.key_type), (introduction["keys"][store]["bunker"], kind))
            self.assertEqual(set(key.key_operations), {"wrapKey", "unwrapKey"})
            self.assertTrue(key.properties.enabled)
            self.assertEqual(told(store, "software").key_type, kind.removesuffix("-HSM"))
            self.assertNotIn("wrapKey", told(store, "signing").key_operations)

    def test_altered_bytes_and_another_key_open_nothing(self):
        for store in STORES:
            wrapped = remote(store, "wrap_key", DEK).result
            altered = [wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :] for at in range(0, len(wrapped), 17)]
            for bad in altered + [wrapped[:-1], wrapped[:24], wrapped + b"\0"]:
                self.assertRefused(400, "BadParameter", None, lambda: remote(store, "unwrap_key", bad))
            self.assertRefused(400, "BadParameter", None, lambda: remote(store, "unwrap_key", wrapped, key="next"))

    def test_a_disabled_key_wraps_and_does_not_unwrap(self):
        wrapped = remote("vault", "wrap_key", DEK).result
        service.command({"key": "bunker", "state": "disabled"})
        self.addCleanup(service.command, {"key": "bunker", "state": "enabled"})
        self.assertFalse(told("vault").properties.enabled)
        remote("vault", "wrap_key", DEK)
        self.assertRefused(403, "Forbidden", "KeyDisabled", lambda: remote("vault", "unwrap_key", wrapped))

    def test_an_expired_key_unwraps_and_does_not_wrap(self):
        wrapped = remote("vault", "wrap_key", DEK).result
        service.command({"key": "bunker", "state": "expired"})
        self.addCleanup(service.command, {"key": "bunker", "state": "enabled"})
        self.assertIsNotNone(told("vault").properties.expires_on)
        self.assertRefused(403, "Forbidden", "KeyExpired", lambda: remote("vault", "wrap_key", DEK))
        self.assertEqual(remote("vault", "unwrap_key", wrapped).result, DEK)

    def test_a_missing_and_a_deleted_key_are_not_there(self):
        with self.assertRaises(ResourceNotFoundError):
            told("vault", "missing")
        service.command({"key": "bunker", "state": "deleted"})
        self.addCleanup(service.command, {"key": "bunker", "state": "enabled"})
        with self.assertRaises(ResourceNotFoundError):
            told("vault")

    def test_a_key_for_something_else_is_refused(self):
        for store in STORES:
            self.assertRefused(403, "Forbidden", "KeyOperationForbidden", lambda: remote(store, "wrap_key", DEK, key="signing"))

    def test_each_application_does_what_it_may(self):
        wrapped = remote("vault", "wrap_key", DEK, name="wrapper").result
        for use in (
            lambda: remote("vault", "unwrap_key", wrapped, name="wrapper"),
            lambda: remote("vault", "wrap_key", DEK, name="stranger"),
            lambda: remote("vault", "wrap_key", DEK, name="cosigner"),
            lambda: remote("vault", "wrap_key", DEK, key="cosigner"),
        ):
            self.assertRefused(403, "Forbidden", "AccessDenied", use)

    def test_a_wrong_secret_and_an_unknown_application_get_no_token(self):
        with self.assertRaisesRegex(ClientAuthenticationError, "AADSTS7000215"):
            told("vault", secret="wrong")
        unknown = ClientSecretCredential(introduction["tenant"], "00000000-0000-0000-0000-000000000000", "x", connection_verify=certificate.ca_file)
        with self.assertRaisesRegex(ClientAuthenticationError, "AADSTS700016"):
            KeyClient(f"https://{azure_keys.VAULT}", unknown, **OURS).get_key("bunker")

    def test_a_token_of_one_resource_is_not_taken_by_another_and_ends(self):
        token = credential("bunker").get_token("https://vault.azure.net/.default").token
        [vault, hsm] = [service.stores[name] for name in (azure_keys.VAULT, azure_keys.HSM)]
        service.caller(vault, f"Bearer {token}")
        with self.assertRaises(azure_keys.Refused):
            service.caller(hsm, f"Bearer {token}")
        service.command({"ahead_s": 3601})
        self.addCleanup(service.command, {"ahead_s": 0})
        with self.assertRaises(azure_keys.Refused):
            service.caller(vault, f"Bearer {token}")


if __name__ == "__main__":
    unittest.main()
