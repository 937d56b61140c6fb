//! Every family of metrics: its name, what it says, its type and its labels.
//!
//! A series is a value of one of three enums, whose fields are the closed lists of [`super::labels`]; so a label that
//! somebody outside made up can't be written down. The one label that is no list is [`Route`], which is made from
//! the router's own templates only.

use std::borrow::Cow;

use axum::extract::MatchedPath;
use serde::{Deserialize, Serialize};

use super::labels::{
    CanaryKind, CeremonyKind, CeremonyOutcome, FailureCode, HsmOperation, HsmOutcome, HsmRole, LoginMethod,
    LoginOutcome, Reason, RequestMethod, RequestOutcome, SealScope, StatusClass,
};

/// What is counted. A count only rises.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// An app's request came to an end, or waits.
    SignRequests {
        /// What was asked for.
        method: RequestMethod,
        /// How it ended.
        outcome: RequestOutcome,
    },
    /// A holder refused an app's request.
    Refusals {
        /// Why.
        reason: Reason,
    },
    /// A ceremony began or ended.
    Ceremonies {
        /// What it is for.
        kind: CeremonyKind,
        /// What became of it.
        outcome: CeremonyOutcome,
    },
    /// An HSM was asked.
    HsmCalls {
        /// By which holder.
        role: HsmRole,
        /// For what.
        operation: HsmOperation,
        /// How it ended.
        outcome: HsmOutcome,
    },
    /// Something was used that nobody has a reason to use.
    CanaryUses {
        /// What.
        canary_kind: CanaryKind,
    },
    /// Somebody wanted to come in.
    Logins {
        /// How.
        method: LoginMethod,
        /// What became of it.
        outcome: LoginOutcome,
    },
    /// An HTTP request was answered.
    HttpRequests {
        /// The route's template.
        route: Route,
        /// The first digit of the status.
        status_class: StatusClass,
    },
    /// A failure of ours was logged.
    Failures {
        /// Which.
        code: FailureCode,
    },
    /// Audit records could not be handed to the sink outside.
    AuditSinkFailures,
}

/// What takes time. The platform's clock stands still while a program computes, so this is waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// An app's request, from its arrival to its reply.
    Request {
        /// How it ended.
        outcome: RequestOutcome,
    },
    /// A call to an HSM.
    Hsm {
        /// What it was asked to do.
        operation: HsmOperation,
    },
}

/// What stands at a value now. Each source tells its own, and the sum is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gauge {
    /// What is sealed.
    Sealed {
        /// The deployment (0 or 1), or a number of accounts.
        scope: SealScope,
    },
    /// Open relay sockets of a bunker.
    RelaySockets,
    /// When the last backup was made, in milliseconds since the Unix epoch. Given out as its age.
    BackupMadeAt,
}

/// A family as the text format names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// Name with unit.
    pub(super) name: &'static str,
    /// What it says, in one line.
    pub(super) help: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: &'static str,
}

const fn family(kind: &'static str, name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind }
}

/// Which build answers; the value is always 1.
pub(super) const BUILD_INFO: Family =
    family("gauge", "passport_build_info", "Builds that were heard of in the last ten minutes; the value is always 1.");

/// Labels of a series, in the order in which they are written.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

fn label(name: &'static str, value: &'static str) -> (&'static str, Cow<'static, str>) {
    (name, Cow::Borrowed(value))
}

impl Counter {
    /// The family it is of.
    pub(super) fn family(&self) -> Family {
        let (name, help) = match self {
            Self::SignRequests { .. } => {
                ("passport_sign_requests_total", "Requests of apps (NIP-46), by method and how they ended.")
            }
            Self::Refusals { .. } => ("passport_refusals_total", "Refusals of apps' requests, by reason."),
            Self::Ceremonies { .. } => ("passport_ceremonies_total", "Ceremonies that began or ended."),
            Self::HsmCalls { .. } => ("passport_hsm_calls_total", "Calls to the HSM, by holder and how they ended."),
            Self::CanaryUses { .. } => {
                ("passport_canary_uses_total", "Uses of what nobody has a reason to use. Each is an intrusion.")
            }
            Self::Logins { .. } => ("passport_logins_total", "Attempts to sign in, by method and what became of them."),
            Self::HttpRequests { .. } => ("passport_http_requests_total", "HTTP requests, by route and status class."),
            Self::Failures { .. } => ("passport_failures_total", "Failures of the service that were logged, by code."),
            Self::AuditSinkFailures => {
                ("passport_audit_sink_failures_total", "Times that audit records were not taken by the sink.")
            }
        };
        family("counter", name, help)
    }

