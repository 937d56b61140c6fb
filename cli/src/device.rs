//! What this device does with keys: it splits them, seals each share to its holder, and makes the key pair and the
//! secret of a connection. Pure: the network is elsewhere.

use bunker_core::{
    event::Event,
    grant::{ConnectionId, Grant, SecretHash},
    keys::{PublicKey, TransportSecret},
    nip19,
    policy::Policy,
    statement::Verb,
    uri::{BunkerUri, ConnectionSecret},
};
use frost_wasm_core::{
    frost::keygen,
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    provision::{self, ReceivingPublic, SHARE_PURPOSE, TRANSPORT_PURPOSE},
    secret::{Secret32, SecretString},
    share::KeyShare,
};

use crate::{
    failure::Failure,
    owner::OwnerKey,
    platform,
    wire::{HolderList, SharePackages},
};

/// Hosted custody: any two of bunker, cosigner and recovery kit.
const THRESHOLD: u16 = 2;
const BUNKER: u16 = 1;
const COSIGNER: u16 = 2;
const RECOVERY: u16 = 3;

/// A group's first statement.
const FIRST_SEQ: u64 = 1;

/// Highest sequence number taken from a server: 2^53 - 1, the last that every JSON reader has exactly.
const SEQ_MAX: u64 = (1 << 53) - 1;

/// The server-side holders' receiving keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holders {
    bunker: ReceivingPublic,
    cosigner: ReceivingPublic,
}

impl Holders {
    /// Takes the server's list: exactly a bunker (1) and a cosigner (2), with two different keys. With one key for
    /// both, whoever has it would have the whole Nostr key.
    pub(crate) fn from_list(list: &HolderList) -> Result<Self, Failure> {
        let key = |role, index| {
            let mut matching = list.holders.iter().filter(|holder| holder.role == role);
            match (matching.next(), matching.next()) {
                (Some(one), None) if one.index.get() == index => Some(one.receiving_key),
                (Some(_) | None, _) => None,
            }
        };
        let bunker = key(HolderRole::Bunker, BUNKER);
        let cosigner = key(HolderRole::Cosigner, COSIGNER);
        match (bunker, cosigner) {
            (Some(bunker), Some(cosigner)) if bunker != cosigner => Ok(Self { bunker, cosigner }),
            (Some(_), Some(_)) => Err(Failure::stopped(
                "holders_not_separate",
                "The server's two holders have the same key, so one of them would get the whole of yours. Nothing was sent.",
            )),
            (Some(_) | None, _) => Err(Failure::stopped(
                "holders_unsupported",
                "The server does not have the two holders that this client splits keys for.",
            )),
        }
    }
}

/// A key that was split, ready to be handed out.
pub(crate) struct SplitKey {
    /// The public facts.
    pub(crate) public: GroupPublic,
    /// The owner's `create_group` statement.
    pub(crate) statement: Event,
    /// The shares of the server-side holders, sealed.
    pub(crate) packages: SharePackages,
    /// The share for the recovery kit.
    pub(crate) recovery: KeyShare,
}

/// Splits a whole key. It is wiped when this returns; what is left of it are the shares.
pub(crate) fn split(secret: Secret32, owner: &OwnerKey, holders: &Holders) -> Result<SplitKey, Failure> {
    let mut rng = platform::rng();
    let failed = |why: String| Failure::stopped("key_not_split", format!("The key was not split: {why}."));
    let parties = [
        (index(BUNKER)?, HolderRole::Bunker),
        (index(COSIGNER)?, HolderRole::Cosigner),
        (index(RECOVERY)?, HolderRole::Recovery),
    ];
    let group = GroupId::random(&mut rng);
    let (public, shares) =
        keygen::split(secret, group, &parties, THRESHOLD, &mut rng).map_err(|error| failed(error.to_string()))?;
    let [bunker, cosigner, recovery] =
        <[KeyShare; 3]>::try_from(shares).map_err(|_| failed("it did not come out in three shares".into()))?;
    let statement = owner.sign(group, FIRST_SEQ, &Verb::CreateGroup(public.clone()))?;
    let mut seal = |to: &ReceivingPublic, share: &KeyShare| {
        let aad = [statement.id.as_bytes().as_slice(), &share.index().get().to_be_bytes()].concat();
        let share = share.expose_signing_share();
        provision::seal(to, SHARE_PURPOSE, &aad, share.expose_secret(), &mut rng)
            .map_err(|error| failed(error.to_string()))
    };
    let packages =
        SharePackages { bunker: seal(&holders.bunker, &bunker)?, cosigner: seal(&holders.cosigner, &cosigner)? };
    Ok(SplitKey { public, statement, packages, recovery })
}

