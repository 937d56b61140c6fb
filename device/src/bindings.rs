//! The vault as the page's worker sees it: text in, text out, and failures as `{"code", "message"}`.
//!
//! What is structured crosses as JSON. A secret that comes in is wiped when the call ends; what JavaScript has of it
//! is JavaScript's to forget.

mod json;

use bunker_core::{
    approval::{Approval, Remember},
    audit::AuditHead,
    nip49::EncryptedKey,
    statement::Verb,
};
use frost_wasm_core::{
    kdf::{self, KdfParams, Stretched},
    secret::Secret32,
};
use rand_core::{CryptoRng, OsRng, RngCore};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::{
    Failure, enrolment,
    export::Exported,
    kit::KitFile,
    password::{self, Weak},
    secret_key::{self, GivenKey, Written},
    shares::SealedShares,
    vault::{self, RenewalWanted, Vault},
};

/// log2 of the most rounds that are run to be measured: 16 MiB.
const MEASURED_MAX_LOG_N: u8 = 14;

type Answer = Result<String, JsValue>;

/// scrypt of a password or kit passphrase by `{"salt", "log_n", "r", "p"}`: 32 bytes. Takes 128 MiB and more.
#[wasm_bindgen]
pub fn stretch(passphrase: String, kdf: &str) -> Result<Vec<u8>, JsValue> {
    let passphrase = Zeroizing::new(passphrase);
    let stretched = enrolment::stretch(&passphrase, &read(kdf)?).map_err(thrown)?;
    Ok(stretched.expose_secret().expose_secret().to_vec())
}

/// scrypt of the password of an `ncryptsec1…`: 32 bytes. Takes up to 1 GiB.
#[wasm_bindgen]
pub fn stretch_encrypted(password: String, key: &str) -> Result<Vec<u8>, JsValue> {
    let password = Zeroizing::new(password);
    let stretched = secret_key::stretch(&encrypted(key)?, &password).map_err(thrown)?;
    Ok(stretched.expose_secret().to_vec())
}

/// scrypt at a small cost, for the time that it takes. The result is of no use.
#[wasm_bindgen]
pub fn run_to_measure(log_n: u8) -> Result<(), JsValue> {
    kdf::scrypt_of("measured", &[0; kdf::SALT_BYTES], log_n.min(MEASURED_MAX_LOG_N), kdf::R, 1)
        .map(drop)
        .map_err(|error| misused(&error.to_string()))
}

/// Why a password is refused that is being chosen, in words; nothing when it is not.
#[wasm_bindgen]
#[must_use]
pub fn password_problem(password: String, username: Option<String>) -> Option<String> {
    let password = Zeroizing::new(password);
    password::check(&password, username.as_deref()).err().map(|weak: Weak| weak.to_string())
}

/// Salt and cost for a new password or passphrase.
#[wasm_bindgen]
pub fn fresh_kdf() -> Answer {
    written(&KdfParams::fresh(&mut rng()))
}

/// Salt and cost of a kit.
#[wasm_bindgen]
pub fn kit_kdf(kit: &str) -> Answer {
    written(KitFile::parse(kit).map_err(thrown)?.kdf())
}

/// What a text that may be a secret key is: `{"kind"}`, and for an ncryptsec also `{"log_n"}`.
#[wasm_bindgen]
pub fn secret_kind(text: String) -> Answer {
    let text = Zeroizing::new(text);
    written(&match GivenKey::parse(&text).map_err(thrown)? {
        GivenKey::Plain(_, form) => json::SecretKind { kind: name(form), log_n: None },
        GivenKey::Encrypted(key) => json::SecretKind { kind: "ncryptsec", log_n: Some(key.log_n()) },
    })
}

/// The vault. Dropping it wipes what it holds.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Device {
    vault: Vault,
}

#[wasm_bindgen]
impl Device {
    /// An empty vault.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// See `Vault::register`.
    pub fn register(&mut self, args: &str, stretched: Vec<u8>, now_s: f64) -> Answer {
        let json::Register { origin, username, kdf } = read(args)?;
        let password = taken(stretched, kdf)?;
        let made = self.vault.register(&origin, &username, &password, whole(now_s), &mut rng()).map_err(thrown)?;
        written(&json::Enrolment::of(&made, None))
    }

