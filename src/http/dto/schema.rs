//! Shapes of the cores' types for the OpenAPI document. The cores know nothing of HTTP, so their
//! schemas stand here; a test holds each against what the core really writes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A signed Nostr event (NIP-01). Owner statements have kind 27433 and no tags.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignedEvent)]
pub struct SignedEventSchema {
    /// SHA-256 of the serialisation, 64 hex digits.
    pub id: String,
    /// The signer, x-only, 64 hex digits.
    pub pubkey: String,
    /// Unix seconds.
    pub created_at: u64,
    /// 27433 for an owner statement.
    pub kind: u16,
    /// Empty for an owner statement.
    pub tags: Vec<Vec<String>>,
    /// The statement as JSON.
    pub content: String,
    /// BIP-340 signature, 128 hex digits.
    pub sig: String,
}

/// Salt and cost of the device's scrypt (RFC 7914).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KdfParams)]
pub struct KdfParamsSchema {
    /// 16 random bytes, 32 hex digits.
    #[schema(min_length = 32, max_length = 32, pattern = "^[0-9a-f]{32}$")]
    pub salt: String,
    /// log2 of N.
    #[schema(minimum = 17, maximum = 20)]
    pub log_n: u8,
    /// Block size.
    #[schema(minimum = 8, maximum = 8)]
    pub r: u32,
    /// Passes.
    #[schema(minimum = 1, maximum = 4)]
    pub p: u32,
}

/// The public facts about a group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GroupPublic)]
pub struct GroupPublicSchema {
    /// The group, 32 hex digits.
    pub group: String,
    /// Raised by each refresh or reshare.
    pub epoch: u32,
    /// How many holders it takes.
    pub threshold: u16,
    /// The Nostr key, x-only, 64 hex digits.
    pub pubkey: String,
    /// Everyone with a share.
    pub holders: Vec<HolderPublicSchema>,
}

/// One who holds a share on a device and is not the owner.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Member)]
pub struct MemberSchema {
    /// The number of the share.
    pub holder: u16,
    /// The owner key of that person's account, 64 hex digits.
    pub person: String,
}

/// A holder and its verifying share.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HolderPublic)]
pub struct HolderPublicSchema {
    /// FROST identifier.
    pub index: u16,
    /// `bunker`, `cosigner`, `device` or `recovery`.
    pub role: String,
    /// Compressed point, 66 hex digits.
    pub verifying_share: String,
}

/// What a connection may do. A deny wins; what no rule names is denied.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Policy)]
pub struct PolicySchema {
    /// No rules allow nothing.
    pub rules: Vec<PolicyRuleSchema>,
}

/// One rule of a policy.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicyRule)]
pub struct PolicyRuleSchema {
    /// `allow`, `ask` or `deny`.
    pub effect: String,
    /// `"all"` or a list of methods.
    #[schema(value_type = Object)]
    pub methods: serde_json::Value,
    /// `"all"` or a list of event kinds.
    #[schema(value_type = Object)]
    pub kinds: serde_json::Value,
    /// `"all"` or a list of public keys.
    #[schema(value_type = Object)]
    pub peers: serde_json::Value,
    /// How often it may be used; null for without limit.
    pub uses: Option<u32>,
}

/// One link of the audit chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuditRecord)]
pub struct AuditRecordSchema {
    /// Position, from 1.
    pub n: u64,
    /// Unix milliseconds by the holder's clock.
    pub at_ms: u64,
    /// Hash of the record before it.
    pub prev: String,
    /// What happened: `what` names it.
    #[schema(value_type = Object)]
    pub entry: serde_json::Value,
    /// SHA-256 over the fields before it.
    pub hash: String,
}

/// The end of the audit chain.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuditHead)]
pub struct AuditHeadSchema {
    /// Number of records.
    pub n: u64,
    /// Hash of the last.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use bunker_core::audit::{AuditHead, AuditRecord, Entry, Happening};
    use bunker_core::event::{Event, Template};
    use bunker_core::keys::TransportSecret;
    use bunker_core::policy::Policy;
    use frost_wasm_core::frost::keygen;
    use frost_wasm_core::group::{GroupId, GroupPublic, HolderIndex, HolderRole};
    use frost_wasm_core::kdf::KdfParams;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::platform::rng;

    /// What the core writes fits the schema's type, and nothing is lost on the way through it.
    fn fits<Core: Serialize + DeserializeOwned, Schema: Serialize + DeserializeOwned>(core: &Core) {
        let written = serde_json::to_value(core).unwrap();
        let through: Schema = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(through).unwrap(), written);
    }

    #[test]
    fn the_document_shows_what_the_cores_really_write() {
        let template = Template { created_at: 1, kind: 27433, tags: vec![], content: "{}".into() };
        let event = template.sign_with(&TransportSecret::random(&mut rng()), &mut rng()).unwrap();
        fits::<Event, SignedEventSchema>(&event);

        let holders = [(1, HolderRole::Bunker), (2, HolderRole::Cosigner), (3, HolderRole::Recovery)]
            .map(|(index, role)| (HolderIndex::new(index).unwrap(), role));
        let secret = keygen::fresh_secret(&mut rng());
        let group = GroupId::random(&mut rng());
        let (public, _) = keygen::split(secret, group, &holders, 2, &mut rng()).unwrap();
        fits::<GroupPublic, GroupPublicSchema>(&public);

        let policy = r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[1],"peers":"all","uses":3}]}"#;
        fits::<Policy, PolicySchema>(&serde_json::from_str(policy).unwrap());

        let entry = Entry {
            happening: Happening::RequestAdmitted,
            connection: None,
            request: None,
            method: Some("ping".into()),
            kind: None,
            peer: None,
        };
        let record = AuditHead::default().append(1, entry);
        fits::<AuditHead, AuditHeadSchema>(&record.head());
        fits::<AuditRecord, AuditRecordSchema>(&record);
        fits::<KdfParams, KdfParamsSchema>(&KdfParams::with_salt([1; 16]));
    }
}