/// The `npub1…` of the key that a secret belongs to.
pub(crate) fn npub_of(secret: &Secret32) -> Result<String, Failure> {
    // An ordinary key pair, dropped at once: this is how its public half is learnt before the split.
    TransportSecret::from_secret(secret)
        .map(|pair| nip19::encode_npub(&pair.public_key()))
        .map_err(|error| Failure::stopped("not_a_secret_key", format!("{error}.")))
}

/// A connection that was made, ready to be granted.
pub(crate) struct NewConnection {
    /// Its id.
    pub(crate) id: ConnectionId,
    /// The owner's `grant` statement.
    pub(crate) statement: Event,
    /// The transport secret, sealed to the bunker.
    pub(crate) transport: String,
    transport_pubkey: PublicKey,
    secret: ConnectionSecret,
}

/// What a connection is to be.
pub(crate) struct Wish {
    /// The person's name for the app.
    pub(crate) label: String,
    /// What it may do.
    pub(crate) policy: Policy,
    /// Unix seconds; none is without end.
    pub(crate) expires_at: Option<u64>,
}

/// Makes a connection's id, key pair and secret, and signs the grant.
pub(crate) fn connection(
    wish: &Wish,
    group: GroupId,
    last_seq: u64,
    owner: &OwnerKey,
    holders: &Holders,
) -> Result<NewConnection, Failure> {
    let mut rng = platform::rng();
    let id = ConnectionId::from_bytes(platform::random_bytes());
    let pair = TransportSecret::random(&mut rng);
    let secret = ConnectionSecret::random(&mut rng);
    let grant = Grant {
        connection: id,
        transport_pubkey: pair.public_key(),
        secret_sha256: SecretHash::of(secret.expose_secret()),
        label: wish.label.clone(),
        policy: wish.policy.clone(),
        expires_at: wish.expires_at,
        auth_url: true,
    };
    let statement = owner.sign(group, next_seq(last_seq)?, &Verb::Grant(grant))?;
    let transport = provision::seal(
        &holders.bunker,
        TRANSPORT_PURPOSE,
        statement.id.as_bytes(),
        pair.expose_secret().expose_secret(),
        &mut rng,
    )
    .map_err(|error| Failure::stopped("connection_not_made", format!("{error}.")))?;
    Ok(NewConnection { id, statement, transport, transport_pubkey: pair.public_key(), secret })
}

impl NewConnection {
    /// The whole link, out of the server's half. Refuses a link to another key than ours, or with a secret that is
    /// not ours: the app would talk to somebody else.
    pub(crate) fn link(self, bunker_url: &str) -> Result<SecretString, Failure> {
        let uri: BunkerUri = bunker_url.parse().map_err(|_| self.wrong_link())?;
        if uri.remote_signer != self.transport_pubkey || uri.secret.is_some() {
            return Err(self.wrong_link());
        }
        Ok(BunkerUri { secret: Some(self.secret), ..uri }.expose_with_secret())
    }

    fn wrong_link(&self) -> Failure {
        Failure::stopped(
            "wrong_link",
            format!(
                "The server answered with a link to another key than the one made here. The link is not shown; \
                 end the connection with: passport revoke {}",
                self.id
            ),
        )
    }
}

/// The number of the statement that follows.
pub(crate) fn next_seq(last_seq: u64) -> Result<u64, Failure> {
    last_seq.checked_add(1).filter(|seq| *seq <= SEQ_MAX).ok_or_else(|| {
        Failure::stopped("sequence_exhausted", "The server names an impossible last statement. Nothing was signed.")
    })
}