    /// Its labels.
    pub(super) fn labels(&self) -> Labels {
        match self {
            Self::SignRequests { method, outcome } => {
                vec![label("method", method.as_str()), label("outcome", outcome.as_str())]
            }
            Self::Refusals { reason } => vec![label("reason", reason.as_str())],
            Self::Ceremonies { kind, outcome } => {
                vec![label("kind", kind.as_str()), label("outcome", outcome.as_str())]
            }
            Self::HsmCalls { role, operation, outcome } => vec![
                label("role", role.as_str()),
                label("operation", operation.as_str()),
                label("outcome", outcome.as_str()),
            ],
            Self::CanaryUses { canary_kind } => vec![label("canary_kind", canary_kind.as_str())],
            Self::Logins { method, outcome } => {
                vec![label("method", method.as_str()), label("outcome", outcome.as_str())]
            }
            Self::HttpRequests { route, status_class } => {
                vec![("route", Cow::Owned(route.0.clone().into_owned())), label("status_class", status_class.as_str())]
            }
            Self::Failures { code } => vec![label("code", code.as_str())],
            Self::AuditSinkFailures => Vec::new(),
        }
    }
}

impl Timing {
    /// The family it is of.
    pub(super) fn family(&self) -> Family {
        let (name, help) = match self {
            Self::Request { .. } => {
                ("passport_request_duration_seconds", "Time from an app's request to its reply, by outcome.")
            }
            Self::Hsm { .. } => ("passport_hsm_duration_seconds", "Time of calls to the HSM, by operation."),
        };
        family("histogram", name, help)
    }

    /// Its labels, without `le`.
    pub(super) fn labels(&self) -> Labels {
        match self {
            Self::Request { outcome } => vec![label("outcome", outcome.as_str())],
            Self::Hsm { operation } => vec![label("operation", operation.as_str())],
        }
    }
}

impl Gauge {
    /// The family it is of.
    pub(super) fn family(&self) -> Family {
        let (name, help) = match self {
            Self::Sealed { .. } => {
                ("passport_sealed", "Whether the deployment is sealed (0 or 1), and how many accounts are.")
            }
            Self::RelaySockets => {
                ("passport_relay_sockets", "Open relay sockets of the bunkers that were heard of in the last hour.")
            }
            Self::BackupMadeAt => ("passport_backup_age_seconds", "Age of the newest backup; absent without one."),
        };
        family("gauge", name, help)
    }

    /// Its labels.
    pub(super) fn labels(&self) -> Labels {
        match self {
            Self::Sealed { scope } => vec![label("scope", scope.as_str())],
            Self::RelaySockets | Self::BackupMadeAt => Vec::new(),
        }
    }

    /// After how long a source that is not heard of any more counts no longer, in milliseconds; never, when `None`.
    pub(super) fn expires_after_ms(self) -> Option<u64> {
        match self {
            // A bunker whose sockets all fell asleep reports nothing; one that lost them with a crash must not stay.
            Self::RelaySockets => Some(60 * 60 * 1000),
            // Whether it is sealed stays true however long nobody asks.
            Self::Sealed { .. } | Self::BackupMadeAt => None,
        }
    }
}

/// A route's template, such as `/keys/{group}`: one of the router's, never an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Route(Cow<'static, str>);

impl Route {
    /// What the router matched.
    pub fn of(matched: Option<&MatchedPath>) -> Self {
        Self(matched.map_or(Cow::Borrowed("unmatched"), |path| Cow::Owned(path.as_str().to_owned())))
    }
}
