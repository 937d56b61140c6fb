//! What is asked of the deployment's object, and how the Worker and the holders ask it.

use std::sync::Arc;

use frost_wasm_core::secret::SecretString;
use operations_core::{
    audit::DeploymentEntry,
    command::{Command, Issued},
    lease::Lease,
    operator::Scope,
    text::{Code, RequestId},
    wire::SetUpRequest,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use worker::Env;

use super::{NAME, rpc};
use crate::{http::dto::OperatorAuditPage, metrics::labels::CanaryKind, problem::Problem};

/// Binding of the deployment's objects; there is one.
const BINDING: &str = "DEPLOYMENT";
/// Where holders ask for a lease.
pub(super) const LEASE: &str = "/lease";
/// Where operators ask.
pub(super) const ASK: &str = "/ask";
/// Where something is told that is no operator's doing.
pub(super) const RECORD: &str = "/record";
/// Where a canary's touch is told.
pub(super) const CANARY: &str = "/canary";

/// What is asked of the deployment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    /// Set the first operators up.
    SetUp(SetUpRequest),
    /// Carry a command out.
    Command { issued: Issued, command: Command },
    /// Say how it stands.
    Status,
    /// Say whether this may be read.
    Authorise(Scope),
    /// Give records of the audit chain.
    Audit { after: u64, limit: u32 },
}

/// A canary that was touched.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::durable) struct Touched {
    /// Its name in the configuration.
    pub(in crate::durable) name: Code,
    /// What it is.
    pub(in crate::durable) kind: CanaryKind,
}

/// By whom, and in which request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// The token that was shown.
    pub(super) token: SecretText,
    pub(super) request_id: Option<RequestId>,
    pub(super) asked: Asked,
}

/// A token on its way between the Worker and its object.
#[derive(Debug)]
pub(super) struct SecretText(pub(super) Arc<SecretString>);

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Arc::new(SecretString::from(text))))
    }
}

/// The deployment's object, as the Worker and the holders ask it.
#[derive(Debug)]
pub struct DeploymentClient(worker::Stub);

/// Who asks, by what was shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The bearer token.
    pub token: Arc<SecretString>,
    /// The request, as it stands in the logs.
    pub request_id: Option<RequestId>,
}

impl DeploymentClient {
    /// Over the bindings.
    ///
    /// # Errors
    /// When the binding is missing.
    pub fn new(env: &Env) -> Result<Self, Problem> {
        rpc::stub(env, BINDING, NAME).map(Self)
    }

    /// What holders may do now.
    ///
    /// # Errors
    /// When the object can't be reached, or its storage fails.
    pub async fn lease(&self) -> Result<Lease, Problem> {
        rpc::post_to(&self.0, LEASE, "null").await
    }

    /// Sets the first operators up.
    ///
    /// # Errors
    /// Why not.
    pub async fn set_up(&self, shown: Shown, request: SetUpRequest) -> Result<Box<RawValue>, Problem> {
        self.ask(shown, Asked::SetUp(request)).await
    }

    /// Carries a command out.
    ///
    /// # Errors
    /// Why not.
    pub async fn command(&self, shown: Shown, issued: Issued, command: Command) -> Result<Box<RawValue>, Problem> {
        self.ask(shown, Asked::Command { issued, command }).await
    }

    /// How the deployment stands.
    ///
    /// # Errors
    /// Why it is not told.
    pub async fn status(&self, shown: Shown) -> Result<Box<RawValue>, Problem> {
        self.ask(shown, Asked::Status).await
    }

    /// Whether this may be read.
    ///
    /// # Errors
    /// Why not.
    pub async fn authorise(&self, shown: Shown, scope: Scope) -> Result<(), Problem> {
        self.ask::<Box<RawValue>>(shown, Asked::Authorise(scope)).await.map(|_| ())
    }

    /// Audit records after a position.
    ///
    /// # Errors
    /// Why they are not given.
    pub async fn audit(&self, shown: Shown, after: u64, limit: u32) -> Result<OperatorAuditPage, Problem> {
        self.ask(shown, Asked::Audit { after, limit }).await
    }

    /// Somebody touched what nobody has reason to touch. Gives whether the deployment is sealed now.
    ///
    /// # Errors
    /// When it may not have been recorded.
    pub async fn canary(&self, name: &Code, kind: CanaryKind) -> Result<bool, Problem> {
        let touched = Touched { name: name.clone(), kind };
        let body = serde_json::to_string(&touched).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, CANARY, &body).await
    }

    /// Has the audit chain know of something that is no operator's doing.
    ///
    /// # Errors
    /// When it may not have been written.
    pub async fn record(&self, entry: &DeploymentEntry) -> Result<(), Problem> {
        let body = serde_json::to_string(entry).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, RECORD, &body).await
    }

    async fn ask<R: DeserializeOwned>(&self, shown: Shown, asked: Asked) -> Result<R, Problem> {
        let Shown { token, request_id } = shown;
        let call = Call { token: SecretText(token), request_id, asked };
        let body = serde_json::to_string(&call).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, ASK, &body).await
    }
}
