//! What of a holder is secret and open: its share, the data key that sealed it, and the keys of its connections.
//!
//! It is opened when a share is to be used, lives in the object's memory for a bounded time, and goes as a whole: when
//! that time is over, and at once when the deployment or the account is sealed. What a holder knows beside it (its
//! owner's statements, its record) needs no key, so revoking and reading go on under a seal.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use bunker_core::{
    grant::ConnectionId,
    keys::{PublicKey, TransportSecret},
    nip44::ConversationKey,
};
use frost_wasm_core::{
    sealed::{Dek, Label, SealedBytes, SealedShare},
    share::KeyShare,
};

use super::{
    problems::{damaged, sealing},
    store::{Row, Store},
};
use crate::{platform, problem::Problem};

/// The open keys of one holder.
pub(super) struct Opened {
    share: RefCell<Rc<KeyShare>>,
    dek: Dek,
    /// When it is to be closed, Unix milliseconds.
    until_ms: u64,
    transports: RefCell<BTreeMap<ConnectionId, Rc<TransportSecret>>>,
    /// The key between each connection and the client that used it last.
    conversations: RefCell<BTreeMap<ConnectionId, (PublicKey, Rc<ConversationKey>)>>,
}

impl Opened {
    pub(super) fn new(share: KeyShare, dek: Dek, until_ms: u64) -> Self {
        Self {
            share: RefCell::new(Rc::new(share)),
            dek,
            until_ms,
            transports: RefCell::default(),
            conversations: RefCell::default(),
        }
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms
    }

    /// The share of the present epoch. An operation goes on with the one that it began with.
    pub(super) fn share(&self) -> Rc<KeyShare> {
        self.share.borrow().clone()
    }

    /// Goes on with the share of the next epoch.
    pub(super) fn replace(&self, share: KeyShare) {
        *self.share.borrow_mut() = Rc::new(share);
    }

    /// Seals the share that follows under the same data key, whose wrapping stays as it is.
    pub(super) fn seal_next(&self, share: &KeyShare, present: SealedShare) -> Result<SealedShare, Problem> {
        let SealedShare { kek_id, wrapped_dek, .. } = present;
        SealedShare::seal(share, &self.dek, kek_id, wrapped_dek, &mut platform::rng()).map_err(sealing)
    }

    /// A connection's transport secret, opened once and kept.
    pub(super) fn transport(&self, store: &Store, connection: &ConnectionId) -> Result<Rc<TransportSecret>, Problem> {
        if let Some(secret) = self.transports.borrow().get(connection) {
            return Ok(secret.clone());
        }
        let sealed = store.transport(connection)?;
        let sealed = sealed.ok_or_else(|| damaged("a connection has no transport secret"))?;
        let secret = sealed.open(&self.dek, &self.label(connection)).map_err(damaged)?;
        let secret = secret.into_fixed().ok_or_else(|| damaged("a transport secret of another length"))?;
        let secret = Rc::new(TransportSecret::from_secret(&secret).map_err(damaged)?);
        self.transports.borrow_mut().insert(*connection, secret.clone());
        Ok(secret)
    }

    /// The key between a connection and a client.
    pub(super) fn conversation(
        &self,
        connection: &ConnectionId,
        transport: &TransportSecret,
        client: &PublicKey,
    ) -> Result<Rc<ConversationKey>, Problem> {
        if let Some((known, key)) = self.conversations.borrow().get(connection)
            && known == client
        {
            return Ok(key.clone());
        }
        let bad_key = |error| Problem::invalid("client_key_invalid", format!("The client's key is unusable: {error}"));
        let key = Rc::new(transport.conversation_key(client).map_err(bad_key)?);
        self.conversations.borrow_mut().insert(*connection, (*client, key.clone()));
        Ok(key)
    }

    /// Seals a connection's transport secret.
    pub(super) fn seal_transport(&self, connection: &ConnectionId, secret: &TransportSecret) -> Result<Row, Problem> {
        let plaintext = secret.expose_secret();
        let sealed =
            SealedBytes::seal(&self.dek, &self.label(connection), plaintext.expose_secret(), &mut platform::rng());
        Ok(Row::transport(connection, &sealed.map_err(sealing)?))
    }

    fn label<'a>(&self, connection: &'a ConnectionId) -> Label<'a> {
        let share = self.share();
        Label { group: share.group().group, holder: share.index(), purpose: "transport", id: connection.as_bytes() }
    }
}
