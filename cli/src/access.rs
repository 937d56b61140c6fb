//! What an app may do, as a person says it: presets, or kinds and methods by name. Nothing is allowed that was not
//! said.

use std::collections::BTreeSet;

use bunker_core::policy::{Permission, Policy, Rule, RuleEffect, Scope};
use clap::{Args, ValueEnum};

use crate::failure::Failure;

/// Kinds that `post-notes` signs: notes (1), reposts (6, 16), reactions (7), comments (1111), and the sign-in of
/// NIP-42 (22242), without which many relays take no note.
const POST_KINDS: [u16; 6] = [1, 6, 7, 16, 1111, 22242];

/// A choice that a person can make by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Everything: sign any event, read and write all private messages
    Everything,
    /// Sign notes, comments, reposts, reactions and sign-ins to relays (kinds 1, 6, 7, 16, 1111, 22242)
    PostNotes,
    /// Decrypt private messages (NIP-04 and NIP-44), without writing any
    ReadMessages,
}

/// A method that a policy knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum MethodName {
    /// Learn your public key
    GetPublicKey,
    /// Have events signed
    SignEvent,
    /// Encrypt messages, the old way
    #[value(name = "nip04_encrypt")]
    Nip04Encrypt,
    /// Decrypt messages, the old way
    #[value(name = "nip04_decrypt")]
    Nip04Decrypt,
    /// Encrypt messages
    #[value(name = "nip44_encrypt")]
    Nip44Encrypt,
    /// Decrypt messages
    #[value(name = "nip44_decrypt")]
    Nip44Decrypt,
}

/// What a connection may do.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// What the app may do; several presets add up
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PRESET")]
    allow: Vec<Preset>,
    /// What the app may do once you have approved it, each time; what is also allowed is asked, unless it is allowed by
    /// a narrower preset
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PRESET")]
    ask: Vec<Preset>,
    /// Event kinds it may sign once you have approved it, each time
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    ask_kinds: Vec<u16>,
    /// Event kinds it may sign, such as 1,7; alone, this means sign_event of these kinds and get_public_key
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    kinds: Vec<u16>,
    /// Methods it may call, and no others
    #[arg(long, value_enum, value_delimiter = ',', value_name = "METHODS", hide_possible_values = false)]
    methods: Vec<MethodName>,
}

/// The options that say what a connection may do, by their ids.
pub(crate) const ACCESS_OPTIONS: [&str; 5] = ["allow", "ask", "ask_kinds", "kinds", "methods"];

impl Access {
    /// Whether nothing was said.
    pub(crate) fn is_silent(&self) -> bool {
        self.allow.is_empty()
            && self.ask.is_empty()
            && self.ask_kinds.is_empty()
            && self.kinds.is_empty()
            && self.methods.is_empty()
    }

    /// The policy that says so. `uses` limits every allowance except that the app may learn the public key.
    ///
    /// The first rule that matches decides, so what is narrow stands before what is wide, and asking before allowing.
    /// Learning the public key is never asked about: an app wants it at once, and does nothing without it.
    pub(crate) fn policy(&self, uses: Option<u32>) -> Result<Policy, Failure> {
        let mut rules = Vec::new();
        if !self.ask.is_empty() || !self.ask_kinds.is_empty() {
            rules.push(introduction());
        }
        for preset in &self.ask {
            rules.extend(preset.rules().into_iter().filter(|rule| *rule != introduction()).map(asked));
        }
        if !self.ask_kinds.is_empty() {
            rules.push(asked(signing(&self.ask_kinds)));
        }
        for preset in &self.allow {
            rules.extend(preset.rules());
        }
        rules.extend(self.custom()?);
        // Stable: among the narrow and among the wide, asking stays before allowing.
        rules.sort_by_key(|rule| rule.methods == Scope::All);
        let mut told: Vec<Rule> = Vec::new();
        for rule in rules {
            if !told.contains(&rule) {
                told.push(rule);
            }
        }
        for rule in &mut told {
            if rule.effect == RuleEffect::Allow && *rule != introduction() {
                rule.uses = uses;
            }
        }
        let policy = Policy { rules: told };
        policy.validate().map_err(|error| Failure::Usage(format!("{error}.")))?;
        Ok(policy)
    }

    fn custom(&self) -> Result<Vec<Rule>, Failure> {
        let mut methods: BTreeSet<Permission> = self.methods.iter().map(|name| name.permission()).collect();
        if self.kinds.is_empty() {
            let methods: Vec<_> = methods.into_iter().collect();
            return Ok(if methods.is_empty() { Vec::new() } else { vec![allow(Scope::Only(methods), Scope::All)] });
        }
        if methods.is_empty() {
            methods.insert(Permission::GetPublicKey);
        } else if !methods.remove(&Permission::SignEvent) {
            return Err(Failure::Usage(
                "--kinds says which events may be signed, but --methods does not name sign_event.".into(),
            ));
        }
        let mut rules = vec![signing(&self.kinds)];
        if !methods.is_empty() {
            rules.push(allow(Scope::Only(methods.into_iter().collect()), Scope::All));
        }
        Ok(rules)
    }
}

