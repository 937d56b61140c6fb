//! The way to a peer: real HTTPS to the providers' own names, led to this machine; and whatever goes wrong on it.
//!
//! Time that is waited for only passes on the wire's own clock.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use frost_wasm_core::secret::SecretBytes;
use passport_hsm::{
    HsmError, HttpRequest, HttpResponse, Method, Transport, TransportError, google::JwtSigner, http::RESPONSE_MAX_BYTES,
};
use rand_core::{OsRng, RngCore};
use ring::{rand::SystemRandom, signature};
use ureq::{
    Agent,
    config::Config,
    http::Uri,
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};
use zeroize::Zeroizing;

/// What came back, or not.
pub(crate) type Answer = Result<HttpResponse, TransportError>;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// To learn whose token is taken.
    Challenge,
    /// For a token.
    Token,
    /// To look at the key.
    Describe,
    /// To wrap.
    Wrap,
    /// To unwrap.
    Unwrap,
}

/// One request on its way.
pub(crate) struct Call<'a> {
    pub(crate) kind: Kind,
    /// How many of its kind went before it.
    pub(crate) before: usize,
    pub(crate) request: &'a HttpRequest,
    wire: &'a Wire,
    timeout_ms: u64,
}

type Fault = Box<dyn Fn(&Call<'_>) -> Answer>;

/// What carries requests to one peer, with its open connections.
pub(crate) struct Carrier(Agent);

/// The way to one peer. Its copies share what happens on it.
#[derive(Clone)]
pub(crate) struct Wire(Rc<Inner>);

struct Inner {
    agent: Option<Agent>,
    kind: fn(&HttpRequest) -> Kind,
    ahead_ms: Cell<i64>,
    sent: RefCell<BTreeMap<Kind, usize>>,
    waits_ms: RefCell<Vec<u64>>,
    fault: RefCell<Option<Fault>>,
}

impl Carrier {
    /// To the peer that listens at a port under these names. Any other name is nowhere.
    pub(crate) fn new(names: Vec<String>, port: u16, ca: &str) -> Self {
        let ca = Certificate::from_pem(ca.as_bytes()).expect("the peer's certificate");
        let config = config(RootCerts::Specific(Arc::new(vec![ca])));
        Self(Agent::with_parts(config, DefaultConnector::default(), Here { names, port }))
    }

    /// To everybody, as the system's certificates say.
    pub(crate) fn public() -> Self {
        Self(Agent::new_with_config(config(RootCerts::PlatformVerifier)))
    }
}

fn config(roots: RootCerts) -> Config {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Config::builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
}

impl Wire {
    /// By this carrier.
    pub(crate) fn new(carrier: &Carrier, kind: fn(&HttpRequest) -> Kind) -> Self {
        Self::with(Some(carrier.0.clone()), kind)
    }

    /// To nobody.
    pub(crate) fn nowhere(kind: fn(&HttpRequest) -> Kind) -> Self {
        Self::with(None, kind)
    }

    fn with(agent: Option<Agent>, kind: fn(&HttpRequest) -> Kind) -> Self {
        Self(Rc::new(Inner {
            agent,
            kind,
            ahead_ms: Cell::default(),
            sent: RefCell::default(),
            waits_ms: RefCell::default(),
            fault: RefCell::default(),
        }))
    }

    /// From now on requests go through this.
    pub(crate) fn fault(&self, fault: impl Fn(&Call<'_>) -> Answer + 'static) {
        *self.0.fault.borrow_mut() = Some(Box::new(fault));
    }

    /// From now on requests go to the peer and back again.
    pub(crate) fn mend(&self) {
        *self.0.fault.borrow_mut() = None;
    }

    /// Sets the clock; negative is behind.
    pub(crate) fn set_ahead_ms(&self, ms: i64) {
        self.0.ahead_ms.set(ms);
    }

    /// How far its clock is ahead.
    pub(crate) fn ahead_ms(&self) -> i64 {
        self.0.ahead_ms.get()
    }

    /// How many requests of a kind there were.
    pub(crate) fn sent(&self, kind: Kind) -> usize {
        self.0.sent.borrow().get(&kind).copied().unwrap_or(0)
    }

    /// What was waited between attempts.
    pub(crate) fn waits_ms(&self) -> Vec<u64> {
        self.0.waits_ms.borrow().clone()
    }

    fn pass_time(&self, ms: u64) {
        self.0.ahead_ms.set(self.0.ahead_ms.get() + ms as i64);
    }

    fn carry(&self, request: &HttpRequest) -> Answer {
        let mut builder = ureq::http::Request::builder().method(request.method.as_str()).uri(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value.as_str());
        }
        let agent = self.0.agent.as_ref().expect("somebody to ask");
        let answer = match request.method {
            Method::Get => agent.run(builder.body(()).expect("a request")),
            Method::Post => agent.run(builder.body(request.body.as_slice()).expect("a request")),
        };
        let mut answer = answer.map_err(|error| match error {
            ureq::Error::Timeout(_) => TransportError::TimedOut,
            _ => TransportError::Failed,
        })?;
        let headers = answer.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())).collect();
        let body = answer.body_mut().with_config().limit(RESPONSE_MAX_BYTES as u64).read_to_vec();
        let body = Zeroizing::new(body.map_err(|_| TransportError::TooLong)?);
        Ok(HttpResponse { status: answer.status().as_u16(), headers, body })
    }
}

impl Call<'_> {
    /// What the peer answers.
    pub(crate) fn pass(&self) -> Answer {
        self.wire.carry(self.request)
    }

    /// What the peer answers to another request.
    pub(crate) fn pass_instead(&self, request: &HttpRequest) -> Answer {
        self.wire.carry(request)
    }

    /// How many requests of a kind there were before this.
    pub(crate) fn wire_sent(&self, kind: Kind) -> usize {
        self.wire.sent(kind)
    }

    /// Nothing, until the time is over.
    pub(crate) fn time_out(&self) -> Answer {
        self.wire.pass_time(self.timeout_ms);
        Err(TransportError::TimedOut)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Transport for Wire {
    async fn send(&self, request: &HttpRequest, timeout_ms: u64) -> Answer {
        let kind = (self.0.kind)(request);
        let before = self.sent(kind);
        self.0.sent.borrow_mut().insert(kind, before + 1);
        let call = Call { kind, before, request, wire: self, timeout_ms };
        match &*self.0.fault.borrow() {
            Some(fault) => fault(&call),
            None => call.pass(),
        }
    }

    async fn sleep(&self, ms: u64) {
        self.0.waits_ms.borrow_mut().push(ms);
        self.pass_time(ms);
    }

    #[expect(clippy::disallowed_methods, reason = "the peers look at the clock too")]
    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        (now.as_millis() as i64 + self.0.ahead_ms.get()) as u64
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        OsRng.fill_bytes(bytes);
    }
}

impl JwtSigner for Wire {
    async fn sign_rs256(&self, pkcs8: &SecretBytes, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        let key = signature::RsaKeyPair::from_pkcs8(pkcs8.expose_secret()).map_err(|_| HsmError::CredentialsRefused)?;
        let mut signed = vec![0; key.public().modulus_len()];
        key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signed)
            .map_err(|_| HsmError::CredentialsRefused)?;
        Ok(signed)
    }
}

/// Leads the peer's names to this machine.
#[derive(Debug)]
struct Here {
    names: Vec<String>,
    port: u16,
}

impl Resolver for Here {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        if uri.port().is_some() || !self.names.iter().any(|name| name == host) {
            return Err(ureq::Error::HostNotFound);
        }
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)));
        Ok(addresses)
    }
}
