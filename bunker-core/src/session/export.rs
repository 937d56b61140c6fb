//! Handing out this holder's share to the owner's device, when the owner's delay is over.

use super::{Mutation, Step, state::HolderState};
use crate::{
    audit::{Entry, Happening},
    export::{Export, ExportRefused},
};

impl HolderState {
    /// The export that is under way or open.
    pub fn export(&self, now_ms: u64) -> Option<&Export> {
        self.export.as_ref().filter(|export| !export.is_over(now_ms))
    }

    /// Lets the share go, on the record. The effect is to seal it to exactly this receiver.
    ///
    /// # Errors
    /// When there is nothing to release, or not yet.
    pub fn release_export(&self, now_ms: u64) -> Result<Step<Export>, ExportRefused> {
        let export = self.export(now_ms).ok_or(ExportRefused::NotRequested)?;
        let ready_at_ms = export.ready_at_ms();
        if now_ms < ready_at_ms {
            return Err(ExportRefused::TooEarly { ready_at_ms });
        }
        let happening = Happening::ShareReleased { statement: export.statement().id };
        let entry = Entry { happening, connection: None, request: None, method: None, kind: None, peer: None };
        let mutations: Vec<Mutation> = vec![self.audit_entry(now_ms, entry)];
        Ok(Step { mutations, effect: export.clone() })
    }
}
