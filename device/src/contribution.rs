//! Where this device holds a share of its own: it judges what an app asked for, over the owner's own statements, and
//! contributes to exactly that. Without it the server can't sign.
//!
//! What the person was shown came from the server; what is contributed to comes from the app's own signed event. The
//! two are compared here, so that nobody is shown one thing and has another signed.

use bunker_core::{
    event::{Template, VerifiedEvent},
    grant::{Connection, ConnectionId},
    joint::{self, ContributionReply, ContributionRequest, OTHER_EPOCH},
    keys::{EventId, PublicKey},
    session::{DeviceHolder, DeviceMemory, DeviceRefused, Evidence, Operation},
};
use frost_wasm_core::{frost::ecdh::Purpose, share::KeyShare};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Failure, owner::OwnerKey};

/// Answer to `POST /keys/{group}/requests/{request}/offer`
#[derive(Deserialize)]
pub struct Offer {
    evidence: Evidence,
    /// NIP-44 from the connection's key to the owner key: who has a token and not that key reads nothing.
    contribution: String,
}

/// A request as the server lists it, as far as it is what the app asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct ShownRequest {
    /// The app's request event.
    pub request: EventId,
    /// The connection that it came by. What the device remembers is looked up by it.
    pub connection: ConnectionId,
    /// The person's name for the app.
    pub label: String,
    /// The method's name.
    pub method: String,
    /// What is to be signed.
    pub template: Option<ShownTemplate>,
    /// The other party of an encryption or decryption.
    pub peer: Option<PublicKey>,
    /// What is to be encrypted.
    pub plaintext: Option<String>,
    /// What is to be decrypted.
    pub ciphertext: Option<String>,
}

/// An event before it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ShownTemplate {
    /// Its kind.
    pub kind: u16,
    /// Its text.
    pub content: String,
    /// Its tags.
    pub tags: Vec<Vec<String>>,
    /// Unix seconds.
    pub created_at: u64,
}

/// What to send, and what to keep before that.
#[derive(Debug, Serialize)]
pub struct Contributed {
    /// `POST /keys/{group}/requests/{request}/contribution` takes this.
    pub reply: ContributionReply,
    /// What this device remembers of the connection from now on.
    pub memory: DeviceMemory,
}

/// Opens an offer, judges it, and contributes to it if it is what the person was shown.
pub fn contribute<R: RngCore + CryptoRng>(
    share: &KeyShare,
    owner: &OwnerKey,
    shown: &ShownRequest,
    offer: &Offer,
    memory: Option<&DeviceMemory>,
    now_ms: u64,
    rng: &mut R,
) -> Result<Contributed, Failure> {
    let owner_pubkey = &owner.public_key();
    let connection = Connection::restore(offer.evidence.connection.clone(), owner_pubkey, &share.group().group)
        .map_err(|error| misled(&error.to_string()))?;
    let call = Zeroizing::new(owner.open_from(&connection.grant().transport_pubkey, &offer.contribution)?);
    let call = ContributionRequest::decode(&call).map_err(|error| misled(&error.to_string()))?;
    let event: VerifiedEvent = call.event.into_verified().map_err(|error| misled(&error.to_string()))?;
    if event.id != shown.request {
        return Err(misled("it offers another request than the one you were shown"));
    }
    let device = DeviceHolder { public: share.group(), holder: share.index(), owner: owner_pubkey, memory };
    let judgement =
        device.judge(&offer.evidence, &event, &call.conversation, now_ms).map_err(|error| refused(&error))?;
    if connection.grant().connection != shown.connection || connection.terms().label != shown.label {
        return Err(misled("it is of another app than you were shown"));
    }
    if !shown.is(&judgement.operation) {
        return Err(misled("the app asked for something else than you were shown"));
    }
    let reply = joint::contribute(&judgement.operation, &event.id, share, call.epoch, &call.commitments, rng)
        .map_err(|error| if error.code() == OTHER_EPOCH { outdated() } else { misled(&error.to_string()) })?;
    Ok(Contributed { reply, memory: judgement.memory })
}

impl ShownRequest {
    fn is(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Connect | Operation::Logout => false,
            Operation::Sign { template, .. } => {
                self.method == "sign_event" && self.template.as_ref().is_some_and(|shown| shown.is(template))
            }
            Operation::Encrypt { purpose, peer, plaintext } => {
                self.method == name(*purpose, "encrypt")
                    && self.peer.as_ref() == Some(peer)
                    && self.plaintext.as_deref() == Some(plaintext.expose_secret())
            }
            Operation::Decrypt { purpose, peer, ciphertext } => {
                self.method == name(*purpose, "decrypt")
                    && self.peer.as_ref() == Some(peer)
                    && self.ciphertext.as_deref() == Some(ciphertext)
            }
        }
    }
}

impl ShownTemplate {
    fn is(&self, template: &Template) -> bool {
        let Template { created_at, kind, tags, content } = template;
        (self.created_at, self.kind, &self.tags, &self.content) == (*created_at, *kind, tags, content)
    }
}

fn name(purpose: Purpose, what: &str) -> String {
    match purpose {
        Purpose::Nip44 => format!("nip44_{what}"),
        Purpose::Nip04 => format!("nip04_{what}"),
    }
}

fn misled(why: &str) -> Failure {
    Failure::new(
        "request_misled",
        format!("Nothing was signed: {why}. Deny the request; if this happens again, do not use this server."),
    )
}

fn outdated() -> Failure {
    Failure::new(
        "share_of_another_epoch",
        "Nothing was signed: this device's share is from before the shares were renewed. Answer on the device on which \
         that was done, or renew them here with the newest recovery kit.",
    )
}

fn refused(error: &DeviceRefused) -> Failure {
    match error {
        DeviceRefused::Refused(refusal) => Failure::new("request_refused", format!("Nothing was signed: {refusal}.")),
        error => misled(&error.to_string()),
    }
}
