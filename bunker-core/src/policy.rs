//! What one connection may do: rules of allow, ask or deny × method × kind × peer, with use counts.
//!
//! Default deny: no rule that matches, no answer. A matching `deny` wins over every other rule, whatever their
//! order; among the others the first that matches decides, and an `allow` that is used up is passed over. A rule
//! that could never match is refused when it is read, because a person who wrote one believes that it protects
//! them.
//!
//! Out of scope: who may write a policy (`grant`, signed by the owner) and where counts are kept (`session`).

use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;

/// Rules in one policy. A page of settings needs a few dozen; the bound keeps a grant well under 64 KiB.
pub const MAX_RULES: usize = 64;
/// Kinds or peers named by one rule.
pub const MAX_ITEMS_PER_RULE: usize = 256;

/// The methods that a policy decides about.
///
/// `connect`, `ping`, `switch_relays` and `logout` are upkeep of the connection itself: the grant's secret and
/// state decide about them, and they reveal and use nothing of the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Learn the npub.
    GetPublicKey,
    /// Have an event signed.
    SignEvent,
    /// NIP-04 encryption to a peer.
    Nip04Encrypt,
    /// NIP-04 decryption of a peer's message.
    Nip04Decrypt,
    /// NIP-44 encryption to a peer.
    Nip44Encrypt,
    /// NIP-44 decryption of a peer's message.
    Nip44Decrypt,
}

impl Permission {
    /// The name in a policy, which is the method's on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetPublicKey => "get_public_key",
            Self::SignEvent => "sign_event",
            Self::Nip04Encrypt => "nip04_encrypt",
            Self::Nip04Decrypt => "nip04_decrypt",
            Self::Nip44Encrypt => "nip44_encrypt",
            Self::Nip44Decrypt => "nip44_decrypt",
        }
    }

    /// Whether a request of this method is about an event kind.
    pub fn has_kind(self) -> bool {
        matches!(self, Self::SignEvent)
    }

    fn has_peer(self) -> bool {
        match self {
            Self::Nip04Encrypt | Self::Nip04Decrypt | Self::Nip44Encrypt | Self::Nip44Decrypt => true,
            Self::GetPublicKey | Self::SignEvent => false,
        }
    }
}

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleEffect {
    /// Let the request through.
    Allow,
    /// Let the request through once the owner has approved it.
    Ask,
    /// Refuse the request, whatever other rules say.
    Deny,
}

/// Everything, or only what is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope<T> {
    /// `"all"` in JSON.
    All,
    /// A list in JSON; never empty.
    Only(Vec<T>),
}

impl<T: PartialEq> Scope<T> {
    fn contains(&self, item: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(items) => items.contains(item),
        }
    }
}

/// One rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Allow, ask or deny.
    pub effect: RuleEffect,
    /// Methods it speaks about.
    pub methods: Scope<Permission>,
    /// Event kinds, for `sign_event`.
    #[serde(default = "Scope::all")]
    pub kinds: Scope<u16>,
    /// The other party of an encryption or decryption.
    #[serde(default = "Scope::all")]
    pub peers: Scope<PublicKey>,
    /// How often an `allow` may be used while these terms hold; `None` is without limit.
    #[serde(default)]
    pub uses: Option<u32>,
}

impl<T> Scope<T> {
    fn all() -> Self {
        Self::All
    }
}

/// What is asked of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The method.
    pub permission: Permission,
    /// The template's kind, for `sign_event`.
    pub kind: Option<u16>,
    /// The other party, for encryption and decryption.
    pub peer: Option<PublicKey>,
}

/// What a policy says when it does not say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// An allow rule let it through.
    Allowed {
        /// The rule whose count this uses, by position.
        rule: usize,
    },
    /// The owner has to be asked.
    Asked,
}

/// Why a policy says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A deny rule matched.
    #[error("this connection's grant forbids it")]
    Forbidden,
    /// Nothing matched.
    #[error("this connection's grant does not include it")]
    NotGranted,
    /// The rule that matched has been used up.
    #[error("this connection's grant allowed it a limited number of times, and they are used up")]
    UsedUp,
}

/// Why a policy can't be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More than [`MAX_RULES`].
    #[error("a policy has at most {MAX_RULES} rules")]
    TooManyRules,
    /// A list is empty or longer than [`MAX_ITEMS_PER_RULE`].
    #[error("rule {rule}: a list names 1 to {MAX_ITEMS_PER_RULE} things; for everything write \"all\"")]
    BadList {
        /// Position of the rule, from 0.
        rule: usize,
    },
    /// The rule restricts kinds of methods that have none, or peers likewise.
    #[error("rule {rule} can never match as written: kinds belong to sign_event, peers to nip04 and nip44 methods")]
    NeverMatches {
        /// Position of the rule, from 0.
        rule: usize,
    },
    /// `uses` on an ask or deny rule, or zero.
    #[error("rule {rule}: uses is a positive number, on allow rules only")]
    BadUses {
        /// Position of the rule, from 0.
        rule: usize,
    },
}

