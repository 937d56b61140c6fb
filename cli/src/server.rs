//! One server over HTTPS: JSON in, JSON or an RFC 9457 problem out.
//!
//! Redirects are not followed, because tokens and login secrets would go along. A proxy that the environment names
//! is used for other machines, never for this one.

mod address;

use std::{sync::Arc, time::Duration};

use frost_wasm_core::secret::SecretString;
use rustls::crypto::ring;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use ureq::{
    Agent, Body, RequestBuilder,
    http::Response,
    tls::{RootCerts, TlsConfig, TlsProvider},
};
use zeroize::Zeroizing;

use crate::failure::Failure;
pub(crate) use address::Address;

/// Time to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a whole request and its answer. The server's own limit for a ceremony is half of it.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer read. The longest list is 256 connections with full policies.
const ANSWER_MAX_BYTES: u64 = 16 * 1024 * 1024;

const USER_AGENT: &str = concat!("passport-cli/", env!("CARGO_PKG_VERSION"));

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Changes.
    Patch,
    /// Ends.
    Delete,
}

/// One request. Not `Debug`: the body may hold a login secret.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    token: Option<&'a SecretString>,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Call<'a> {
    /// A request without token and body.
    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, token: None, body: None }
    }

    /// With a bearer token.
    pub(crate) fn token(mut self, token: &'a SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// With a JSON body.
    pub(crate) fn json<T: Serialize>(mut self, body: &T) -> Result<Self, Failure> {
        let bytes =
            serde_json::to_vec(body).map_err(|_| Failure::stopped("internal", "The request could not be written."))?;
        self.body = Some(Zeroizing::new(bytes));
        Ok(self)
    }
}

/// A server that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: Address,
    agent: Agent,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

impl Server {
    /// Nothing is sent yet.
    pub(crate) fn new(address: Address) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(USER_AGENT)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(WHOLE_TIMEOUT))
            .https_only(!address.is_loopback())
            .http_status_as_error(false)
            .max_redirects(0);
        if address.is_loopback() {
            config = config.proxy(None);
        }
        Self { agent: config.build().into(), address }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Asks, and reads the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Failure> {
        let answer = self.exchange(call)?;
        serde_json::from_slice(&answer).map_err(|_| {
            Failure::stopped(
                "answer_unexpected",
                format!(
                    "{} did not answer as Passport does. Is the address right, and is this client as new as the server?",
                    self.address
                ),
            )
        })
    }

    /// Asks for text.
    pub(crate) fn text(&self, call: &Call<'_>) -> Result<String, Failure> {
        let answer = self.exchange(call)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Asks where nothing is answered.
    pub(crate) fn tell(&self, call: &Call<'_>) -> Result<(), Failure> {
        self.exchange(call).map(drop)
    }

    fn exchange(&self, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut response = self.send(call).map_err(|error| self.lost(&error))?;
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX_BYTES)
            .read_to_vec()
            .map(Zeroizing::new)
            .map_err(|error| self.lost(&error))?;
        if status.is_success() {
            Ok(body)
        } else if status.is_redirection() {
            Err(Failure::stopped(
                "redirected",
                format!("{} points to another address. Give that one with --server.", self.address),
            ))
        } else {
            Err(problem(status.as_u16(), &body))
        }
    }

    fn send(&self, call: &Call<'_>) -> Result<Response<Body>, ureq::Error> {
        let url = format!("{}{}", self.address, call.path);
        match (call.method, &call.body) {
            (Method::Get, _) => dressed(self.agent.get(&url), call).call(),
            (Method::Post, Some(body)) => dressed(self.agent.post(&url), call).send(body.as_slice()),
            (Method::Post, None) => dressed(self.agent.post(&url), call).send_empty(),
            (Method::Patch, Some(body)) => dressed(self.agent.patch(&url), call).send(body.as_slice()),
            (Method::Patch, None) => dressed(self.agent.patch(&url), call).send_empty(),
            (Method::Delete, Some(body)) => {
                dressed(self.agent.delete(&url), call).force_send_body().send(body.as_slice())
            }
            (Method::Delete, None) => dressed(self.agent.delete(&url), call).call(),
        }
    }

    fn lost(&self, error: &ureq::Error) -> Failure {
        let why = match error {
            ureq::Error::Timeout(_) => "it took too long".to_owned(),
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::BodyExceedsLimit(_) => "its answer is too long".to_owned(),
            // Other errors of this library name files, sockets and certificates, not what was sent.
            other => other.to_string(),
        };
        let hint =
            if self.address.is_loopback() { "Is `npm start` running?" } else { "Check the address and your network." };
        Failure::Unreachable(format!("No answer from {}: {why}. {hint}", self.address))
    }
}

fn dressed<B>(request: RequestBuilder<B>, call: &Call<'_>) -> RequestBuilder<B> {
    let request = request.header("accept", "application/json");
    let request = match call.body {
        Some(_) => request.header("content-type", "application/json"),
        None => request,
    };
    match call.token {
        Some(token) => {
            let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
            request.header("authorization", bearer.as_str())
        }
        None => request,
    }
}

fn problem(status: u16, body: &[u8]) -> Failure {
    let read: Option<Problem> = serde_json::from_slice(body).ok();
    let (code, detail, request_id) = match read {
        Some(problem) => (problem.code, problem.detail, problem.request_id),
        None => (None, None, None),
    };
    Failure::Refused {
        status,
        code: code.unwrap_or_else(|| format!("http_{status}")),
        detail: detail.unwrap_or_else(|| format!("The server answered {status} without a reason.")),
        request_id,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers one request with `answer`, and gives what was sent.
    fn once(answer: &'static str) -> (Server, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        });
        (Server::new(address.parse().unwrap()), asked)
    }

    #[test]
    fn a_problem_is_told_with_its_code_and_words() {
        let body = r#"{"code":"username_taken","detail":"Choose another.","status":409,"title":"Conflict"}"#;
        let answer = format!(
            "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (server, asked) = once(Box::leak(answer.into_boxed_str()));
        let call = Call::new(Method::Post, "/auth/register").json(&["x"]).unwrap();
        let failure = server.ask::<serde_json::Value>(&call).unwrap_err();
        assert_eq!((failure.code(), failure.to_string().as_str()), ("username_taken", "Choose another."));
        assert!(asked.join().unwrap().starts_with("POST /auth/register HTTP/1.1"));
    }

    #[test]
    fn a_redirect_is_not_followed_with_a_token() {
        let (server, asked) =
            once("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n");
        let token = SecretString::from("secret-token".to_owned());
        let call = Call::new(Method::Get, "/keys").token(&token);
        let failure = server.ask::<serde_json::Value>(&call).unwrap_err();
        assert_eq!(failure.code(), "redirected");
        assert!(asked.join().unwrap().contains("authorization: Bearer secret-token"));
    }

    #[test]
    fn a_server_that_does_not_run_is_told_with_a_hint() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Server::new(format!("http://127.0.0.1:{port}").parse().unwrap());
        let failure = server.ask::<serde_json::Value>(&Call::new(Method::Get, "/healthz")).unwrap_err();
        assert_eq!(failure.code(), "server_unreachable");
        assert!(failure.to_string().contains("npm start"), "{failure}");
    }
}