fn index(number: u16) -> Result<HolderIndex, Failure> {
    HolderIndex::new(number).map_err(|error| Failure::stopped("key_not_split", format!("{error}.")))
}

#[cfg(test)]
mod tests {
    use bunker_core::statement::Statement;
    use frost_wasm_core::provision::ReceivingKey;

    use super::*;

    fn receiving(byte: u8) -> ReceivingKey {
        ReceivingKey::from_secret(&Secret32::from_bytes([byte; 32])).unwrap()
    }

    fn holders() -> Holders {
        Holders { bunker: receiving(1).public(), cosigner: receiving(2).public() }
    }

    fn list(keys: [(&str, u16, u8); 2]) -> HolderList {
        let holders: Vec<_> = keys
            .into_iter()
            .map(|(role, index, byte)| {
                serde_json::json!({
                    "role": role, "index": index, "receiving_key": receiving(byte).public(),
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({ "holders": holders })).unwrap()
    }

    #[test]
    fn each_share_opens_with_its_holder_and_fits_the_group() {
        let secret = keygen::fresh_secret(&mut platform::rng());
        let npub = npub_of(&secret).unwrap();
        let split = split(secret, &OwnerKey::fresh(), &holders()).unwrap();
        let statement = Statement::verify(split.statement.clone()).unwrap();
        assert_eq!(statement.verb(), &Verb::CreateGroup(split.public.clone()));
        let pubkey = PublicKey::from_bytes(*split.public.pubkey.as_bytes());
        assert_eq!(nip19::encode_npub(&pubkey), npub);
        let packages = [&split.packages.bunker, &split.packages.cosigner];
        for (number, package) in (1..=2_u16).zip(packages) {
            let aad = [statement.id().as_bytes().as_slice(), &number.to_be_bytes()].concat();
            let key = receiving(u8::try_from(number).unwrap());
            let share = key.open(SHARE_PURPOSE, &aad, package).unwrap();
            let share = share.into_fixed().unwrap();
            KeyShare::new(&split.public, HolderIndex::new(number).unwrap(), share).unwrap();
            assert!(receiving(9).open(SHARE_PURPOSE, &aad, package).is_err());
        }
    }

    #[test]
    fn holders_that_are_one_and_the_same_get_nothing() {
        assert!(Holders::from_list(&list([("bunker", 1, 1), ("cosigner", 2, 2)])).is_ok());
        for (wrong, code) in [
            ([("bunker", 1, 1), ("cosigner", 2, 1)], "holders_not_separate"),
            ([("bunker", 2, 1), ("cosigner", 1, 2)], "holders_unsupported"),
            ([("bunker", 1, 1), ("bunker", 1, 2)], "holders_unsupported"),
            ([("bunker", 1, 1), ("device", 2, 2)], "holders_unsupported"),
        ] {
            let failure = Holders::from_list(&list(wrong)).unwrap_err();
            assert_eq!(failure.code(), code);
        }
    }

    fn made() -> NewConnection {
        let wish = Wish { label: "App".into(), policy: Policy::everything(), expires_at: None };
        let group = GroupId::from_bytes([7; 16]);
        connection(&wish, group, 4, &OwnerKey::fresh(), &holders()).unwrap()
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
    }

    #[test]
    fn a_link_to_another_key_or_with_another_secret_is_not_shown() {
        let other = OwnerKey::fresh().public_key();
        let relay = "relay=wss%3A%2F%2Frelay.example";
        let ours = made();
        let with_secret = format!("bunker://{}?{relay}&secret=0123456789abcdef0123456789abcdef", ours.transport_pubkey);
        assert_eq!(ours.link(&with_secret).unwrap_err().code(), "wrong_link");
        for url in [format!("bunker://{other}?{relay}"), "bunker://".into(), String::new()] {
            assert_eq!(made().link(&url).unwrap_err().code(), "wrong_link");
        }
    }

    #[test]
    fn an_impossible_sequence_number_is_not_signed() {
        assert_eq!(next_seq(0).unwrap(), 1);
        assert!(next_seq(SEQ_MAX).is_err());
        assert!(next_seq(u64::MAX).is_err());
    }
}
