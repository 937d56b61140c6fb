//! One server-side holder in its object: the session machine's state, the opened share, and the store.
//!
//! [`Holder::commit`] is the only way from a step to the state: the store first, then memory. The share is opened
//! when the object wakes and lives in its memory only; the data key that sealed it stays with it, to open the
//! transport secrets of connections.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use bunker_core::{
    event::Event,
    grant::ConnectionId,
    keys::{PublicKey, TransportSecret},
    members::Members,
    nip44::ConversationKey,
    session::{HolderState, Mutation, Rules, Step},
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    group::{GroupPublic, HolderIndex, HolderRole},
    provision::{self, EXPORT_PURPOSE, ReceivingKey, SHARE_PURPOSE, TRANSPORT_PURPOSE},
    sealed::{Dek, Label, SealedBytes, SealedShare},
    share::KeyShare,
};
use worker::{Env, State};

use super::{
    party::PartySlot,
    problems::{bad_package, damaged, deleted, sealing},
    rpc::ShareOrigin,
    store::{Row, Store, StoreError},
};
use crate::{
    config::Config,
    hsm::{self, Hsm, WrappedDek},
    platform,
    problem::Problem,
};

/// How many holders of a hosted group act together: the bunker and one cosigner.
const HOSTED_THRESHOLD: u16 = 2;
/// Pause between two rounds of forgetting requests that can't come again, in seconds.
const FORGET_EVERY_S: u64 = 5 * 60;
/// How soon a decision is carried out that an eviction kept from it, in seconds.
const CARRY_OUT_AFTER_S: u64 = 5;

/// A holder that is awake.
pub(super) struct Holder {
    state: RefCell<HolderState>,
    share: RefCell<Rc<KeyShare>>,
    dek: Dek,
    store: Store,
    /// When to forget next, Unix seconds, and when the alarm is set to.
    forget_at_s: Cell<Option<u64>>,
    alarm_at_s: Cell<Option<u64>>,
    transports: RefCell<BTreeMap<ConnectionId, Rc<TransportSecret>>>,
    /// The key between each connection and the client that used it last.
    conversations: RefCell<BTreeMap<ConnectionId, (PublicKey, Rc<ConversationKey>)>>,
}

/// Holds the holder of an object while it is in memory.
#[derive(Default)]
pub(super) struct Slot(RefCell<Option<Rc<Holder>>>);

impl Slot {
    /// The holder, woken from the store if need be; `None` if the object was never provisioned.
    pub(super) async fn get(&self, object: &State, env: &Env, role: HolderRole) -> Result<Option<Rc<Holder>>, Problem> {
        if let Some(holder) = self.0.borrow().clone() {
            return Ok(Some(holder));
        }
        let woken = Holder::wake(object, env, role).await?;
        // Another request may have woken it during the wait; what that one changed must not be lost.
        let mut slot = self.0.borrow_mut();
        if slot.is_none() {
            *slot = woken.map(Rc::new);
        }
        Ok(slot.clone())
    }

    /// The same, where its absence is an error.
    pub(super) async fn require(&self, object: &State, env: &Env, role: HolderRole) -> Result<Rc<Holder>, Problem> {
        let absent = || Problem::not_found("There is no such identity here. Check its id.");
        self.get(object, env, role).await?.ok_or_else(absent)
    }

    /// Wipes the holder: its share, and everything that it knew. What is left is the owner's word that ended it, so that
    /// an old statement can't make it come back.
    pub(super) async fn wipe(
        &self,
        object: &State,
        holder: &Holder,
        mutations: &[Mutation],
        word: &Event,
    ) -> Result<(), Problem> {
        holder.store.wipe(word)?;
        // Requests in flight keep the holder until they end: they find it ended.
        holder.apply(mutations);
        self.0.borrow_mut().take();
        object.storage().delete_alarm().await.map_err(|error| Problem::internal(error.to_string()))
    }