impl Preset {
    fn rules(self) -> Vec<Rule> {
        let public_key = introduction();
        match self {
            Self::Everything => Policy::everything().rules,
            Self::PostNotes => {
                vec![public_key, signing(&POST_KINDS)]
            }
            Self::ReadMessages => {
                vec![public_key, allow(only(&[Permission::Nip04Decrypt, Permission::Nip44Decrypt]), Scope::All)]
            }
        }
    }
}

impl MethodName {
    fn permission(self) -> Permission {
        match self {
            Self::GetPublicKey => Permission::GetPublicKey,
            Self::SignEvent => Permission::SignEvent,
            Self::Nip04Encrypt => Permission::Nip04Encrypt,
            Self::Nip04Decrypt => Permission::Nip04Decrypt,
            Self::Nip44Encrypt => Permission::Nip44Encrypt,
            Self::Nip44Decrypt => Permission::Nip44Decrypt,
        }
    }
}

/// A policy in words, for a list.
pub(crate) fn describe(policy: &Policy) -> String {
    if policy.rules.is_empty() {
        return "nothing".into();
    }
    let rules: Vec<String> = policy.rules.iter().map(describe_rule).collect();
    rules.join("; ")
}

fn describe_rule(rule: &Rule) -> String {
    let effect = match rule.effect {
        RuleEffect::Allow => "",
        RuleEffect::Ask => "after asking ",
        RuleEffect::Deny => "never ",
    };
    let methods = match &rule.methods {
        Scope::All => "everything".to_owned(),
        Scope::Only(methods) => {
            let names: Vec<_> = methods.iter().map(|method| method.name()).collect();
            names.join(", ")
        }
    };
    let kinds = match &rule.kinds {
        Scope::All => String::new(),
        Scope::Only(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(u16::to_string).collect();
            format!(" of kinds {}", kinds.join(", "))
        }
    };
    let peers = match &rule.peers {
        Scope::All => String::new(),
        Scope::Only(peers) => format!(" with {} people", peers.len()),
    };
    let uses = rule.uses.map_or_else(String::new, |uses| format!(" (at most {uses} times)"));
    format!("{effect}{methods}{kinds}{peers}{uses}")
}

/// That the app may learn the public key.
fn introduction() -> Rule {
    allow(only(&[Permission::GetPublicKey]), Scope::All)
}

fn signing(kinds: &[u16]) -> Rule {
    let kinds: BTreeSet<u16> = kinds.iter().copied().collect();
    allow(only(&[Permission::SignEvent]), Scope::Only(kinds.into_iter().collect()))
}

fn asked(rule: Rule) -> Rule {
    Rule { effect: RuleEffect::Ask, ..rule }
}

fn allow(methods: Scope<Permission>, kinds: Scope<u16>) -> Rule {
    Rule { effect: RuleEffect::Allow, methods, kinds, peers: Scope::All, uses: None }
}

fn only(methods: &[Permission]) -> Scope<Permission> {
    Scope::Only(methods.to_vec())
}

