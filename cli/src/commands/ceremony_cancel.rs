//! `passport ceremony cancel`: ends a ceremony for everybody.

use clap::Args;
use frost_wasm_core::ceremony::CeremonyId;
use serde::Serialize;

use crate::{
    ceremony::{self, BEHIND_ALL, kept::Seeds},
    failure::Failure,
    output::Output,
    server::Method,
    session::Session,
};

/// End a ceremony for everybody who takes part, without a key.
///
/// This is final. A ceremony that has made a key can't be cancelled.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The ceremony's id
    #[arg(value_name = "ID")]
    ceremony: CeremonyId,
}

#[derive(Serialize)]
struct Cancelled {
    operation_id: CeremonyId,
    status: String,
}

impl Cancel {
    /// Ends it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let (id, mut session) = (self.ceremony, Session::resume()?);
        session.tell::<()>(Method::Delete, &format!("/ceremony/{id}"), None)?;
        let view = ceremony::look(&mut session, id, BEHIND_ALL)?;
        if !ceremony::has_failed(&view) {
            return Err(Failure::stopped(
                "not_cancelled",
                "The server does not confirm it. See: passport ceremony list",
            ));
        }
        let seeds = Seeds::of(session.home());
        let is_its = |ceremony: Option<CeremonyId>| ceremony.is_none_or(|it| it == id);
        if seeds.find(&view.group)?.is_some_and(|kept| is_its(kept.agreed().ceremony)) {
            seeds.forget(&view.group)?;
        }
        let result = Cancelled { operation_id: id, status: view.status };
        output.result(&result, || format!("Ceremony {id} is over for everybody."))
    }
}
