//! This device's sign-in: which server, which account, the tokens, and the owner key sealed under the password.
//!
//! One file, replaced whole. A rotated refresh token is on the disk before it is used, since the server takes the
//! old one for seconds only.

mod file;

use bunker_core::{audit::AuditHead, keys::PublicKey};
use frost_wasm_core::{group::GroupId, kdf::KdfParams, login::LoginKeys, secret::SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    failure::Failure,
    home::Home,
    owner::{SealedOwner, Unlocked},
    platform, prompt,
    server::{Address, Call, Method, Server},
    wire::{ReauthenticateRequest, SignInReply, TokenReply, TokenRequest},
};
pub(crate) use file::{KnownKey, SignIn, Tokens};

/// An access token with less than this left, in seconds, is renewed before it is used.
const RENEW_BEFORE_S: u64 = 30;

/// A device that is signed in.
pub(crate) struct Session {
    home: Home,
    server: Server,
    sign_in: SignIn,
}

impl Session {
    /// The sign-in that is on this device.
    pub(crate) fn resume() -> Result<Self, Failure> {
        let home = Home::find()?;
        let sign_in = file::read(&home)?.filter(|sign_in| sign_in.tokens.is_some()).ok_or_else(not_signed_in)?;
        let server = Server::new(sign_in.server.clone());
        Ok(Self { home, server, sign_in })
    }

    /// Signs in with what the password gives, and keeps it on this device.
    pub(crate) fn open(
        home: Home,
        server: Server,
        username: &str,
        keys: &LoginKeys,
        kdf: KdfParams,
    ) -> Result<Self, Failure> {
        let before = file::read(&home)?;
        let is_same = |it: &SignIn| it.server == *server.address() && it.username == username;
        let device_token = before.as_ref().filter(|it| is_same(it)).and_then(|it| it.device_token.as_ref());
        let request = TokenRequest {
            username,
            password: keys.login_secret().expose_secret(),
            device: platform::DEVICE,
            device_token: device_token.map(SecretString::expose_secret),
        };
        let reply: SignInReply = server.ask(&Call::new(Method::Post, "/auth/token").json(&request)?)?;
        let owner = SealedOwner { pubkey: reply.owner_pubkey, blob: reply.owner_blob, kdf };
        if owner.blob.is_some() {
            owner.open(keys)?;
        }
        let known = match before {
            Some(before) => {
                let is_same = is_same(&before);
                if is_same {
                    same_owner(&before, &owner)?;
                }
                end_before(&before);
                if is_same { before.keys } else { Vec::new() }
            }
            None => Vec::new(),
        };
        let session = Self {
            sign_in: SignIn {
                server: server.address().clone(),
                username: username.to_owned(),
                owner: Some(owner),
                device_token: Some(SecretString::from(reply.device_token)),
                tokens: Some(tokens(reply.tokens)),
                keys: known,
            },
            home,
            server,
        };
        session.keep()?;
        Ok(session)
    }

    /// The account's name.
    pub(crate) fn username(&self) -> &str {
        &self.sign_in.username
    }

    /// The server.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The folder of this device's files.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The account's owner key as the server names it.
    pub(crate) fn owner_pubkey(&self) -> Option<PublicKey> {
        self.sign_in.owner.as_ref().map(|owner| owner.pubkey)
    }

    /// Opens the owner key with the password that a person types or the environment has.
    pub(crate) fn unlock(&self) -> Result<Unlocked, Failure> {
        let owner = self.sign_in.owner.as_ref().ok_or_else(not_signed_in)?;
        let password = prompt::PASSWORD.ask(self.username())?;
        owner.unlock(&password)
    }

