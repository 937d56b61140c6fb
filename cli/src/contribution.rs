//! This device's part in a request of a key in device custody, its person's own or a shared one: it judges what the server
//! offers, remembers what it saw (`devices/<group>.json`), and contributes with its share.

use std::fs::File;

use bunker_core::{
    event::Template,
    grant::ConnectionId,
    keys::{EventId, PublicKey},
    session::DeviceMemory,
};
use frost_wasm_core::{group::GroupId, share::KeyShare};
use passport_device::{
    contribution::{Contributed, Contributor, Nonces, Offer, ShownRequest, ShownTemplate},
    owner::OwnerKey,
};
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    home::Home,
    identity, platform,
    server::Method,
    session::Session,
    shares::{Shares, signers},
    store::{self, VERSION, name, written},
    wire::{ContributeReply, ContributeRequest, ContributionStatus, KeyView, RequestView},
};

/// How many offers are taken before giving up: another device may take one at the same time, or the server restart.
const OFFERS: u32 = 3;

/// The offer was made for what is not any more.
const OFFER_GONE: &str = "offer_gone";

/// What this device has of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The last of the contributions: the app has its answer.
    Answered,
    /// It has said what it can; others have to contribute, too.
    Given,
    /// None: as many others as have to be are at it. They may leave.
    Spare,
}

/// This device as a holder of a key.
pub(crate) struct DeviceShare {
    share: KeyShare,
    /// Whose statements count: the key's owner.
    authority: PublicKey,
    shares: Shares,
    memories: Memories,
    claims: Home,
}

/// A request that one process of this device is at.
pub(crate) struct Claim {
    home: Home,
    name: String,
    _held: File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // One that stays is of no harm: nobody holds it any more.
        let _ = self.home.remove(&self.name);
    }
}

/// What this device remembers of the apps that it contributed for.
struct Memories(Home);

#[derive(Default, Serialize, Deserialize)]
struct MemoryFile {
    v: u32,
    connections: Vec<DeviceMemory>,
}

impl DeviceShare {
    /// Opens this device's share of a key.
    pub(crate) fn open(session: &mut Session, key: &KeyView, owner: &OwnerKey) -> Result<Self, Failure> {
        let home = session.home().clone();
        let shares = Shares::of(&home);
        if shares.is_unsettled(&key.group)? {
            shares.settle(&identity::detail(session, key)?.public)?;
        }
        let sealed = shares.sealed(&key.group)?.ok_or_else(|| absent(&shares, key))?;
        let authority = sealed.authority(owner.public_key());
        let share = sealed.open_one(owner)?;
        let (memories, claims) = (Memories(home.inside("devices")), home.inside("contributing"));
        Ok(Self { share, authority, shares, memories, claims })
    }

    /// Keeps other processes of this device away from a request that others have to contribute to, too, until what is given
    /// is dropped: each would undo what the other said.
    ///
    /// # Errors
    /// `contributing_already` when another one is at it.
    pub(crate) fn claim(&self, request: &EventId) -> Result<Option<Claim>, Failure> {
        if signers(self.share.group()) < 2 {
            return Ok(None);
        }
        let (home, name) = (self.claims.clone(), format!("{request}.lock"));
        home.create(&name, b"")?;
        match home.hold(&name)? {
            Some(held) => Ok(Some(Claim { home, name, _held: held })),
            None => Err(Failure::stopped(
                "contributing_already",
                "Another passport on this device is at this request. Leave it running, or end it first.",
            )),
        }
    }

