//! A Nostr app: its own key, one bunker URL, and what it can read of a reply.

use bunker_core::{
    event::Event,
    grant::ConnectionId,
    keys::{PublicKey, TransportSecret},
    nip44::{self, ConversationKey},
    nip46::{self, Response},
};

pub(crate) struct App {
    pub(crate) key: TransportSecret,
    /// The connection's public key, to which requests are addressed.
    pub(crate) transport: PublicKey,
    pub(crate) connection: ConnectionId,
    /// The secret of the bunker URL.
    pub(crate) secret: String,
}

impl App {
    pub(crate) fn pubkey(&self) -> PublicKey {
        self.key.public_key()
    }

    pub(crate) fn conversation(&self) -> ConversationKey {
        self.key.conversation_key(&self.transport).unwrap()
    }

    /// The JSON of a reply, after every check that a careful client makes.
    pub(crate) fn read_json(&self, reply: &Event) -> String {
        reply.verify().unwrap();
        assert_eq!(reply.kind, nip46::KIND);
        assert_eq!(reply.pubkey, self.transport);
        assert_eq!(reply.tags, vec![vec!["p".to_owned(), self.pubkey().to_hex()]]);
        nip44::decrypt(&self.conversation(), &reply.content).unwrap()
    }

    pub(crate) fn read(&self, reply: &Event) -> Response {
        Response::parse(&self.read_json(reply)).unwrap()
    }
}