    /// See `Vault::recover`.
    pub fn recover(&mut self, args: &str, passphrase: Vec<u8>, stretched: Vec<u8>, now_s: f64) -> Answer {
        let json::Recover { origin, challenge, kit, kdf } = read(args)?;
        let kit = KitFile::parse(&kit).map_err(thrown)?;
        let opened = kit.open(&taken(passphrase, *kit.kdf())?).map_err(thrown)?;
        let password = taken(stretched, kdf)?;
        let made =
            self.vault.recover(&origin, &challenge, opened, &password, whole(now_s), &mut rng()).map_err(thrown)?;
        written(&json::Enrolment::of(&made, Some(kit.group())))
    }

    /// See `Vault::login_secret`.
    pub fn login_secret(&mut self, kdf: &str, stretched: Vec<u8>) -> Answer {
        let password = taken(stretched, read(kdf)?)?;
        Ok(self.vault.login_secret(&password).map_err(thrown)?.expose_secret().to_owned())
    }

    /// See `Vault::unlock`.
    pub fn unlock(&mut self, args: &str) -> Result<(), JsValue> {
        let json::SealedOwner { owner_pubkey, owner_blob } = read(args)?;
        self.vault.unlock(&owner_pubkey, &owner_blob).map_err(thrown)
    }

    /// See `Vault::unlock_with_passkey`.
    pub fn unlock_with_passkey(&mut self, args: &str, prf: String) -> Result<(), JsValue> {
        let json::SealedOwner { owner_pubkey, owner_blob } = read(args)?;
        self.vault.unlock_with_passkey(&prf_output(prf)?, &owner_pubkey, &owner_blob).map_err(thrown)
    }

    /// See `Vault::seal_for_passkey`.
    pub fn seal_for_passkey(&self, prf: String) -> Answer {
        self.vault.seal_for_passkey(&prf_output(prf)?, &mut rng()).map_err(thrown)
    }

    /// See `Vault::unlocked`.
    #[must_use]
    pub fn unlocked(&self) -> Option<String> {
        self.vault.unlocked().map(|key| key.to_string())
    }

    /// See `Vault::require_unlocked`.
    pub fn require_unlocked(&self) -> Result<(), JsValue> {
        self.vault.require_unlocked().map_err(thrown)
    }

    /// See `Vault::change_password`.
    pub fn change_password(&self, kdf: &str, stretched: Vec<u8>) -> Answer {
        let password = taken(stretched, read(kdf)?)?;
        let made = self.vault.change_password(&password, &mut rng()).map_err(thrown)?;
        written(&json::Credentials::of(&made))
    }

    /// `{"owner_pubkey", "group", "epoch", "npub"}` of a kit.
    pub fn open_kit(&self, kit: &str, passphrase: Vec<u8>) -> Answer {
        let kit = KitFile::parse(kit).map_err(thrown)?;
        let opened = kit.open(&taken(passphrase, *kit.kdf())?).map_err(thrown)?;
        written(&json::LookedInto {
            owner_pubkey: opened.owner.public_key(),
            group: kit.group(),
            epoch: kit.epoch(),
            npub: kit.npub(),
        })
    }

    /// See `Vault::draft`, for a key in the clear.
    pub fn draft(&mut self, text: String) -> Answer {
        let text = Zeroizing::new(text);
        match GivenKey::parse(&text).map_err(thrown)? {
            GivenKey::Plain(secret, form) => {
                let npub = self.vault.draft(secret).map_err(thrown)?;
                written(&json::Draft { npub, kind: name(form) })
            }
            GivenKey::Encrypted(_) => Err(thrown(secret_key::needs_password())),
        }
    }

    /// See `Vault::draft_encrypted`.
    pub fn draft_encrypted(&mut self, key: &str, stretched: Vec<u8>) -> Answer {
        let npub = self.vault.draft_encrypted(&encrypted(key)?, &bytes(stretched)?).map_err(thrown)?;
        written(&json::Draft { npub, kind: "ncryptsec" })
    }

