//! A deployment's status, as its operators read it.

use std::collections::BTreeSet;

use operations_core::{
    operator::{Scope, Scopes},
    proposal::Change,
    wire::{DeploymentStatus, OperatorStatus, ProposalReply, RotationStatus, SealStatus, UnsealReply, UnsealingStatus},
};

use crate::{calendar::Moment, output::plain};

/// The whole status.
pub(crate) fn words(it: &DeploymentStatus) -> String {
    let mut lines = Vec::new();
    lines.push(
        it.sealed.as_ref().map_or_else(
            || "Not sealed.".to_owned(),
            |seal| format!("SEALED: nothing is signed. {}", seal_words(seal)),
        ),
    );
    lines.extend(it.sealed_accounts.iter().map(|seal| {
        let owner = seal.owner_pubkey.map_or_else(String::new, |owner| owner.to_string());
        format!("Sealed account {owner}. {}", seal_words(seal))
    }));
    lines.extend(it.unsealings.iter().map(unsealing_line));
    lines.push(format!("Operators, {} of whom open a seal:", it.unseal_threshold));
    lines.extend(it.operators.iter().map(operator_line));
    if !it.proposals.is_empty() {
        lines.push("Waiting for a second person (passport operator approve ID):".to_owned());
        lines.extend(it.proposals.iter().map(proposal_line));
    }
    lines.push(match it.export_delay_s {
        Some(seconds) => format!("Exports wait for {seconds} seconds at least."),
        None => "Exports wait as configured.".to_owned(),
    });
    lines.extend(it.rotation.as_ref().map(rotation_line));
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// How far an unsealing is, and what others have to type.
pub(crate) fn unsealing(reply: &UnsealReply, target: &str, options: &str) -> String {
    if reply.unsealed {
        return format!("Unsealed: {target}.");
    }
    let said = reply.words.len();
    let missing = usize::try_from(reply.needed).unwrap_or(usize::MAX).saturating_sub(said);
    plain(&format!(
        "{said} of {} words are said, {missing} missing, until {} UTC. Other operators type: passport operator \
         unseal{options} --unsealing {} --reason TEXT",
        reply.needed,
        moment(reply.deadline),
        reply.unsealing
    ))
}

/// A change in a few words.
pub(crate) fn change(what: &Change) -> String {
    match what {
        Change::AddOperator { name, scopes, lifetime_s: _ } => format!("add {name}, who may {}", list(scopes)),
        Change::SetUnsealThreshold { k } => format!("let {k} words open a seal"),
        Change::SetExportDelay { seconds: Some(seconds) } => format!("let exports wait for {seconds} seconds at least"),
        Change::SetExportDelay { seconds: None } => "let exports wait as configured".to_owned(),
        Change::BeginRotation {} => "wrap all keys anew".to_owned(),
    }
}

/// Scopes, as they are typed.
pub(crate) fn list(scopes: &Scopes) -> String {
    let scopes: BTreeSet<Scope> = scopes.clone().into();
    scopes.into_iter().map(Scope::as_str).collect::<Vec<_>>().join(",")
}

fn moment(unix_s: u64) -> Moment {
    Moment { unix_s }
}

fn seal_words(seal: &SealStatus) -> String {
    format!("Since {} UTC, by {}: {}", moment(seal.since), seal.by, seal.reason)
}

fn unsealing_line(it: &UnsealingStatus) -> String {
    let words: Vec<_> = it.words.iter().map(ToString::to_string).collect();
    let (id, target, needed, deadline) = (it.unsealing, &it.target, it.needed, moment(it.deadline));
    format!("Unsealing {id} of {target}: said by {} ({needed} needed), until {deadline} UTC", words.join(", "))
}

fn operator_line(it: &OperatorStatus) -> String {
    let used = it.last_used_at.map_or_else(|| "never".to_owned(), |at| moment(at).to_string());
    let (id, name, expires_at) = (it.operator, &it.name, moment(it.expires_at));
    format!("  {id}  {name}  {}  until {expires_at}, last used {used}", list(&it.scopes))
}

fn proposal_line(it: &ProposalReply) -> String {
    format!("  {}  {} (by {}, until {} UTC)", it.proposal, change(&it.what), it.by, moment(it.deadline))
}

fn rotation_line(it: &RotationStatus) -> String {
    let RotationStatus { begun_at, done, total, failed, finished_at } = it;
    let end = finished_at.map_or_else(|| "under way".to_owned(), |at| format!("ended {} UTC", moment(at)));
    format!("Rotation of {} UTC: {done} of {total} done, {failed} failed, {end}", moment(*begun_at))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_unseals_is_told_how_many_words_are_missing_and_what_the_others_type() {
        let reply = |unsealed: bool| -> UnsealReply {
            let words = if unsealed { json!(["Ada", "Ben", "Cleo"]) } else { json!(["Ada"]) };
            let it = json!({"unsealing": "0011223344556677", "words": words, "needed": 3, "deadline": 951_782_400,
                "unsealed": unsealed});
            serde_json::from_value(it).unwrap()
        };
        let told = unsealing(&reply(false), "the account alice", " --account alice");
        assert!(told.contains("1 of 3 words") && told.contains("2 missing"), "{told}");
        assert!(told.contains("unseal --account alice --unsealing 0011223344556677 --reason"), "{told}");
        assert_eq!(unsealing(&reply(true), "the account alice", ""), "Unsealed: the account alice.");
    }

    #[test]
    fn a_status_shows_the_seal_first_and_what_waits() {
        let status: DeploymentStatus = serde_json::from_value(json!({
            "set_up": true,
            "sealed": {"since": 951_782_400, "by": "Ada", "reason": "a leak"},
            "sealed_accounts": [],
            "unsealings": [{"unsealing": "0011223344556677", "target": "deployment", "begun_by": "Ben", "words": ["Ben"],
                "needed": 2, "deadline": 951_783_300, "reason": "all is well"}],
            "unseal_threshold": 2,
            "operators": [{"operator": "8899aabbccddeeff", "name": "Ada", "scopes": ["seal", "read"],
                "created_at": 951_782_400, "expires_at": 951_782_400}],
            "proposals": [{"proposal": "1111111111111111", "what": {"kind": "set_export_delay", "seconds": 5}, "by": "Ben",
                "deadline": 951_782_400}],
            "export_delay_s": null,
            "rotation": null,
        }))
        .unwrap();
        let told = words(&status);
        assert!(told.starts_with("SEALED"), "{told}");
        for part in ["a leak", "Unsealing 0011223344556677", "Ada  read,seal", "1111111111111111  let exports", "never"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
