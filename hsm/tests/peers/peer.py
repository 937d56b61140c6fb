"""What the peers have in common: HTTPS under the providers' own names, and the word of the test that started them.

A peer listens on 127.0.0.1 at a port that the system picks, with a certificate that was made a moment ago. It says
where and with whose certificate in one line of JSON on its standard output. Each line of JSON on its standard input is
a command, answered by one line; when the input ends, because the test ended, so does the peer.
"""

import datetime
import http.server
import ipaddress
import json
import os
import ssl
import sys
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Certificate:
    """An authority and a certificate for some names, good for a day, as files in a folder that is gone afterwards."""

    def __init__(self, names):
        self.folder = tempfile.TemporaryDirectory()
        self.ca_file = os.path.join(self.folder.name, "ca.pem")
        self.file = os.path.join(self.folder.name, "chain-and-key.pem")
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = self._signed("Passport's peers", authority_key.public_key(), authority_key, None)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._signed("a peer", key.public_key(), authority_key, names)
        self.ca = authority.public_bytes(serialization.Encoding.PEM).decode()
        with open(self.ca_file, "w") as file:
            file.write(self.ca)
        with open(self.file, "wb") as file:
            file.write(leaf.public_bytes(serialization.Encoding.PEM))
            file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    @staticmethod
    def _signed(subject, public_key, signer, names):
        """A certificate for `names`, or of the authority where there are none."""
        now = datetime.datetime.now(datetime.timezone.utc)
        name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
        usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Passport's peers"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .add_extension(x509.KeyUsage(digital_signature=names is not None, key_cert_sign=names is None, crl_sign=names is None, **usage), critical=True)
        )
        if names is not None:
            # The address is for who stands in between and has no name to be asked under.
            here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([*(x509.DNSName(it) for it in names), here]), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        return context


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in JSON; `answer` of a subclass gets method, host, path with query, and body, and gives status, headers and value."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for an answer

    def do_GET(self):
        self._go()

    def do_POST(self):
        self._go()

    def _go(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status, headers, value = self.answer(self.command, self.headers["host"].split(":")[0], self.path, body)
        text = json.dumps(value).encode()
        self.send_response(status)
        for name, value in ({"content-type": "application/json; charset=UTF-8", "content-length": str(len(text))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """HTTPS on a port that the system picks. The handshake is each connection's own affair."""

    daemon_threads = True

    def __init__(self, handler, certificate):
        super().__init__(("127.0.0.1", 0), handler)
        self.socket = certificate.context().wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]

    def handle_error(self, request, client_address):
        pass  # a client that hung up


def start(server):
    """Serves in the background."""
    threading.Thread(target=server.serve_forever, daemon=True).start()


def attend(server, certificate, names, introduction, command):
    """Does what the lines of the test say until the test ends."""
    files = {"ca_file": certificate.ca_file, "certificate_file": certificate.file}
    say({"port": server.port, "ca": certificate.ca, **files, "names": names, **introduction})
    for line in sys.stdin:
        say(command(json.loads(line)) or {})
    certificate.folder.cleanup()
    os._exit(0)


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def reroute(names, port):
    """Leads connections of `urllib3` to these names to a peer, and lets no other connection out."""
    import urllib3.util.connection as connection

    original = connection.create_connection

    def create_connection(address, *args, **kwargs):
        if address[0] not in names:
            raise OSError(f"{address[0]} is no peer")
        return original(("127.0.0.1", port), *args, **kwargs)

    connection.create_connection = create_connection