    /// See `Vault::prepare_identity`.
    pub fn prepare_identity(&mut self, args: &str, now_s: f64) -> Answer {
        let json::Prepare { holders } = read(args)?;
        let made = self.vault.prepare_identity(&holders, whole(now_s), &mut rng()).map_err(thrown)?;
        written(&json::Prepared::of(&made))
    }

    /// See `Vault::begin_keygen`.
    pub fn begin_keygen(&mut self, args: &str) -> Answer {
        let json::BeginKeygen { holders, custody } = read(args)?;
        written(&self.vault.begin_keygen(&holders, custody.into(), &mut rng()).map_err(thrown)?)
    }

    /// See `Vault::begin_renewal`. The passphrase is stretched, and goes with the kit.
    pub fn begin_renewal(&mut self, args: &str, passphrase: Option<Vec<u8>>) -> Answer {
        let json::BeginRenewal { public, holders, custody, others, shares, kit } = read(args)?;
        let shares = shares.as_deref().map(SealedShares::parse).transpose().map_err(thrown)?;
        let kit = kit.as_deref().map(KitFile::parse).transpose().map_err(thrown)?;
        let kit = match (kit, passphrase) {
            (None, None) => None,
            (Some(kit), Some(passphrase)) => {
                let passphrase = taken(passphrase, *kit.kdf())?;
                Some((kit, passphrase))
            }
            (Some(_), None) | (None, Some(_)) => return Err(misused("a kit and its passphrase go together")),
        };
        let wanted = RenewalWanted {
            public: &public,
            custody: custody.into(),
            others: others.into(),
            shares: shares.as_ref(),
            kit: kit.as_ref().map(|(kit, passphrase)| (kit, passphrase)),
        };
        let begun = self.vault.begin_renewal(&wanted, &holders, &mut rng());
        written(&json::RenewalBegun::of(&begun.map_err(thrown)?))
    }

    /// See `Vault::join_renewal`.
    pub fn join_renewal(&mut self, args: &str) -> Answer {
        let json::JoinRenewal { public, holders, shares, view } = read(args)?;
        let shares = shares.as_deref().map(SealedShares::parse).transpose().map_err(thrown)?;
        let joined = self.vault.join_renewal(&public, &holders, shares.as_ref(), &view, &mut rng());
        written(&joined.map_err(thrown)?)
    }

    /// See `Vault::take_ceremony`.
    pub fn take_ceremony(&mut self, args: &str) -> Answer {
        let json::TakeCeremony { view } = read(args)?;
        let stand = self.vault.take_ceremony(&view, &mut rng()).map_err(thrown)?;
        written(&json::CeremonyStand::of(&stand))
    }

    /// See `Vault::finish_keygen`.
    pub fn finish_keygen(&mut self, now_s: f64) -> Answer {
        let made = self.vault.finish_keygen(whole(now_s), &mut rng()).map_err(thrown)?;
        written(&json::MadeIdentity::of(&made)?)
    }

    /// See `Vault::reshare`.
    pub fn reshare(&self, args: &str, now_s: f64) -> Answer {
        let json::Numbered { seq } = read(args)?;
        written(&self.vault.reshare(seq, whole(now_s), &mut rng()).map_err(thrown)?)
    }

    /// See `Vault::new_shares`.
    pub fn new_shares(&mut self) -> Answer {
        let made = self.vault.new_shares(&mut rng()).map_err(thrown)?;
        written(&json::NewShares::of(&made)?)
    }

    /// See `Vault::kept`.
    pub fn kept(&mut self) -> Result<(), JsValue> {
        self.vault.kept().map_err(thrown)
    }

    /// See `Vault::end_ceremony`.
    pub fn end_ceremony(&mut self) {
        self.vault.end_ceremony();
    }

    /// See `Vault::contribute`.
    pub fn contribute(&mut self, args: &str, now_ms: f64) -> Answer {
        let json::Contribute { shares, request, offer, memory } = read(args)?;
        let shares = SealedShares::parse(&shares).map_err(thrown)?;
        let made = self.vault.contribute(&shares, &request, &offer, memory.as_ref(), whole(now_ms), &mut rng());
        written(&made.map_err(thrown)?)
    }

