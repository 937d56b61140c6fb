//! The frame of a request: id, method, parameters.

use core::fmt;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::call::Call;
use super::method::Method;
use crate::event::EventError;
use crate::limits::{MAX_METHOD_BYTES, MAX_PARAMS, MAX_REQUEST_ID_BYTES};

/// What is wrong with a request. The texts are stable, are sent to clients, and quote no input but an
/// unknown method's name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// Not JSON.
    #[error("request is not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("request is not an object")]
    NotAnObject,
    /// No `id`.
    #[error("request has no id")]
    NoId,
    /// `id` is no string. A number cannot be echoed so that the client finds it again.
    #[error("request id is not a string")]
    IdNotAString,
    /// `id` is empty or longer than [`MAX_REQUEST_ID_BYTES`].
    #[error("request id is empty or too long")]
    IdLength,
    /// `method` is missing, no string, empty or longer than [`MAX_METHOD_BYTES`].
    #[error("request has no valid method")]
    NoMethod,
    /// `params` is missing or no array.
    #[error("request params are not an array")]
    ParamsNotAnArray,
    /// A parameter has a type that no call takes in its place.
    #[error("parameter {0} has the wrong type")]
    ParamType(usize),
    /// Too few or too many parameters.
    #[error("wrong number of parameters for {method}: {got}")]
    ParamCount {
        /// The method.
        method: Method,
        /// How many came.
        got: usize,
    },
    /// No such method.
    #[error("unknown method: {0}")]
    UnknownMethod(String),
    /// A third party's public key is not 64 lowercase hex characters of a point on the curve.
    #[error("invalid third-party public key")]
    Peer,
    /// The template to sign is not usable.
    #[error("cannot sign this: {0}")]
    Template(EventError),
    /// The connection secret is longer than any of ours.
    #[error("connection secret is too long")]
    SecretLength,
}

/// A request that cannot be used, with the id to answer it under where there is one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{error}")]
pub struct BadRequest {
    /// The id, if the request had a usable one.
    pub id: Option<String>,
    /// What is wrong.
    pub error: RequestError,
}

/// One parameter. Strings by the text of NIP-46; some clients send `sign_event`'s as an object, and
/// `null` for what they leave out.
#[derive(Clone, Eq, PartialEq)]
pub enum Param {
    /// A string.
    Text(String),
    /// An object.
    Object(Map<String, Value>),
    /// Left out.
    Null,
}

/// A request whose frame is sound. What it asks is in [`Request::call`].
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// Chosen by the client; 1 to [`MAX_REQUEST_ID_BYTES`] bytes.
    pub id: String,
    /// The method, known or not.
    pub method: Method,
    /// At most [`MAX_PARAMS`].
    pub params: Vec<Param>,
}

impl Request {
    /// Parses a decrypted request.
    pub fn parse(json: &str) -> Result<Self, BadRequest> {
        let without_id = |error| BadRequest { id: None, error };
        let mut object = match serde_json::from_str(json) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(without_id(RequestError::NotAnObject)),
            Err(_) => return Err(without_id(RequestError::NotJson)),
        };
        let id = id_from(object.remove("id")).map_err(without_id)?;
        match frame_from(&mut object) {
            Ok((method, params)) => Ok(Self { id, method, params }),
            Err(error) => Err(BadRequest { id: Some(id), error }),
        }
    }

    /// The call this request makes, with its parameters checked.
    pub fn call(&self) -> Result<Call, RequestError> {
        Call::from_request(self)
    }

    /// The request's JSON, as a client sends it.
    pub fn to_json(&self) -> String {
        let params: Vec<Value> = self.params.iter().map(Value::from).collect();
        json!({ "id": self.id, "method": self.method.name(), "params": params }).to_string()
    }
}

impl From<&Param> for Value {
    fn from(param: &Param) -> Self {
        match param {
            Param::Text(text) => Self::String(text.clone()),
            Param::Object(object) => Self::Object(object.clone()),
            Param::Null => Self::Null,
        }
    }
}

/// Parameters are secrets and private messages: only their kind is printed.
impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(<redacted>)",
            Self::Object(_) => "Object(<redacted>)",
            Self::Null => "Null",
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("params", &self.params)
            .finish()
    }
}

fn id_from(id: Option<Value>) -> Result<String, RequestError> {
    match id {
        None => Err(RequestError::NoId),
        Some(Value::String(id)) if (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) => Ok(id),
        Some(Value::String(_)) => Err(RequestError::IdLength),
        Some(_) => Err(RequestError::IdNotAString),
    }
}

fn frame_from(object: &mut Map<String, Value>) -> Result<(Method, Vec<Param>), RequestError> {
    let method = match object.remove("method") {
        Some(Value::String(name)) if (1..=MAX_METHOD_BYTES).contains(&name.len()) => Method::from_name(&name),
        _ => return Err(RequestError::NoMethod),
    };
    let Some(Value::Array(params)) = object.remove("params") else {
        return Err(RequestError::ParamsNotAnArray);
    };
    if params.len() > MAX_PARAMS {
        return Err(RequestError::ParamCount { method, got: params.len() });
    }
    let params = params.into_iter().enumerate().map(param_from).collect::<Result<_, _>>()?;
    Ok((method, params))
}

fn param_from((n, value): (usize, Value)) -> Result<Param, RequestError> {
    match value {
        Value::String(text) => Ok(Param::Text(text)),
        Value::Object(object) => Ok(Param::Object(object)),
        Value::Null => Ok(Param::Null),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(RequestError::ParamType(n)),
    }
}