    /// Becomes a holder by the owner's statement and the share that came with it or out of a ceremony. Again is no
    /// error.
    pub(super) async fn provision(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        statement: &Statement,
        origin: &ShareOrigin,
        party: &PartySlot,
    ) -> Result<Rc<Holder>, Problem> {
        let existing = self.get(object, env, role).await?;
        let holder = match existing {
            Some(holder) => holder,
            None => {
                let made_of = made_by(statement)?;
                let created = |share: KeyShare| {
                    let (state, mutations) = HolderState::create(statement, share.index(), platform::now_ms())?;
                    Ok::<_, Problem>((state, mutations, share))
                };
                let new = match origin {
                    ShareOrigin::Package(package) => {
                        let index = index_of(made_of.0, role)?;
                        created(opened(&*config(env)?, role, statement, index, package)?)?
                    }
                    ShareOrigin::Ceremony(ceremony) => {
                        index_of(made_of.0, role)?;
                        created(party.share(object, env, role, ceremony, statement.owner(), made_of).await?)?
                    }
                    ShareOrigin::Renewal(induction) => party.inducted(object, env, role, statement, induction).await?,
                };
                let made = Holder::make(object, env, role, new).await?;
                let mut slot = self.0.borrow_mut();
                match &*slot {
                    // Two deliveries at once: the one that stored first stands.
                    Some(first) => first.clone(),
                    None => {
                        let (holder, mutations, rows) = made;
                        holder.store.commit(&mutations, rows)?;
                        party.wipe(object)?;
                        slot.insert(Rc::new(holder)).clone()
                    }
                }
            }
        };
        let is_same = holder.state().identity().statement.id == *statement.id();
        if is_same { Ok(holder) } else { Err(group_exists()) }
    }
}

impl Holder {
    async fn wake(object: &State, env: &Env, role: HolderRole) -> Result<Option<Self>, Problem> {
        let config = config(env)?;
        let store = Store::open(object)?;
        if store.was_deleted()? {
            return Err(deleted());
        }
        let Some(sealed) = store.share()? else { return Ok(None) };
        let wrapped = WrappedDek { kek_id: sealed.kek_id.clone(), wrapped: sealed.wrapped_dek.clone() };
        let dek = hsm::for_holder(&config, role)?.unwrap_dek(&wrapped).await?;
        // Read after the wait, which may have let others in.
        let state = store.load()?;
        let identity = state.identity();
        let share = sealed.open(&dek, &identity.public, identity.holder).map_err(damaged)?;
        Ok(Some(Self::new(state, share, dek, store)))
    }

    async fn make(
        object: &State,
        env: &Env,
        role: HolderRole,
        (state, mutations, share): (HolderState, Vec<Mutation>, KeyShare),
    ) -> Result<(Self, Vec<Mutation>, Vec<Row>), Problem> {
        let config = config(env)?;
        let mut rng = platform::rng();
        let dek = Dek::generate(&mut rng);
        let wrapped = hsm::for_holder(&config, role)?.wrap_dek(&dek, &mut rng).await?;
        let sealed = SealedShare::seal(&share, &dek, wrapped.kek_id, wrapped.wrapped, &mut rng).map_err(sealing)?;
        let rows = vec![Row::identity(state.identity()), Row::share(&sealed)];
        Ok((Self::new(state, share, dek, Store::open(object)?), mutations, rows))
    }

    fn new(state: HolderState, share: KeyShare, dek: Dek, store: Store) -> Self {
        Self {
            state: RefCell::new(state),
            share: RefCell::new(Rc::new(share)),
            dek,
            store,
            forget_at_s: Cell::default(),
            alarm_at_s: Cell::default(),
            transports: RefCell::default(),
            conversations: RefCell::default(),
        }
    }