    /// See `Vault::leave_with_kit`.
    pub fn leave_with_kit(&self, args: &str, passphrase: Vec<u8>) -> Answer {
        let json::LeaveWithKit { shares, kit } = read(args)?;
        let shares = SealedShares::parse(&shares).map_err(thrown)?;
        let kit = KitFile::parse(&kit).map_err(thrown)?;
        let passphrase = taken(passphrase, *kit.kdf())?;
        exported(&self.vault.leave_with_kit(&shares, &kit, &passphrase).map_err(thrown)?)
    }

    /// See `Vault::make_kit`.
    pub fn make_kit(&self, kdf: &str, passphrase: Vec<u8>) -> Answer {
        let passphrase = taken(passphrase, read(kdf)?)?;
        kit_file(&self.vault.make_kit(&passphrase, &mut rng()).map_err(thrown)?)
    }

    /// See `Vault::check_kit`.
    pub fn check_kit(&self, args: &str, passphrase: Vec<u8>) -> Result<(), JsValue> {
        let json::GivenKit { kit, public } = read(args)?;
        let kit = KitFile::parse(&kit).map_err(thrown)?;
        let passphrase = taken(passphrase, *kit.kdf())?;
        self.vault.check_kit(&kit, &passphrase, &public).map_err(thrown)
    }

    /// See `Vault::renew_kit`.
    pub fn renew_kit(&self, args: &str, passphrase: Vec<u8>, kdf: &str, anew: Vec<u8>) -> Answer {
        let json::GivenKit { kit, public } = read(args)?;
        let kit = KitFile::parse(&kit).map_err(thrown)?;
        let passphrase = taken(passphrase, *kit.kdf())?;
        let anew = taken(anew, read(kdf)?)?;
        kit_file(&self.vault.renew_kit(&kit, &passphrase, &anew, &public, &mut rng()).map_err(thrown)?)
    }

    /// See `Vault::grant`.
    pub fn grant(&self, args: &str, now_s: f64) -> Answer {
        let json::GrantArgs { place, terms, holders } = read(args)?;
        let made = self.vault.grant(place.into(), &terms.into(), &holders, whole(now_s), &mut rng()).map_err(thrown)?;
        written(&json::Granted::of(&made))
    }

    /// An `edit` statement.
    pub fn edit(&self, args: &str, now_s: f64) -> Answer {
        let json::EditArgs { place, terms, connection } = read(args)?;
        self.signed(place, &Verb::Edit { connection, terms: terms.into() }, now_s)
    }

    /// A `pause` statement.
    pub fn pause(&self, args: &str, now_s: f64) -> Answer {
        let json::ConnectionArgs { place, connection } = read(args)?;
        self.signed(place, &Verb::Pause { connection }, now_s)
    }

    /// A `resume` statement.
    pub fn resume(&self, args: &str, now_s: f64) -> Answer {
        let json::ConnectionArgs { place, connection } = read(args)?;
        self.signed(place, &Verb::Resume { connection }, now_s)
    }

    /// A `revoke` statement.
    pub fn revoke(&self, args: &str, now_s: f64) -> Answer {
        let json::ConnectionArgs { place, connection } = read(args)?;
        self.signed(place, &Verb::Revoke { connection }, now_s)
    }

    /// An `approve` statement.
    pub fn approve(&self, args: &str, now_s: f64) -> Answer {
        let json::ApproveArgs { place, connection, request, method, kind, remember } = read(args)?;
        let remember = remember.map(|json::RememberArgs { until }| Remember { until });
        self.signed(place, &Verb::Approve(Approval { connection, request, method, kind, remember }), now_s)
    }

    /// A `deny` statement.
    pub fn deny(&self, args: &str, now_s: f64) -> Answer {
        let json::DenyArgs { place, connection, request } = read(args)?;
        self.signed(place, &Verb::Deny { connection, request }, now_s)
    }

    /// A `delete_group` statement.
    pub fn delete_group(&self, args: &str, now_s: f64) -> Answer {
        self.signed(read(args)?, &Verb::DeleteGroup, now_s)
    }

    /// See `Vault::export`.
    pub fn export_begin(&self, args: &str, now_s: f64) -> Answer {
        let place: json::PlaceArgs = read(args)?;
        written(&self.vault.export(place.into(), whole(now_s), &mut rng()).map_err(thrown)?)
    }

