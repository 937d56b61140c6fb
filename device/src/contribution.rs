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
use frost_wasm_core::{
    frost::{ecdh::Purpose, sign::SigningNonces},
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Failure, owner::OwnerKey};

/// How many requests nonces are kept of: more than a bunker lets wait.
const NONCES_MAX: usize = 128;

/// Answer to `POST /keys/{group}/requests/{request}/offer`
#[derive(Deserialize)]
pub struct Offer {
    evidence: Evidence,
    /// NIP-44 from the connection's key to this account's owner key: who has a token and not that key reads nothing.
    contribution: String,
    /// Which state of the others' contributions it is made for.
    #[serde(default)]
    round: u32,
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

/// This device as one that contributes.
#[derive(Debug, Clone, Copy)]
pub struct Contributor<'a> {
    /// Its share.
    pub share: &'a KeyShare,
    /// The key of this account, to which offers are encrypted.
    pub own: &'a OwnerKey,
    /// The group's owner, whose statements count: the account itself, or who shares a key with it.
    pub authority: PublicKey,
}

/// The nonces of this device's commitments, by request: until they are used, or too many others came after them.
#[derive(Debug, Default)]
pub struct Nonces(Vec<(EventId, SigningNonces)>);

/// What to send, and what to keep before that.
#[derive(Debug, Serialize)]
pub struct Contributed {
    /// `POST /keys/{group}/requests/{request}/contribution` takes this, with the round. None while it is the turn of
    /// others: ask for another offer in a while.
    pub reply: Option<ContributionReply>,
    /// The offer's.
    pub round: u32,
    /// What this device remembers of the connection from now on.
    pub memory: DeviceMemory,
}

impl Contributor<'_> {
    /// Opens an offer, judges it, and contributes to it if it is what the person was shown. `nonces` are those of this
    /// device's commitment to the same request, if it has made one; where several devices sign they come to be here and
    /// are used up by the signature. They are kept in memory only.
    ///
    /// # Errors
    /// `request_misled`, `request_refused` by the owner's rules, or `share_of_another_epoch`.
    pub fn contribute<R: RngCore + CryptoRng>(
        &self,
        shown: &ShownRequest,
        offer: &Offer,
        memory: Option<&DeviceMemory>,
        nonces: &mut Option<SigningNonces>,
        now_ms: u64,
        rng: &mut R,
    ) -> Result<Contributed, Failure> {
        let Self { share, own, authority } = self;
        let connection = Connection::restore(offer.evidence.connection.clone(), authority, &share.group().group)
            .map_err(|error| misled(&error.to_string()))?;
        let call = Zeroizing::new(own.open_from(&connection.grant().transport_pubkey, &offer.contribution)?);
        let call = ContributionRequest::decode(&call).map_err(|error| misled(&error.to_string()))?;
        let event: VerifiedEvent = call.event.clone().into_verified().map_err(|error| misled(&error.to_string()))?;
        if event.id != shown.request {
            return Err(misled("it offers another request than the one you were shown"));
        }
        let device = DeviceHolder { public: share.group(), holder: share.index(), owner: authority, memory };
        let judgement =
            device.judge(&offer.evidence, &event, &call.conversation, now_ms).map_err(|error| refused(&error))?;
        if connection.grant().connection != shown.connection || connection.terms().label != shown.label {
            return Err(misled("it is of another app than you were shown"));
        }
        if !shown.is(&judgement.operation) {
            return Err(misled("the app asked for something else than you were shown"));
        }
        let reply = joint::contribute_among(&judgement.operation, &call, share, nonces, rng)
            .map_err(|error| if error.code() == OTHER_EPOCH { outdated() } else { misled(&error.to_string()) })?;
        Ok(Contributed { reply, round: offer.round, memory: judgement.memory })
    }
}

impl Nonces {
    /// Takes those of a request out. Whoever does not put them back has lost them, which costs another round.
    pub fn take(&mut self, request: &EventId) -> Option<SigningNonces> {
        let at = self.0.iter().position(|(of, _)| of == request)?;
        Some(self.0.remove(at).1)
    }

    /// Keeps those of a request, if there are any.
    pub fn keep(&mut self, request: EventId, nonces: Option<SigningNonces>) {
        let Some(nonces) = nonces else { return };
        self.0.retain(|(of, _)| *of != request);
        self.0.push((request, nonces));
        if self.0.len() > NONCES_MAX {
            self.0.remove(0);
        }
    }
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
         that was done. If it is lost, renew them here with the newest recovery kit; or, of a key that people share, have \
         the owner give you a new share.",
    )
}

fn refused(error: &DeviceRefused) -> Failure {
    match error {
        DeviceRefused::Refused(refusal) => Failure::new("request_refused", format!("Nothing was signed: {refusal}.")),
        error => misled(&error.to_string()),
    }
}