/// The rules of one connection. The default is empty and allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Deny wins wherever it stands; of the others the first that matches decides.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// A policy that allows every method, kind and peer.
    pub fn everything() -> Self {
        Self {
            rules: vec![Rule {
                effect: RuleEffect::Allow,
                methods: Scope::All,
                kinds: Scope::All,
                peers: Scope::All,
                uses: None,
            }],
        }
    }

    /// Refuses rules that could never match or that say less than they seem to.
    ///
    /// # Errors
    /// The first rule that is wrong, by position.
    pub fn validate(&self) -> Result<(), PolicyError> {
        if self.rules.len() > MAX_RULES {
            return Err(PolicyError::TooManyRules);
        }
        self.rules.iter().enumerate().try_for_each(|(rule, it)| it.validate(rule))
    }

    /// Decides; `used` holds the count of each rule by position.
    ///
    /// # Errors
    /// Why not.
    pub fn decide(&self, ask: &Ask, used: &[u32]) -> Result<Decided, Denied> {
        let matching = || self.rules.iter().enumerate().filter(|(_, rule)| rule.matches(ask));
        if matching().any(|(_, rule)| rule.effect == RuleEffect::Deny) {
            return Err(Denied::Forbidden);
        }
        let is_left =
            |rule: usize, uses: Option<u32>| uses.is_none_or(|limit| used.get(rule).copied().unwrap_or(0) < limit);
        match matching().find(|(rule, it)| is_left(*rule, it.uses)) {
            Some((rule, it)) => match it.effect {
                RuleEffect::Allow => Ok(Decided::Allowed { rule }),
                RuleEffect::Ask => Ok(Decided::Asked),
                RuleEffect::Deny => Err(Denied::Forbidden),
            },
            None if matching().next().is_some() => Err(Denied::UsedUp),
            None => Err(Denied::NotGranted),
        }
    }
}

impl Rule {
    fn matches(&self, ask: &Ask) -> bool {
        let kind_fits = match (&self.kinds, ask.kind) {
            (Scope::All, _) => true,
            (Scope::Only(kinds), Some(kind)) => kinds.contains(&kind),
            (Scope::Only(_), None) => false,
        };
        let peer_fits = match (&self.peers, ask.peer) {
            (Scope::All, _) => true,
            (Scope::Only(peers), Some(peer)) => peers.contains(&peer),
            (Scope::Only(_), None) => false,
        };
        self.methods.contains(&ask.permission) && kind_fits && peer_fits
    }

    fn validate(&self, rule: usize) -> Result<(), PolicyError> {
        let lengths = [self.methods.listed(), self.kinds.listed(), self.peers.listed()];
        if lengths.into_iter().flatten().any(|length| length == 0 || length > MAX_ITEMS_PER_RULE) {
            return Err(PolicyError::BadList { rule });
        }
        let every = |has: fn(Permission) -> bool| match &self.methods {
            Scope::All => false,
            Scope::Only(methods) => methods.iter().all(|method| has(*method)),
        };
        let kinds_fit = self.kinds == Scope::All || every(Permission::has_kind);
        let peers_fit = self.peers == Scope::All || every(Permission::has_peer);
        if !kinds_fit || !peers_fit {
            return Err(PolicyError::NeverMatches { rule });
        }
        match (self.effect, self.uses) {
            (_, None) => Ok(()),
            (RuleEffect::Allow, Some(uses)) if uses > 0 => Ok(()),
            (RuleEffect::Allow | RuleEffect::Ask | RuleEffect::Deny, Some(_)) => Err(PolicyError::BadUses { rule }),
        }
    }
}

