//! `passport requests`: what waits for the owner's approval.

use clap::Args;
use serde::Serialize;

use crate::{
    calendar::Moment,
    failure::Failure,
    identity::{self, KeyName},
    output::{Output, plain},
    platform,
    session::Session,
    wire::{KeyView, RequestList, RequestView},
};

/// Fewest characters of a request's id that name it.
const ID_MIN_CHARS: usize = 6;

/// Show the requests that wait for you.
///
/// They wait for your approval, or, of a key in device custody, for a device with your share of it. Of a key that others
/// share with you, you see what its apps ask for, too; approving and denying is its owner's.
#[derive(Debug, Args)]
pub(crate) struct Requests {
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct WaitingList {
    requests: Vec<Waiting>,
}

/// A request together with its key.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Waiting {
    /// The key that it would use.
    pub(crate) npub: String,
    /// The request.
    #[serde(flatten)]
    pub(crate) request: RequestView,
    #[serde(skip)]
    pub(crate) key: KeyView,
}

impl Requests {
    /// Lists them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.with_shared(&mut session)?;
        let list = WaitingList { requests: waiting(&mut session, &keys)? };
        output.result(&list, || {
            if list.requests.is_empty() {
                return "Nothing waits for you.".into();
            }
            let shown: Vec<_> = list.requests.iter().map(|it| describe(it, platform::now_s())).collect();
            format!("{}\n\nAnswer with: passport approve ID, or passport deny ID", shown.join("\n\n"))
        })
    }
}

/// The requests that wait, oldest first within each key.
pub(crate) fn waiting(session: &mut Session, keys: &[KeyView]) -> Result<Vec<Waiting>, Failure> {
    let mut all = Vec::new();
    for key in keys {
        let list: RequestList = match session.get(&format!("/keys/{}/requests", key.group)) {
            // Somebody shared it with this account, and does so no more.
            Err(failure) if key.owner.is_some() && failure.code() == "not_found" => continue,
            list => list?,
        };
        all.extend(list.requests.into_iter().map(|request| Waiting {
            npub: key.npub.clone(),
            request,
            key: key.clone(),
        }));
    }
    Ok(all)
}

/// The request meant: by its id or the beginning of it, or the only one that waits.
pub(crate) fn find(name: Option<&str>, all: Vec<Waiting>) -> Result<Waiting, Failure> {
    let fits = |it: &Waiting| match name {
        Some(name) => name.len() >= ID_MIN_CHARS && it.request.request.to_string().starts_with(name),
        None => true,
    };
    let mut fitting: Vec<Waiting> = all.into_iter().filter(fits).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Failure::Usage("Several requests wait. Give the id of one: passport requests".into())),
        (None, _) => Err(Failure::stopped(
            "no_such_request",
            "No such request waits for you: it may have been answered or run out. See: passport requests",
        )),
    }
}

/// A request in full, as far as this device can see it.
pub(crate) fn describe(it: &Waiting, now_s: u64) -> String {
    let request = &it.request;
    let calls_itself = request
        .client
        .as_ref()
        .and_then(|client| client.name.as_deref())
        .map_or_else(String::new, |name| format!(", calls itself \"{}\"", plain(name)));
    let mut lines = vec![
        format!("{}{calls_itself} asks: {}", plain(&request.label), words(request)),
        format!("  id      {}", request.request),
        format!("  key     {}", identity::line(&it.key)),
    ];
    if let Some(template) = &request.template {
        lines.push(format!("  dated   {} UTC", Moment { unix_s: template.created_at }));
        lines.extend(template.tags.iter().map(|tag| format!("  tag     {}", plain(&tag.join(" | ")))));
        lines.push(format!("  text    {}", text(&template.content)));
    }
    if let Some(plaintext) = &request.plaintext {
        lines.push(format!("  text    {}", text(plaintext)));
    }
    if let Some(ciphertext) = &request.ciphertext {
        let length = ciphertext.chars().count();
        lines.push(format!("  cipher  {length} characters; only the app sees what is in them"));
    }
    if let Some(owner) = it.key.owner {
        lines.push(format!("  owner   {owner}"));
    }
    if request.needs_device() {
        lines.push(format!("  waits   {}", awaited(it)));
    }
    lines.push(format!("  ends    in {} s", request.expires_at.saturating_sub(now_s)));
    lines.join("\n")
}

/// How many of the devices that it takes are at it, where it takes several.
pub(crate) fn progress(request: &RequestView) -> Option<String> {
    let signers = request.signers.as_ref().filter(|it| it.needed > 1)?;
    Some(format!("{} of {} devices are at it", signers.given.len(), signers.needed))
}