    /// The machine's state. Don't hold the borrow across an await or a commit.
    pub(super) fn state(&self) -> std::cell::Ref<'_, HolderState> {
        self.state.borrow()
    }

    /// The opened share of the present epoch. An operation goes on with the one that it began with.
    pub(super) fn share(&self) -> Rc<KeyShare> {
        self.share.borrow().clone()
    }

    /// What was stored.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Commits one step: the store first, and only then the state in memory. Nothing is written behind the owner's
    /// deletion.
    pub(super) fn commit(&self, mutations: &[Mutation], sealed: Vec<Row>) -> Result<(), StoreError> {
        if self.is_deleted() {
            return Err(StoreError::Deleted);
        }
        #[cfg(feature = "fault-injection")]
        super::faults::storage()?;
        self.store.commit(mutations, sealed)?;
        self.apply(mutations);
        Ok(())
    }

    /// Whether the owner deleted the identity while this request was under way.
    pub(super) fn is_deleted(&self) -> bool {
        self.state().deleted().is_some()
    }

    fn apply(&self, mutations: &[Mutation]) {
        let mut state: RefMut<'_, HolderState> = self.state.borrow_mut();
        mutations.iter().for_each(|mutation| state.apply(mutation));
    }

    /// Applies an owner statement; with a grant comes the connection's transport secret, if this holder gets it.
    pub(super) fn deliver(
        &self,
        env: &Env,
        statement: &Statement,
        transport: Option<&str>,
    ) -> Result<Vec<Mutation>, Problem> {
        let mutations = self.state().deliver(statement, rules(&*config(env)?), platform::now_ms())?;
        if mutations.is_empty() {
            return Ok(mutations);
        }
        let sealed = match (statement.verb(), transport) {
            (Verb::Grant(grant), Some(package)) => {
                let secret = receiving_key(&*config(env)?, HolderRole::Bunker)?
                    .open(TRANSPORT_PURPOSE, statement.id().as_bytes(), package)
                    .map_err(bad_package)?;
                let secret = secret.into_fixed().ok_or_else(|| bad_package("a transport secret has 32 bytes"))?;
                let secret = TransportSecret::from_secret(&secret).map_err(bad_package)?;
                if secret.public_key() != grant.transport_pubkey {
                    return Err(Problem::invalid(
                        "transport_invalid",
                        "The transport secret is not that of the grant.",
                    ));
                }
                vec![self.seal_transport(&grant.connection, &secret)?]
            }
            _ => Vec::new(),
        };
        self.commit(&mutations, sealed)?;
        Ok(mutations)
    }

    /// A connection's transport secret, opened once and kept while the object is awake.
    pub(super) fn transport(&self, connection: &ConnectionId) -> Result<Rc<TransportSecret>, Problem> {
        if let Some(secret) = self.transports.borrow().get(connection) {
            return Ok(secret.clone());
        }
        let sealed = self.store.transport(connection)?;
        let sealed = sealed.ok_or_else(|| damaged("a connection has no transport secret"))?;
        let secret = sealed.open(&self.dek, &self.transport_label(connection)).map_err(damaged)?;
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

    /// Sets the alarm to what is due next: a request whose owner did not answer, or forgetting what is past.
    pub(super) async fn schedule(&self, object: &State) -> worker::Result<()> {
        let now_s = platform::now_s();
        let due_s = {
            let state = self.state();
            let waiting = state.pending().map(|it| match state.decision(&it.event.id) {
                Some(_) => it.expires_at_s.min(now_s + CARRY_OUT_AFTER_S),
                None => it.expires_at_s,
            });
            if !state.remembers_requests() {
                self.forget_at_s.set(None);
            } else if self.forget_at_s.get().is_none() {
                self.forget_at_s.set(Some(now_s + FORGET_EVERY_S));
            }
            waiting.chain(self.forget_at_s.get()).min()
        };
        let Some(due_s) = due_s else { return Ok(()) };
        if self.alarm_at_s.get().is_none_or(|at_s| due_s < at_s) {
            self.alarm_at_s.set(Some(due_s));
            object.storage().set_alarm(Duration::from_secs(due_s.saturating_sub(now_s))).await?;
        }
        Ok(())
    }

    /// The alarm rang: none is set now.
    pub(super) fn alarm_rang(&self) {
        self.alarm_at_s.set(None);
        self.forget_at_s.set(None);
    }

    /// Forgets what can't come again.
    pub(super) fn forget(&self) -> Result<(), Problem> {
        let mutations = self.state().forget_expired(platform::now_s());
        Ok(self.commit(&mutations, Vec::new())?)
    }

    /// Checks a statement that ends this holder; it is wiped only when every other one is.
    pub(super) fn deletion(&self, env: &Env, statement: &Statement) -> Result<Vec<Mutation>, Problem> {
        Ok(self.state().deliver(statement, rules(&*config(env)?), platform::now_ms())?)
    }

    /// Seals the share to the device of an export whose delay is over, with the record of it committed first.
    pub(super) fn release(&self) -> Result<(Event, String), Problem> {
        let Step { mutations, effect: export } = self.state().release_export(platform::now_ms())?;
        self.commit(&mutations, Vec::new())?;
        let statement = export.statement().clone();
        let share = self.share();
        let aad = [statement.id.as_bytes().as_slice(), &share.index().get().to_be_bytes()].concat();
        let share = share.expose_signing_share();
        let sealed =
            provision::seal(export.receiver(), EXPORT_PURPOSE, &aad, share.expose_secret(), &mut platform::rng());
        let package = sealed.map_err(|error| Problem::internal(error.to_string()))?;
        Ok((statement, package))
    }

    /// Ends the present epoch: the new share in place of the old one, and with it everything that says so. Without a
    /// wait, so that both are written or neither.
    pub(super) fn enter_epoch(&self, share: KeyShare, mutations: &[Mutation]) -> Result<(), Problem> {
        #[cfg(feature = "fault-injection")]
        super::faults::change_over()?;
        let SealedShare { kek_id, wrapped_dek, .. } =
            self.store.share()?.ok_or_else(|| damaged("no share is stored"))?;
        let sealed = SealedShare::seal(&share, &self.dek, kek_id, wrapped_dek, &mut platform::rng());
        self.commit(mutations, vec![Row::share(&sealed.map_err(sealing)?)])?;
        *self.share.borrow_mut() = Rc::new(share);
        Ok(())
    }

    fn seal_transport(&self, connection: &ConnectionId, secret: &TransportSecret) -> Result<Row, Problem> {
        let label = self.transport_label(connection);
        let plaintext = secret.expose_secret();
        let sealed = SealedBytes::seal(&self.dek, &label, plaintext.expose_secret(), &mut platform::rng());
        Ok(Row::transport(connection, &sealed.map_err(sealing)?))
    }

    fn transport_label<'a>(&self, connection: &'a ConnectionId) -> Label<'a> {
        let share = self.share();
        Label { group: share.group().group, holder: share.index(), purpose: "transport", id: connection.as_bytes() }
    }
}