    /// A `cancel_export` statement.
    pub fn export_cancel(&self, args: &str, now_s: f64) -> Answer {
        self.signed(read(args)?, &Verb::CancelExport, now_s)
    }

    /// See `Vault::finish_export`.
    pub fn export_finish(&self, args: &str) -> Answer {
        let json::FinishArgs { group, statement, public, packages } = read(args)?;
        exported(&self.vault.finish_export(&group, &statement, &public, &packages).map_err(thrown)?)
    }

    /// See `Vault::finish_export_with_kit`.
    pub fn export_finish_with_kit(&self, args: &str, passphrase: Vec<u8>) -> Answer {
        let json::FinishWithKit { group, statement, public, bunker, kit } = read(args)?;
        let kit = KitFile::parse(&kit).map_err(thrown)?;
        let passphrase = taken(passphrase, *kit.kdf())?;
        let made = self.vault.finish_export_with_kit(&group, &statement, &public, &bunker, &kit, &passphrase);
        exported(&made.map_err(thrown)?)
    }

    /// See `vault::follow_chain`.
    pub fn verify_chain(&self, args: &str) -> Answer {
        let json::ChainArgs { records, head, previous } = read(args)?;
        let previous = previous.unwrap_or(AuditHead::default());
        written(&match vault::follow_chain(&records, previous, head) {
            Ok(()) => json::Verdict { ok: true, at: None, reason: None },
            Err((at, reason)) => json::Verdict { ok: false, at: Some(at), reason: Some(reason) },
        })
    }

    fn signed(&self, place: json::PlaceArgs, verb: &Verb, now_s: f64) -> Answer {
        written(&self.vault.sign(place.into(), verb, whole(now_s), &mut rng()).map_err(thrown)?)
    }
}

/// The browser's generator.
fn rng() -> impl RngCore + CryptoRng {
    OsRng
}

fn name(form: Written) -> &'static str {
    match form {
        Written::Nsec => "nsec",
        Written::Hex => "hex",
    }
}

fn encrypted(key: &str) -> Result<EncryptedKey, JsValue> {
    match GivenKey::parse(key).map_err(thrown)? {
        GivenKey::Encrypted(key) => Ok(key),
        GivenKey::Plain(..) => Err(misused("an ncryptsec was expected")),
    }
}

fn taken(stretched: Vec<u8>, kdf: KdfParams) -> Result<Stretched, JsValue> {
    Stretched::from_secret(bytes(stretched)?, kdf).map_err(|error| thrown(enrolment::kdf_refused(error)))
}

fn bytes(secret: Vec<u8>) -> Result<Secret32, JsValue> {
    let secret = Zeroizing::new(secret);
    Secret32::from_slice(&secret).ok_or_else(|| misused("32 bytes were expected"))
}

fn prf_output(hex: String) -> Result<Secret32, JsValue> {
    let hex = Zeroizing::new(hex);
    Secret32::from_hex(&hex).map_err(|_| {
        thrown(Failure::new("passkey_unusable", "This passkey can't unlock the owner key. Use your password."))
    })
}

fn exported(key: &Exported) -> Answer {
    written(&json::Exported { nsec: key.nsec.expose_secret(), npub: &key.npub })
}

/// A browser's clock, in seconds or milliseconds: after 1970 and before the year 292277026.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(now: f64) -> u64 {
    now as u64
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, JsValue> {
    serde_json::from_str(json).map_err(|error| misused(&error.to_string()))
}

fn written<T: Serialize>(value: &T) -> Answer {
    serde_json::to_string(value).map_err(|error| misused(&error.to_string()))
}

fn kit_file(kit: &KitFile) -> Answer {
    written(&json::File { file: kit.to_text().map_err(thrown)?, name: kit.name() })
}

/// The page and this program do not understand each other.
fn misused(why: &str) -> JsValue {
    thrown(Failure::new(
        "misunderstood",
        format!("The page and its vault do not understand each other ({why}). Reload the page."),
    ))
}

fn thrown(failure: Failure) -> JsValue {
    let said = json::Thrown { code: failure.code(), message: &failure.to_string() };
    JsValue::from_str(&serde_json::to_string(&said).unwrap_or_default())
}