fn awaited(it: &Waiting) -> String {
    let devices = match progress(&it.request) {
        None => "a device with your share".to_owned(),
        Some(progress) => format!("people's devices: {progress}"),
    };
    match (it.request.is_allowed(), it.key.owner) {
        (true, _) => format!("for {devices}; the app's rules allow it"),
        (false, None) => format!("for your approval, and for {devices}"),
        (false, Some(_)) => format!("for the owner's approval, and for {devices}"),
    }
}

fn words(request: &RequestView) -> String {
    let kind = request.kind.map_or_else(String::new, |kind| format!(" of kind {kind}"));
    let peer = request.peer.map_or_else(String::new, |peer| format!(" with {peer}"));
    format!("{}{kind}{peer}", request.method.name())
}

/// All lines of a text, each where it belongs and none able to steer the terminal.
fn text(content: &str) -> String {
    let lines: Vec<_> = content.lines().map(plain).collect();
    lines.join("\n          ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::Awaited;

    /// A request for a note.
    pub(crate) fn waiting(id: &str, content: &str) -> Waiting {
        let key = serde_json::json!({
            "group": "01".repeat(16), "pubkey": "0".repeat(64), "npub": "npub1x", "relay": "wss://a.example",
            "label": "Me", "created_at": 1,
        });
        let request = serde_json::json!({
            "request": id.repeat(64 / id.len()), "connection": "02".repeat(16), "label": "Blog",
            "client": {"name": "Evil\u{1b}[2J"}, "method": "sign_event", "kind": 1, "peer": null,
            "template": {"kind": 1, "content": content, "tags": [["p", "x"]], "created_at": 7},
            "plaintext": null, "ciphertext": null, "waits_for": ["approval"], "held_at": 1, "expires_at": 600,
        });
        Waiting {
            npub: "npub1x".into(),
            request: serde_json::from_value(request).unwrap(),
            key: serde_json::from_value(key).unwrap(),
        }
    }

    #[test]
    fn exactly_the_request_that_is_meant_is_found() {
        let all = || vec![waiting("ab", "one"), waiting("cd", "two")];
        let code = |name| find(name, all()).map(|_| ()).map_err(|failure| failure.code().to_owned());
        assert_eq!(code(Some("ababab")), Ok(()));
        assert_eq!(code(Some("ababa")), Err("no_such_request".into()));
        assert_eq!(code(Some("efefef")), Err("no_such_request".into()));
        assert_eq!(code(None), Err("usage".into()));
        assert!(find(None, vec![waiting("ab", "one")]).is_ok());
        assert_eq!(find(None, Vec::new()).unwrap_err().code(), "no_such_request");
    }

    #[test]
    fn a_request_is_shown_in_full_and_can_not_steer_the_terminal() {
        let shown = describe(&waiting("ab", "first\u{202e}\nsecond\u{1b}[2J"), 100);
        assert!(shown.contains("first \n          second [2J"), "{shown}");
        assert!(shown.contains("p | x") && shown.contains("kind 1") && shown.contains("in 500 s"));
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        assert!(!shown.contains("waits"), "{shown}");
    }

    #[test]
    fn what_a_request_waits_for_is_shown_where_a_device_is_needed() {
        let shown = |waits_for: &[Awaited]| {
            let mut it = waiting("ab", "one");
            it.request.waits_for = waits_for.to_vec();
            (it.request.is_allowed(), describe(&it, 100))
        };
        let (is_allowed, text) = shown(&[Awaited::Approval, Awaited::Device]);
        assert!(!is_allowed && text.contains("for your approval, and for a device"), "{text}");
        let (is_allowed, text) = shown(&[Awaited::Device]);
        assert!(is_allowed && text.contains("rules allow it"), "{text}");
        assert!(!shown(&[Awaited::Approval]).0 && !shown(&[]).0);
    }

    #[test]
    fn of_a_shared_key_it_is_shown_whose_approval_is_needed_and_how_many_are_at_it() {
        let mut it = waiting("ab", "one");
        it.request.waits_for = vec![Awaited::Approval, Awaited::Device];
        it.request.signers = serde_json::from_value(serde_json::json!({"needed": 2, "given": [3]})).unwrap();
        assert!(describe(&it, 100).contains("for your approval, and for people's devices: 1 of 2 devices are at it"));
        it.key.owner = Some(bunker_core::keys::PublicKey::from_bytes([9; 32]));
        let shown = describe(&it, 100);
        assert!(shown.contains("for the owner's approval") && shown.contains(&"09".repeat(32)), "{shown}");
        it.request.signers.as_mut().unwrap().needed = 1;
        assert_eq!(progress(&it.request), None);
    }
}