/// The configuration, or why this deployment does nothing.
pub(super) fn config(env: &Env) -> Result<std::sync::Arc<Config>, Problem> {
    Config::from_env(env).map_err(|error| error.to_problem())
}

/// What the deployment adds to what the owner says.
fn rules(config: &Config) -> Rules {
    Rules { export_delay_ms: config.export_delay_ms }
}

/// The id is taken.
pub(super) fn group_exists() -> Problem {
    Problem::new(409, "group_exists", "A group with this id exists. Make a new id.")
}

fn made_by(statement: &Statement) -> Result<(&GroupPublic, &Members), Problem> {
    match statement.verb() {
        Verb::CreateGroup { public, members } => Ok((public, members)),
        _ => Err(Problem::invalid("statement_invalid", "A group is made by a create_group statement.")),
    }
}

/// The share that the owner's device sealed to this holder.
fn opened(
    config: &Config,
    role: HolderRole,
    statement: &Statement,
    index: HolderIndex,
    package: &str,
) -> Result<KeyShare, Problem> {
    let mut aad = statement.id().as_bytes().to_vec();
    aad.extend(index.get().to_be_bytes());
    let secret = receiving_key(config, role)?.open(SHARE_PURPOSE, &aad, package).map_err(bad_package)?;
    let secret = secret.into_fixed().ok_or_else(|| bad_package("a share has 32 bytes"))?;
    KeyShare::new(made_by(statement)?.0, index, secret).map_err(|error| {
        Problem::invalid("share_invalid", format!("The {role}'s share does not fit the statement: {error}"))
    })
}

fn receiving_key(config: &Config, role: HolderRole) -> Result<ReceivingKey, Problem> {
    let secret = config.receiving_secret(role).ok_or_else(|| Problem::internal("no receiving key for this role"))?;
    ReceivingKey::from_secret(secret).map_err(|error| Problem::internal(error.to_string()))
}

/// The one holder of a group that has this role. The bunker acts with one cosigner, or with as many devices as it takes.
fn index_of(public: &GroupPublic, role: HolderRole) -> Result<HolderIndex, Problem> {
    let is_hosted = public.holders.iter().any(|holder| holder.role == HolderRole::Cosigner);
    let mut holders = public.holders.iter().filter(|holder| holder.role == role);
    match (holders.next(), holders.next()) {
        (Some(holder), None) if !is_hosted || public.threshold == HOSTED_THRESHOLD => Ok(holder.index),
        _ => Err(Problem::invalid(
            "custody_unsupported",
            "This server has one share of a group for its bunker, and acts with one cosigner, 2-of-n, or with devices. \
             Share the key that way.",
        )),
    }
}
