//! How an HSM's requests leave the Worker: the platform's fetch and its cryptography.

use std::pin::pin;
use std::time::Duration;

use frost_wasm_core::secret::SecretBytes;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use passport_hsm::HsmError;
use passport_hsm::google::JwtSigner;
use passport_hsm::http::{HttpRequest, HttpResponse, Method, RESPONSE_MAX_BYTES, Transport, TransportError};
use rand_core::RngCore;
use worker::js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array, global};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{AbortController, Delay, Fetch, Headers, Request, RequestInit, RequestRedirect, Response};
use zeroize::Zeroizing;

use crate::platform;

/// The platform.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge;

impl Transport for Edge {
    async fn send(&self, request: &HttpRequest, timeout_ms: u64) -> Result<HttpResponse, TransportError> {
        let controller = AbortController::default();
        let signal = controller.signal();
        let fetch = Fetch::Request(made(request).map_err(|_| TransportError::Failed)?);
        let answer = pin!(async {
            let response = fetch.send_with_signal(&signal).await.map_err(|_| TransportError::Failed)?;
            read(response).await
        });
        match select(answer, Delay::from(Duration::from_millis(timeout_ms))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                controller.abort();
                Err(TransportError::TimedOut)
            }
        }
    }

    async fn sleep(&self, ms: u64) {
        Delay::from(Duration::from_millis(ms)).await;
    }

    fn now_ms(&self) -> u64 {
        platform::now_ms()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        platform::rng().fill_bytes(bytes);
    }
}

fn made(request: &HttpRequest) -> worker::Result<Request> {
    let headers = Headers::new();
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let mut init = RequestInit::new();
    // Tokens and keys would go along with a redirect.
    init.with_headers(headers).with_redirect(RequestRedirect::Manual);
    init.with_method(match request.method {
        Method::Get => worker::Method::Get,
        Method::Post => worker::Method::Post,
    });
    if !request.body.is_empty() {
        init.with_body(Some(Uint8Array::from(request.body.as_slice()).into()));
    }
    Request::new_with_init(&request.url, &init)
}

async fn read(mut response: Response) -> Result<HttpResponse, TransportError> {
    let headers = response.headers().entries().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let status = response.status_code();
    let mut body = Zeroizing::new(Vec::with_capacity(RESPONSE_MAX_BYTES));
    let mut stream = response.stream().map_err(|_| TransportError::Failed)?;
    while let Some(chunk) = stream.next().await {
        let chunk = Zeroizing::new(chunk.map_err(|_| TransportError::Failed)?);
        if body.len() + chunk.len() > RESPONSE_MAX_BYTES {
            return Err(TransportError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, headers, body })
}

impl JwtSigner for Edge {
    async fn sign_rs256(&self, pkcs8: &SecretBytes, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        sign(pkcs8.expose_secret(), message).await.map_err(|_| HsmError::CredentialsRefused)
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256, by the Web Cryptography API.
async fn sign(pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>, JsValue> {
    let crypto = Reflect::get(&global(), &"crypto".into())?;
    let subtle = Reflect::get(&crypto, &"subtle".into())?;
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &"RSASSA-PKCS1-v1_5".into())?;
    Reflect::set(&algorithm, &"hash".into(), &"SHA-256".into())?;
    let secret = Uint8Array::from(pkcs8);
    let usages = Array::of1(&"sign".into());
    let arguments = Array::of5(&"pkcs8".into(), &secret, &algorithm, &JsValue::FALSE, &usages);
    let key = call(&subtle, "importKey", &arguments).await;
    secret.fill(0, 0, secret.length());
    let arguments = Array::of3(&algorithm, &key?, &Uint8Array::from(message));
    Ok(Uint8Array::new(&call(&subtle, "sign", &arguments).await?).to_vec())
}

async fn call(subtle: &JsValue, name: &str, arguments: &Array) -> Result<JsValue, JsValue> {
    let function: Function = Reflect::get(subtle, &name.into())?.dyn_into()?;
    JsFuture::from(function.apply(subtle, arguments)?.dyn_into::<Promise>()?).await
}