    /// Reads.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        self.authorised(|server, token| server.ask(&Call::new(Method::Get, path).token(token)))
    }

    /// Sends a request that is safe to repeat, as everything signed is. When its outcome is unknown it is sent
    /// once more.
    pub(crate) fn send<B: Serialize, T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        let mut attempt =
            || self.authorised(|server, token| server.ask(&Call::new(method, path).token(token).json(body)?));
        match attempt() {
            Err(failure) if failure.is_outcome_unknown() => attempt(),
            outcome => outcome,
        }
    }

    /// As [`Session::send`], where nothing has to be said.
    pub(crate) fn order<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let mut attempt = || self.authorised(|server, token| server.ask(&Call::new(Method::Post, path).token(token)));
        match attempt() {
            Err(failure) if failure.is_outcome_unknown() => attempt(),
            outcome => outcome,
        }
    }

    /// As [`Session::send`], for what must not be sent twice.
    pub(crate) fn send_once<B: Serialize, T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.authorised(|server, token| server.ask(&Call::new(method, path).token(token).json(body)?))
    }

    /// As [`Session::send`], where nothing is answered.
    pub(crate) fn tell<B: Serialize>(&mut self, method: Method, path: &str, body: Option<&B>) -> Result<(), Failure> {
        let mut attempt = || {
            self.authorised(|server, token| {
                let call = Call::new(method, path).token(token);
                server.tell(&match body {
                    Some(body) => call.json(body)?,
                    None => call,
                })
            })
        };
        match attempt() {
            Err(failure) if failure.is_outcome_unknown() => attempt(),
            outcome => outcome,
        }
    }

    /// As [`Session::tell`], for what must not be sent twice.
    pub(crate) fn tell_once<B: Serialize>(&mut self, method: Method, path: &str, body: &B) -> Result<(), Failure> {
        self.authorised(|server, token| server.tell(&Call::new(method, path).token(token).json(body)?))
    }

    /// Takes note that the server has ended this sign-in.
    pub(crate) fn signed_out(&mut self) -> Result<(), Failure> {
        self.sign_in.tokens = None;
        if let Some(owner) = &mut self.sign_in.owner {
            owner.blob = None;
        }
        self.keep()
    }

    /// Does what the server only lets somebody do who has just shown the password: shows it when it asks for it.
    pub(crate) fn sensitive<T>(
        &mut self,
        keys: &LoginKeys,
        mut ask: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match ask(self) {
            Err(failure) if failure.code() == "reauthentication_required" => {
                let shown = ReauthenticateRequest { password: keys.login_secret().expose_secret() };
                self.tell(Method::Post, "/auth/reauthenticate", Some(&shown))?;
                ask(self)
            }
            outcome => outcome,
        }
    }

    /// Keeps the owner key as it is sealed under a new password.
    pub(crate) fn reseal(&mut self, blob: String, kdf: KdfParams) -> Result<(), Failure> {
        if let Some(owner) = &mut self.sign_in.owner {
            owner.blob = Some(blob);
            owner.kdf = kdf;
        }
        self.keep()
    }

    /// Forgets an account that is gone.
    pub(crate) fn forget(mut self) -> Result<(), Failure> {
        self.sign_in.tokens = None;
        self.sign_in.owner = None;
        self.sign_in.device_token = None;
        self.sign_in.keys.clear();
        self.keep()
    }

    /// Forgets a key that is gone.
    pub(crate) fn forget_key(&mut self, group: &GroupId) -> Result<(), Failure> {
        self.sign_in.keys.retain(|known| known.group != *group);
        self.keep()
    }

    /// What this device knows about a key.
    pub(crate) fn known(&self, group: &GroupId) -> Option<&KnownKey> {
        self.sign_in.keys.iter().find(|key| key.group == *group)
    }

    /// Keeps what this device knows about a key.
    pub(crate) fn remember(&mut self, key: KnownKey) -> Result<(), Failure> {
        self.sign_in.keys.retain(|known| known.group != key.group);
        self.sign_in.keys.push(key);
        self.keep()
    }

    /// Keeps how far a key's activity was seen.
    pub(crate) fn remember_activity(&mut self, group: &GroupId, head: AuditHead) -> Result<(), Failure> {
        for key in &mut self.sign_in.keys {
            if key.group == *group {
                key.activity_seen = Some(head);
            }
        }
        self.keep()
    }

    /// Ends the sign-in here, and on the server if it can be reached; `false` when it can't.
    pub(crate) fn close(mut self) -> Result<bool, Failure> {
        let told = match &self.sign_in.tokens {
            Some(tokens) => self.server.tell(&Call::new(Method::Post, "/auth/logout").token(&tokens.refresh_token)),
            None => Ok(()),
        };
        self.signed_out()?;
        match told {
            Ok(()) => Ok(true),
            // A token that the server does not take any more is as good as ended.
            Err(failure) if failure.is_unauthorized() => Ok(true),
            Err(_) => Ok(false),
        }
    }

    fn authorised<T>(&mut self, ask: impl Fn(&Server, &SecretString) -> Result<T, Failure>) -> Result<T, Failure> {
        let is_stale = self.is_stale()?;
        if is_stale {
            self.renew()?;
        }
        match ask(&self.server, &self.tokens()?.access_token) {
            // Our clock may be wrong, or the server's keys new.
            Err(failure) if failure.is_unauthorized() && !is_stale => {
                self.renew()?;
                ask(&self.server, &self.tokens()?.access_token)
            }
            outcome => outcome,
        }
    }

    /// Gets new tokens: those that another process of this device has got meanwhile, or else from the server, which
    /// would take the use of an old refresh token for theft.
    fn renew(&mut self) -> Result<(), Failure> {
        if self.catch_up()? && !self.is_stale()? {
            return Ok(());
        }
        let refresh = &self.tokens()?.refresh_token;
        let call = Call::new(Method::Post, "/auth/refresh").token(refresh);
        let reply: TokenReply = self.server.ask(&call).map_err(|failure| {
            if failure.is_unauthorized() {
                Failure::stopped("signed_out", "This device's sign-in has ended. Sign in again: passport login")
            } else {
                failure
            }
        })?;
        self.sign_in.tokens = Some(tokens(reply));
        self.keep()
    }

    /// Takes the sign-in over as another process of this device has left it. `false` when none has.
    fn catch_up(&mut self) -> Result<bool, Failure> {
        let Some(now) = file::read(&self.home)? else { return Ok(false) };
        let is_same = now.server == self.sign_in.server && now.username == self.sign_in.username;
        let is_newer = now.tokens.is_some() && access_token(&now) != access_token(&self.sign_in);
        if is_same && is_newer {
            self.sign_in = now;
        }
        Ok(is_same && is_newer)
    }

    fn is_stale(&self) -> Result<bool, Failure> {
        Ok(self.tokens()?.access_expires_at_s <= platform::now_s().saturating_add(RENEW_BEFORE_S))
    }

    fn tokens(&self) -> Result<&Tokens, Failure> {
        self.sign_in.tokens.as_ref().ok_or_else(not_signed_in)
    }

    fn keep(&self) -> Result<(), Failure> {
        file::write(&self.home, &self.sign_in)
    }
}