impl<T> Scope<T> {
    fn listed(&self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Only(items) => Some(items.len()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AllWord {
    All,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ScopeJson<T> {
    All(AllWord),
    Only(Vec<T>),
}

impl<T: Serialize> Serialize for Scope<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => AllWord::All.serialize(serializer),
            Self::Only(items) => items.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Scope<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match ScopeJson::deserialize(deserializer)? {
            ScopeJson::All(AllWord::All) => Self::All,
            ScopeJson::Only(items) => Self::Only(items),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(kind: u16) -> Ask {
        Ask { permission: Permission::SignEvent, kind: Some(kind), peer: None }
    }

    fn policy(json: &str) -> Policy {
        let policy: Policy = serde_json::from_str(json).unwrap();
        policy.validate().unwrap();
        policy
    }

    #[test]
    fn an_empty_policy_allows_nothing() {
        assert_eq!(Policy::default().decide(&sign(1), &[]), Err(Denied::NotGranted));
        let ask = Ask { permission: Permission::GetPublicKey, kind: None, peer: None };
        assert_eq!(Policy::default().decide(&ask, &[]), Err(Denied::NotGranted));
    }

    #[test]
    fn a_deny_rule_wins_wherever_it_stands() {
        let text =
            r#"{"rules":[{"effect":"allow","methods":"all"},{"effect":"deny","methods":["sign_event"],"kinds":[0]}]}"#;
        let mut rules = policy(text);
        for _ in 0..2 {
            assert_eq!(rules.decide(&sign(0), &[]), Err(Denied::Forbidden));
            assert!(rules.decide(&sign(1), &[]).is_ok());
            rules.rules.reverse();
        }
    }

    #[test]
    fn a_rule_that_can_never_match_is_refused() {
        let refused = |text: &str| serde_json::from_str::<Policy>(text).unwrap().validate().unwrap_err();
        for text in [
            r#"{"rules":[{"effect":"deny","methods":"all","kinds":[4]}]}"#,
            r#"{"rules":[{"effect":"deny","methods":["nip44_decrypt"],"kinds":[4]}]}"#,
            r#"{"rules":[{"effect":"deny","methods":["sign_event"],"peers":["79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]}]}"#,
        ] {
            assert_eq!(refused(text), PolicyError::NeverMatches { rule: 0 });
        }
        for text in [
            r#"{"rules":[{"effect":"deny","methods":[]}]}"#,
            r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[]}]}"#,
        ] {
            assert_eq!(refused(text), PolicyError::BadList { rule: 0 });
        }
        assert!(serde_json::from_str::<Policy>(r#"{"rules":[{"effect":"allow","methods":["sing_event"]}]}"#).is_err());
        assert!(serde_json::from_str::<Policy>(r#"{"rules":[{"effect":"allow","methods":"everything"}]}"#).is_err());
        assert!(serde_json::from_str::<Policy>(r#"{"rules":[{"effect":"deny","methods":"all","kind":[4]}]}"#).is_err());
    }

    #[test]
    fn a_limited_rule_is_used_up() {
        let rules = policy(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[1],"uses":2}]}"#);
        assert_eq!(rules.decide(&sign(1), &[1]), Ok(Decided::Allowed { rule: 0 }));
        assert_eq!(rules.decide(&sign(1), &[2]), Err(Denied::UsedUp));
        assert_eq!(rules.decide(&sign(7), &[0]), Err(Denied::NotGranted));
    }

    #[test]
    fn the_next_allow_is_tried_when_one_is_used_up() {
        let rules = policy(
            r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":1},{"effect":"allow","methods":["sign_event"],"kinds":[1]}]}"#,
        );
        assert_eq!(rules.decide(&sign(1), &[1, 0]), Ok(Decided::Allowed { rule: 1 }));
        assert_eq!(rules.decide(&sign(2), &[1, 0]), Err(Denied::UsedUp));
    }

    #[test]
    fn of_allow_and_ask_the_first_that_matches_decides() {
        let mut rules = policy(
            r#"{"rules":[{"effect":"ask","methods":["sign_event"],"kinds":[1]},{"effect":"allow","methods":"all"}]}"#,
        );
        assert_eq!(rules.decide(&sign(1), &[]), Ok(Decided::Asked));
        assert_eq!(rules.decide(&sign(7), &[]), Ok(Decided::Allowed { rule: 1 }));
        rules.rules.reverse();
        assert_eq!(rules.decide(&sign(1), &[]), Ok(Decided::Allowed { rule: 0 }));
    }

    #[test]
    fn what_is_used_up_falls_through_to_asking() {
        let rules = policy(
            r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":1},{"effect":"ask","methods":["sign_event"],"kinds":[1]}]}"#,
        );
        assert_eq!(rules.decide(&sign(1), &[0]), Ok(Decided::Allowed { rule: 0 }));
        assert_eq!(rules.decide(&sign(1), &[1]), Ok(Decided::Asked));
        assert_eq!(rules.decide(&sign(2), &[1]), Err(Denied::UsedUp));
    }

    #[test]
    fn a_deny_rule_wins_over_asking_wherever_it_stands() {
        let mut rules = policy(
            r#"{"rules":[{"effect":"ask","methods":"all"},{"effect":"deny","methods":["sign_event"],"kinds":[0]}]}"#,
        );
        for _ in 0..2 {
            assert_eq!(rules.decide(&sign(0), &[]), Err(Denied::Forbidden));
            assert_eq!(rules.decide(&sign(1), &[]), Ok(Decided::Asked));
            rules.rules.reverse();
        }
    }

    #[test]
    fn only_allowing_is_counted() {
        for effect in ["ask", "deny"] {
            let text = format!(r#"{{"rules":[{{"effect":"{effect}","methods":"all","uses":1}}]}}"#);
            let error = serde_json::from_str::<Policy>(&text).unwrap().validate().unwrap_err();
            assert_eq!(error, PolicyError::BadUses { rule: 0 });
        }
    }

    #[test]
    fn a_policy_reads_back_as_it_was_written() {
        let text = serde_json::to_string(&Policy::everything()).unwrap();
        assert_eq!(text, r#"{"rules":[{"effect":"allow","methods":"all","kinds":"all","peers":"all","uses":null}]}"#);
        assert_eq!(policy(&text), Policy::everything());
    }
}