#[cfg(test)]
mod tests {
    use bunker_core::policy::{Ask, Decided};
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        access: Access,
    }

    fn policy(args: &str) -> Policy {
        try_policy(args, None).unwrap()
    }

    fn try_policy(args: &str, uses: Option<u32>) -> Result<Policy, Failure> {
        let words = std::iter::once("x").chain(args.split_whitespace());
        Line::try_parse_from(words).unwrap().access.policy(uses)
    }

    fn allows(policy: &Policy, permission: Permission, kind: Option<u16>) -> bool {
        let ask = Ask { permission, kind, peer: None };
        matches!(policy.decide(&ask, &[]), Ok(Decided::Allowed { .. }))
    }

    fn asks(policy: &Policy, permission: Permission, kind: Option<u16>) -> bool {
        policy.decide(&Ask { permission, kind, peer: None }, &[]) == Ok(Decided::Asked)
    }

    #[test]
    fn asking_and_allowing_go_together_as_a_person_means_it() {
        let wary = policy("--ask everything --allow post-notes");
        assert!(allows(&wary, Permission::SignEvent, Some(1)));
        assert!(asks(&wary, Permission::SignEvent, Some(0)));
        assert!(asks(&wary, Permission::Nip44Decrypt, None));
        assert!(allows(&wary, Permission::GetPublicKey, None));

        let wariest = policy("--ask everything");
        assert!(asks(&wariest, Permission::SignEvent, Some(1)));
        assert!(allows(&wariest, Permission::GetPublicKey, None), "an app wants to know it before anything else");

        let trusting = policy("--allow everything --ask post-notes");
        assert!(asks(&trusting, Permission::SignEvent, Some(1)));
        assert!(allows(&trusting, Permission::SignEvent, Some(0)));

        let kinds = policy("--ask-kinds 0,3 --allow post-notes");
        assert!(asks(&kinds, Permission::SignEvent, Some(3)));
        assert!(allows(&kinds, Permission::SignEvent, Some(7)));
        assert!(!allows(&kinds, Permission::SignEvent, Some(4)) && !asks(&kinds, Permission::SignEvent, Some(4)));

        let both = policy("--ask post-notes --kinds 1");
        assert!(asks(&both, Permission::SignEvent, Some(1)));
        let limited = try_policy("--ask everything --allow post-notes", Some(2)).unwrap();
        assert!(limited.rules.iter().all(|rule| rule.uses.is_none() || rule.effect == RuleEffect::Allow));
    }

    #[test]
    fn nothing_said_is_known_as_that() {
        assert!(Line::try_parse_from(["x"]).unwrap().access.is_silent());
        assert!(!Line::try_parse_from(["x", "--ask-kinds", "1"]).unwrap().access.is_silent());
    }

    #[test]
    fn post_notes_posts_and_does_no_more() {
        let policy = policy("--allow post-notes");
        for kind in POST_KINDS {
            assert!(allows(&policy, Permission::SignEvent, Some(kind)));
        }
        for kind in [0, 3, 4, 5, 10002, 24133, 27433, 30023] {
            assert!(!allows(&policy, Permission::SignEvent, Some(kind)), "{kind}");
        }
        assert!(allows(&policy, Permission::GetPublicKey, None));
        assert!(!allows(&policy, Permission::Nip44Decrypt, None));
        assert!(!allows(&policy, Permission::Nip44Encrypt, None));
    }

    #[test]
    fn read_messages_reads_and_writes_none() {
        let policy = policy("--allow read-messages");
        assert!(allows(&policy, Permission::Nip04Decrypt, None));
        assert!(allows(&policy, Permission::Nip44Decrypt, None));
        assert!(!allows(&policy, Permission::Nip04Encrypt, None));
        assert!(!allows(&policy, Permission::Nip44Encrypt, None));
        assert!(!allows(&policy, Permission::SignEvent, Some(1)));
    }

    #[test]
    fn everything_is_the_cores_everything() {
        assert_eq!(policy("--allow everything"), Policy::everything());
    }

    #[test]
    fn kinds_and_methods_say_exactly_what_they_say() {
        let kinds = policy("--kinds 1,7");
        assert!(allows(&kinds, Permission::SignEvent, Some(7)));
        assert!(!allows(&kinds, Permission::SignEvent, Some(3)));
        assert!(allows(&kinds, Permission::GetPublicKey, None));

        let both = policy("--kinds 30023 --methods sign_event,nip44_encrypt");
        assert!(allows(&both, Permission::SignEvent, Some(30023)));
        assert!(!allows(&both, Permission::SignEvent, Some(1)));
        assert!(allows(&both, Permission::Nip44Encrypt, None));
        assert!(!allows(&both, Permission::GetPublicKey, None));

        let sign = policy("--methods sign_event");
        assert!(allows(&sign, Permission::SignEvent, Some(3)));
        assert!(!allows(&sign, Permission::Nip44Decrypt, None));
    }

    #[test]
    fn kinds_without_signing_are_refused() {
        let failure = try_policy("--kinds 1 --methods nip44_encrypt", None).unwrap_err();
        assert_eq!(failure.code(), "usage");
        assert!(Line::try_parse_from(["x", "--kinds", "65536"]).is_err());
        assert!(Line::try_parse_from(["x", "--methods", "connect"]).is_err());
    }

    #[test]
    fn uses_limit_the_work_and_not_the_introduction() {
        let policy = try_policy("--allow post-notes", Some(3)).unwrap();
        let uses: Vec<_> = policy.rules.iter().map(|rule| rule.uses).collect();
        assert_eq!(uses, [None, Some(3)]);
        let policy = try_policy("--allow everything", Some(3)).unwrap();
        assert_eq!(policy.rules[0].uses, Some(3));
    }

    #[test]
    fn a_policy_reads_as_what_it_does() {
        assert_eq!(describe(&Policy::default()), "nothing");
        assert_eq!(describe(&Policy::everything()), "everything");
        assert_eq!(
            describe(&try_policy("--kinds 1,7", Some(5)).unwrap()),
            "sign_event of kinds 1, 7 (at most 5 times); get_public_key"
        );
    }
}