/// The account that was last used on this device, signed in or not.
pub(crate) fn last_account(home: &Home) -> Result<Option<(Address, String)>, Failure> {
    Ok(file::read(home)?.map(|sign_in| (sign_in.server, sign_in.username)))
}

fn access_token(sign_in: &SignIn) -> Option<&str> {
    sign_in.tokens.as_ref().map(|tokens| tokens.access_token.expose_secret())
}

fn tokens(reply: TokenReply) -> Tokens {
    Tokens {
        access_expires_at_s: platform::now_s().saturating_add(reply.expires_in),
        access_token: SecretString::from(reply.access_token),
        refresh_token: SecretString::from(reply.refresh_token),
    }
}

/// The sign-in that is replaced would go on at its server. Best effort: it ends by itself within days.
fn end_before(before: &SignIn) {
    if let Some(tokens) = &before.tokens {
        let call = Call::new(Method::Post, "/auth/logout").token(&tokens.refresh_token);
        let _ = Server::new(before.server.clone()).tell(&call);
    }
}

/// The owner of an account does not change from one sign-in to the next.
fn same_owner(before: &SignIn, now: &SealedOwner) -> Result<(), Failure> {
    match &before.owner {
        Some(owner) if owner.pubkey != now.pubkey => Err(Failure::stopped(
            "owner_changed",
            "The server names another owner key for this account than before. Do not go on; ask whoever runs the server.",
        )),
        Some(_) | None => Ok(()),
    }
}

/// Nobody is signed in here.
pub(crate) fn not_signed_in() -> Failure {
    Failure::stopped("not_signed_in", "Nobody is signed in on this device. Use: passport login, or passport register")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    impl Session {
        /// One that never renews its tokens, for tests of what is asked with it.
        pub(crate) fn signed_in_for_test(folder: &Path, server: Address) -> Self {
            let sign_in = SignIn { server: server.clone(), ..sign_in("alice", "good", 900) };
            Self { home: Home::at(folder), server: Server::new(server), sign_in }
        }
    }

    fn sign_in(username: &str, token: &str, expires_in_s: u64) -> SignIn {
        let secret = |name: &str| SecretString::from(format!("{name} {token}"));
        SignIn {
            // Nobody listens there.
            server: "http://127.0.0.1:9".parse().unwrap(),
            username: username.into(),
            owner: None,
            device_token: None,
            tokens: Some(Tokens {
                access_token: secret("access"),
                access_expires_at_s: platform::now_s() + expires_in_s,
                refresh_token: secret("refresh"),
            }),
            keys: Vec::new(),
        }
    }

    #[test]
    fn a_process_that_runs_for_long_takes_the_tokens_that_another_one_got() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let session =
            |sign_in: SignIn| Session { home: home.clone(), server: Server::new(sign_in.server.clone()), sign_in };
        let used = |session: &mut Session| {
            session.authorised(|_, token| Ok(token.expose_secret().to_owned())).map_err(|it| it.code().to_owned())
        };
        let mut running = session(sign_in("alice", "old", 0));
        let unreachable = Err("server_unreachable".to_owned());
        assert_eq!(used(&mut running), unreachable, "nothing is on the disk");
        session(sign_in("alice", "old", 0)).keep().unwrap();
        assert_eq!(used(&mut running), unreachable, "nothing newer is on the disk");
        session(sign_in("bob", "new", 900)).keep().unwrap();
        assert_eq!(used(&mut running), unreachable, "somebody else has signed in");
        session(sign_in("alice", "new", 900)).keep().unwrap();
        assert_eq!(used(&mut running), Ok("access new".into()));
    }
}