    /// Contributes to a request, if it is what was shown, as far as it is this device's turn. `nonces` are those of what
    /// it said before: they have to be there when it is called again.
    ///
    /// # Errors
    /// Why not; `no_such_request` when it does not wait any more.
    pub(crate) fn contribute(
        &self,
        session: &mut Session,
        owner: &OwnerKey,
        request: &RequestView,
        nonces: &mut Nonces,
    ) -> Result<Part, Failure> {
        let path = format!("/keys/{}/requests/{}", self.share.group().group, request.request);
        let holder = self.share.index();
        let has_others = signers(self.share.group()) > 1;
        let mut taken = 1;
        loop {
            let offer = match session.order(&format!("{path}/offer?holder={holder}")) {
                Ok(offer) => offer,
                Err(failure) if failure.code() == "already_contributed" => return Ok(Part::Given),
                Err(failure) if failure.code() == "enough_contributions" => return Ok(Part::Spare),
                Err(failure) => return Err(failure),
            };
            let Contributed { reply, round, .. } = self.answer(owner, request, &offer, nonces)?;
            let Some(reply) = &reply else { return Ok(Part::Given) };
            let contribution = ContributeRequest { reply, round };
            match session.send_once(Method::Post, &format!("{path}/contribution"), &contribution) {
                Ok(ContributeReply { request: named, status }) if named == request.request => {
                    return Ok(match status {
                        ContributionStatus::Answered => Part::Answered,
                        ContributionStatus::Waiting => Part::Given,
                    });
                }
                Ok(_) => {
                    return Err(Failure::stopped(
                        "not_decided",
                        "The server answers about another request. See: passport requests",
                    ));
                }
                Err(failure) if failure.code() == OFFER_GONE && taken < OFFERS => taken += 1,
                // The others were faster each time.
                Err(failure) if failure.code() == OFFER_GONE && has_others => return Ok(Part::Spare),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Judges an offer. What is to be remembered of it is on the disk before there is an answer.
    fn answer(
        &self,
        owner: &OwnerKey,
        request: &RequestView,
        offer: &Offer,
        nonces: &mut Nonces,
    ) -> Result<Contributed, Failure> {
        let group = &self.share.group().group;
        let _turn = self.shares.turn(group)?;
        let memory = self.memories.find(group, &request.connection)?;
        let (now_ms, rng) = (platform::now_ms(), &mut platform::rng());
        let device = Contributor { share: &self.share, own: owner, authority: self.authority };
        let mut own = nonces.take(&request.request);
        let made = device.contribute(&shown(request), offer, memory.as_ref(), &mut own, now_ms, rng);
        nonces.keep(request.request, own);
        let made = made?;
        self.memories.keep(group, made.memory)?;
        Ok(made)
    }
}

impl Memories {
    fn find(&self, group: &GroupId, connection: &ConnectionId) -> Result<Option<DeviceMemory>, Failure> {
        Ok(self.read(group)?.connections.into_iter().find(|it| it.connection == *connection))
    }

    /// In the place of what was remembered of the connection before.
    fn keep(&self, group: &GroupId, memory: DeviceMemory) -> Result<(), Failure> {
        let before = self.read(group)?.connections;
        if before.contains(&memory) {
            return Ok(());
        }
        let others = before.into_iter().filter(|it| it.connection != memory.connection);
        let file = MemoryFile { v: VERSION, connections: others.chain([memory]).collect() };
        self.0.replace(&name(group), &written(&file)?)
    }

    fn read(&self, group: &GroupId) -> Result<MemoryFile, Failure> {
        Ok(store::read(&self.0, &name(group))?.unwrap_or_default())
    }
}

/// Just what the person sees.
fn shown(request: &RequestView) -> ShownRequest {
    let template = |it: &Template| ShownTemplate {
        kind: it.kind,
        content: it.content.clone(),
        tags: it.tags.clone(),
        created_at: it.created_at,
    };
    ShownRequest {
        request: request.request,
        connection: request.connection,
        label: request.label.clone(),
        method: request.method.name().to_owned(),
        template: request.template.as_ref().map(template),
        peer: request.peer,
        plaintext: request.plaintext.clone(),
        ciphertext: request.ciphertext.clone(),
    }
}

fn absent(shares: &Shares, key: &KeyView) -> Failure {
    let lost = match key.owner {
        None => {
            "let this one take its place: passport key refresh --kit FILE; or, if you share the key, passport key people"
        }
        Some(_) => "the owner of the key can give you another: passport key people --anew",
    };
    Failure::stopped(
        "share_not_here",
        format!(
            "This device has no share of {}, and the server can't act without one. Answer on the device that has one; \
             or copy its file shares/{} to {}. If that device is lost, {lost}",
            key.npub,
            name(&key.group),
            shares.path(&key.group).display(),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device with a share of a key of the bunker and two people, so many of whom sign.
    fn device(home: &Home, signers: u16) -> DeviceShare {
        use frost_wasm_core::{
            frost::keygen,
            group::{HolderIndex, HolderRole},
            secret::Secret32,
        };
        let roles = [HolderRole::Bunker, HolderRole::Device, HolderRole::Device];
        let holders: Vec<_> = (1..).map(|it| HolderIndex::new(it).unwrap()).zip(roles).collect();
        let (secret, group) = (Secret32::from_bytes([7; 32]), GroupId::from_bytes([1; 16]));
        let (_, mut shares) = keygen::split(secret, group, &holders, signers + 1, &mut platform::rng()).unwrap();
        DeviceShare {
            share: shares.remove(1),
            authority: PublicKey::from_bytes([9; 32]),
            shares: Shares::of(home),
            memories: Memories(home.inside("devices")),
            claims: home.inside("contributing"),
        }
    }

    #[test]
    fn one_process_of_a_device_is_at_a_request_that_several_devices_sign() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (one, other) = (EventId::from_bytes([1; 32]), EventId::from_bytes([2; 32]));
        let device = device(&home, 2);
        let held = device.claim(&one).unwrap();
        assert!(held.is_some());
        assert_eq!(device.claim(&one).map(drop).unwrap_err().code(), "contributing_already");
        assert!(device.claim(&other).unwrap().is_some());
        drop(held);
        assert!(device.claim(&one).unwrap().is_some());
        assert_eq!(home.inside("contributing").names().unwrap(), [""; 0]);
        assert!(self::device(&home, 1).claim(&one).unwrap().is_none(), "one word is all it takes");
    }

    #[test]
    fn one_thing_is_remembered_of_each_connection_and_a_damaged_memory_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (memories, group) = (Memories(home.inside("devices")), GroupId::from_bytes([1; 16]));
        let memory = |connection, seq| DeviceMemory {
            connection: ConnectionId::from_bytes([connection; 16]),
            client: PublicKey::from_bytes([9; 32]),
            seq,
        };
        let found = |connection| memories.find(&group, &ConnectionId::from_bytes([connection; 16]));
        assert_eq!(found(1).unwrap(), None);
        for kept in [memory(1, 0), memory(2, 5), memory(1, 7), memory(1, 7)] {
            memories.keep(&group, kept).unwrap();
            assert_eq!(found(*kept.connection.as_bytes().first().unwrap()).unwrap(), Some(kept));
        }
        assert_eq!(memories.read(&group).unwrap().connections, [memory(2, 5), memory(1, 7)]);
        assert_eq!(memories.find(&GroupId::from_bytes([2; 16]), &memory(1, 7).connection).unwrap(), None);

        std::fs::write(home.inside("devices").path(&name(&group)), "{}").unwrap();
        assert_eq!(found(1).unwrap_err().code(), "file_damaged");
        assert_eq!(memories.keep(&group, memory(1, 0)).unwrap_err().code(), "file_damaged");
    }
}
