//! Making a connection: its id, its transport key pair and its secret, of which servers learn the hash only.

use bunker_core::{
    event::Event,
    grant::{ConnectionId, Grant, SecretHash, Terms},
    keys::{PublicKey, TransportSecret},
    statement::Verb,
    uri::{BunkerUri, ConnectionSecret},
};
use frost_wasm_core::{
    group::GroupId,
    provision::{self, TRANSPORT_PURPOSE},
    secret::SecretString,
};
use rand_core::{CryptoRng, RngCore};

use crate::{Failure, holders::Holders, owner::OwnerKey};

/// A connection that was made, ready to be granted.
#[derive(Debug)]
pub struct NewConnection {
    /// Its id.
    pub id: ConnectionId,
    /// The owner's `grant` statement.
    pub statement: Event,
    /// The transport secret, sealed to the bunker.
    pub transport: String,
    transport_pubkey: PublicKey,
    secret: ConnectionSecret,
}

/// Makes a connection's id, key pair and secret, and signs the grant.
pub fn connection<R: RngCore + CryptoRng>(
    terms: &Terms,
    group: GroupId,
    seq: u64,
    owner: &OwnerKey,
    holders: &Holders,
    now_s: u64,
    rng: &mut R,
) -> Result<NewConnection, Failure> {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let id = ConnectionId::from_bytes(id);
    let pair = TransportSecret::random(rng);
    let secret = ConnectionSecret::random(rng);
    let Terms { label, policy, expires_at, auth_url } = terms.clone();
    let grant = Grant {
        connection: id,
        transport_pubkey: pair.public_key(),
        secret_sha256: SecretHash::of(secret.expose_secret()),
        label,
        policy,
        expires_at,
        auth_url,
    };
    let statement = owner.sign(group, seq, &Verb::Grant(grant), now_s, rng)?;
    let transport = provision::seal(
        &holders.bunker.receiving,
        TRANSPORT_PURPOSE,
        statement.id.as_bytes(),
        pair.expose_secret().expose_secret(),
        rng,
    )
    .map_err(|error| Failure::new("connection_not_made", format!("The connection was not made: {error}.")))?;
    Ok(NewConnection { id, statement, transport, transport_pubkey: pair.public_key(), secret })
}

impl NewConnection {
    /// What the app has to show when it connects.
    #[must_use]
    pub fn secret(&self) -> &ConnectionSecret {
        &self.secret
    }

    /// The whole link, out of the server's half. Refuses a link to another key than ours, or with a secret that is
    /// not ours: the app would talk to somebody else.
    pub fn link(self, bunker_url: &str) -> Result<SecretString, Failure> {
        let uri: BunkerUri = bunker_url.parse().map_err(|_| self.wrong_link())?;
        if uri.remote_signer != self.transport_pubkey || uri.secret.is_some() {
            return Err(self.wrong_link());
        }
        Ok(BunkerUri { secret: Some(self.secret), ..uri }.expose_with_secret())
    }

    fn wrong_link(&self) -> Failure {
        Failure::new(
            "wrong_link",
            format!(
                "The server answered with a link to another key than the one made here. The link is not shown; \
                 revoke the connection {}.",
                self.id
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use bunker_core::{policy::Policy, statement::Statement};

    use super::*;
    use crate::{
        holders::tests::{holders, receiving},
        tests::{NOW_S, rng},
    };

    fn made() -> NewConnection {
        let mut rng = rng(1);
        let terms = Terms { label: "App".into(), policy: Policy::everything(), expires_at: None, auth_url: false };
        let owner = OwnerKey::fresh(&mut rng);
        connection(&terms, GroupId::from_bytes([7; 16]), 5, &owner, &holders(), NOW_S, &mut rng).unwrap()
    }

    #[test]
    fn a_link_names_our_key_and_carries_our_secret() {
        let made = made();
        let statement = Statement::verify(made.statement.clone()).unwrap();
        assert_eq!(statement.seq(), 5);
        let key = made.transport_pubkey;
        let opened = receiving(1).open(TRANSPORT_PURPOSE, statement.id().as_bytes(), &made.transport).unwrap();
        let pair = TransportSecret::from_secret(&opened.into_fixed().unwrap()).unwrap();
        assert_eq!(pair.public_key(), key);
        let url = format!("bunker://{key}?relay=wss%3A%2F%2Frelay.example%2Frelay%2Fab");
        let link = made.link(&url).unwrap();
        let (half, secret) = link.expose_secret().split_once("&secret=").unwrap();
        assert_eq!(half, url);
        assert_eq!(secret.len(), 32);
        let Verb::Grant(grant) = statement.verb() else {
            panic!("no grant");
        };
        assert_eq!(grant.secret_sha256, SecretHash::of(secret));
        assert!(!grant.auth_url);
    }

    #[test]
    fn a_link_to_another_key_or_with_another_secret_is_not_shown() {
        let other = OwnerKey::fresh(&mut rng(9)).public_key();
        let relay = "relay=wss%3A%2F%2Frelay.example";
        let ours = made();
        let with_secret = format!("bunker://{}?{relay}&secret=0123456789abcdef0123456789abcdef", ours.transport_pubkey);
        assert_eq!(ours.link(&with_secret).unwrap_err().code(), "wrong_link");
        for url in [format!("bunker://{other}?{relay}"), "bunker://".into(), String::new()] {
            assert_eq!(made().link(&url).unwrap_err().code(), "wrong_link");
        }
    }
}
