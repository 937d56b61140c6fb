//! One server-side holder in its object: the session machine's state, the store, and the keys while they are open.
//!
//! [`Holder::commit`] is the only way from a step to the state: the store first, then memory. The state needs no key,
//! so reading and revoking go on whatever happens to those; [`Holder::open`] is the only way to the share, asks for
//! the deployment's leave each time, and closes everything when that is refused.

use std::{
    cell::{Cell, RefCell, RefMut},
    rc::Rc,
    time::Duration,
};

use bunker_core::{
    audit::AuditRecord,
    event::Event,
    keys::TransportSecret,
    members::Members,
    session::{HolderState, Mutation, Rules, Step},
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    group::{GroupPublic, HolderIndex, HolderRole},
    provision::{self, EXPORT_PURPOSE, ReceivingKey, SHARE_PURPOSE, TRANSPORT_PURPOSE},
    sealed::{Dek, SealedShare},
    secret::Secret32,
    share::KeyShare,
};
use operations_core::ids::Blinded;
use serde_json::Value;
use tokio::sync::Semaphore;
use worker::{Env, State};

use super::{
    lease,
    opened::Opened,
    party::PartySlot,
    problems::{bad_package, damaged, deleted, sealing},
    rpc::ShareOrigin,
    sink::{self, Outbox},
    store::{Row, Store, StoreError},
};
use crate::{
    auth::keys::operators_key,
    config::Config,
    hsm::{self, Hsm, WrappedDek},
    platform,
    problem::Problem,
    telemetry,
};

/// How many holders of a hosted group act together: the bunker and one cosigner.
const HOSTED_THRESHOLD: u16 = 2;
/// Pause between two rounds of forgetting requests that can't come again, in seconds.
const FORGET_EVERY_S: u64 = 5 * 60;
/// How soon a decision is carried out that an eviction kept from it, in seconds.
const CARRY_OUT_AFTER_S: u64 = 5;
/// How soon what needs a key is tried again under a seal, in seconds.
const SEALED_AGAIN_AFTER_S: u64 = 30;

/// A holder that is awake.
pub(super) struct Holder {
    role: HolderRole,
    /// Blinds what leaves in records.
    blinding: Secret32,
    state: RefCell<HolderState>,
    store: Store,
    opened: RefCell<Option<Rc<Opened>>>,
    /// One unwraps, and the others who want the same wait for it: an app's burst asks the HSM once.
    opening: Semaphore,
    /// When to forget next, Unix seconds, and when the alarm is set to.
    forget_at_s: Cell<Option<u64>>,
    alarm_at_s: Cell<Option<u64>>,
}

/// Holds the holder of an object while it is in memory.
#[derive(Default)]
pub(super) struct Slot(RefCell<Option<Rc<Holder>>>);

impl Slot {
    /// The holder, woken from the store if need be; `None` if the object was never provisioned.
    pub(super) fn get(&self, object: &State, env: &Env, role: HolderRole) -> Result<Option<Rc<Holder>>, Problem> {
        let mut slot = self.0.borrow_mut();
        if slot.is_none() {
            *slot = Holder::wake(object, env, role)?.map(Rc::new);
        }
        Ok(slot.clone())
    }

    /// The same, where its absence is an error.
    pub(super) fn require(&self, object: &State, env: &Env, role: HolderRole) -> Result<Rc<Holder>, Problem> {
        let absent = || Problem::not_found("There is no such identity here. Check its id.");
        self.get(object, env, role)?.ok_or_else(absent)
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
        let holder = match self.get(object, env, role)? {
            Some(holder) => holder,
            None => {
                lease::judge(object, env, statement.owner()).await?;
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
                // A seal may have been closed meanwhile.
                lease::judge(object, env, statement.owner()).await?;
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
    fn wake(object: &State, env: &Env, role: HolderRole) -> Result<Option<Self>, Problem> {
        let store = Store::open(object)?;
        if store.was_deleted()? {
            return Err(deleted());
        }
        if store.share()?.is_none() {
            return Ok(None);
        }
        let state = store.load()?;
        Ok(Some(Self::new(&*config(env)?, role, state, store, None)))
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
        let opened = Opened::new(share, dek, platform::now_ms().saturating_add(config.dek_lifetime_ms));
        Ok((Self::new(&config, role, state, Store::open(object)?, Some(opened)), mutations, rows))
    }

    fn new(config: &Config, role: HolderRole, state: HolderState, store: Store, opened: Option<Opened>) -> Self {
        Self {
            role,
            blinding: operators_key(config),
            state: RefCell::new(state),
            store,
            opened: RefCell::new(opened.map(Rc::new)),
            opening: Semaphore::new(1),
            forget_at_s: Cell::default(),
            alarm_at_s: Cell::default(),
        }
    }

    /// The open keys, if the deployment lets them be used now; unwrapped if they are not open. Ask anew for each use,
    /// and after each wait.
    ///
    /// # Errors
    /// `sealed`, and everything is closed; or why the keys can't be opened.
    pub(super) async fn open(&self, object: &State, env: &Env) -> Result<Rc<Opened>, Problem> {
        self.judge(object, env).await?;
        if let Some(opened) = self.present() {
            return Ok(opened);
        }
        let _turn = self.opening.acquire().await.map_err(|error| Problem::internal(error.to_string()))?;
        // A seal may have been closed during each wait.
        self.judge(object, env).await?;
        if self.present().is_none() {
            self.unwrap(env).await?;
            self.judge(object, env).await?;
        }
        self.present().ok_or_else(|| Problem::unavailable("keys were closed while they were being opened"))
    }

    async fn unwrap(&self, env: &Env) -> Result<(), Problem> {
        let config = config(env)?;
        let SealedShare { kek_id, wrapped_dek: wrapped, .. } = self.sealed_share()?;
        let dek = hsm::for_holder(&config, self.role)?.unwrap_dek(&WrappedDek { kek_id, wrapped }).await?;
        // The wait let others in: the share may be of another epoch. The data key is the same.
        let share = {
            let state = self.state();
            let identity = state.identity();
            self.sealed_share()?.open(&dek, &identity.public, identity.holder).map_err(damaged)?
        };
        let opened = Opened::new(share, dek, platform::now_ms().saturating_add(config.dek_lifetime_ms));
        *self.opened.borrow_mut() = Some(Rc::new(opened));
        Ok(())
    }

    /// Whether the deployment lets this holder's keys be used now. When it does not, none stays open.
    ///
    /// # Errors
    /// `sealed`, or that nobody could be asked.
    pub(super) async fn judge(&self, object: &State, env: &Env) -> Result<(), Problem> {
        let owner = self.state().identity().owner;
        let judged = lease::judge(object, env, &owner).await;
        if judged.as_ref().is_err_and(lease::is_seal) {
            self.opened.borrow_mut().take();
        }
        judged
    }

    /// The open keys, unless their time is over.
    fn present(&self) -> Option<Rc<Opened>> {
        let mut opened = self.opened.borrow_mut();
        opened.take_if(|opened| opened.is_over(platform::now_ms()));
        opened.clone()
    }

    fn sealed_share(&self) -> Result<SealedShare, Problem> {
        if self.is_deleted() {
            return Err(deleted());
        }
        self.store.share()?.ok_or_else(|| damaged("no share is stored"))
    }

    /// The machine's state. Don't hold the borrow across an await or a commit.
    pub(super) fn state(&self) -> std::cell::Ref<'_, HolderState> {
        self.state.borrow()
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
        for mutation in mutations {
            if let Mutation::Audit(record) = mutation {
                telemetry::audited(&self.outside(record));
            }
        }
        Ok(())
    }

    /// Has the second place of audit records, where there is one, know everything up to now. Gives whether that took a
    /// wait, in which a seal may have been closed.
    ///
    /// # Errors
    /// `audit_unavailable`: then nothing may leave.
    pub(super) async fn hand_over(&self, env: &Env) -> Result<bool, Problem> {
        sink::hand_over(env, self).await
    }

    /// Wraps the data key under the present KEK, if it is not. What it seals stays as it is.
    pub(super) async fn rewrap(&self, env: &Env) -> Result<(), Problem> {
        let sealed = self.sealed_share()?;
        let hsm = hsm::for_holder(&*config(env)?, self.role)?;
        let Some(rewrapped) = hsm.rewrap(&sealed.kek_id, &sealed.wrapped_dek).await? else { return Ok(()) };
        // The wait let others in: the share may be of another epoch, and the data key is the same.
        let present = self.sealed_share()?;
        if present.wrapped_dek == sealed.wrapped_dek {
            let WrappedDek { kek_id, wrapped: wrapped_dek } = rewrapped;
            self.commit(&[], vec![Row::share(&SealedShare { kek_id, wrapped_dek, ..present })])?;
        }
        Ok(())
    }

    /// Asked before anything leaves that was made with a key: every place of records has to know of it, and no seal may
    /// have been closed in the time that this took.
    ///
    /// # Errors
    /// `audit_unavailable` or `sealed`: then it must not leave.
    pub(super) async fn before_release(&self, object: &State, env: &Env) -> Result<(), Problem> {
        if self.hand_over(env).await? {
            self.judge(object, env).await?;
        }
        Ok(())
    }

    /// A record as it leaves the object: with the group's name and other people's keys blinded.
    fn outside(&self, record: &AuditRecord) -> Value {
        let mut value = serde_json::to_value(record).unwrap_or_default();
        if let Some(peer) = value.pointer_mut("/entry/peer")
            && let Some(key) = peer.as_str()
        {
            *peer = self.blinded(key).into();
        }
        sink::line(self.role.as_str(), Some(&self.blinded(&self.state().group().to_string())), &value)
    }

    fn blinded(&self, text: &str) -> String {
        Blinded::of(&self.blinding, text).to_string()
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
        rules: Rules,
        transport: Option<(&str, &Opened)>,
    ) -> Result<Vec<Mutation>, Problem> {
        let mutations = self.state().deliver(statement, rules, platform::now_ms())?;
        if mutations.is_empty() {
            return Ok(mutations);
        }
        let sealed = match (statement.verb(), transport) {
            (Verb::Grant(grant), Some((package, opened))) => {
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
                vec![opened.seal_transport(&grant.connection, &secret)?]
            }
            _ => Vec::new(),
        };
        self.commit(&mutations, sealed)?;
        Ok(mutations)
    }

    /// Sets the alarm to what is due next: a request whose owner did not answer, or forgetting what is past.
    pub(super) async fn schedule(&self, object: &State) -> worker::Result<()> {
        self.schedule_from(object, 0).await
    }

    /// The same for a holder whose keys stay closed for a while: what is due needs them.
    pub(super) async fn schedule_sealed(&self, object: &State) -> worker::Result<()> {
        self.schedule_from(object, platform::now_s().saturating_add(SEALED_AGAIN_AFTER_S)).await
    }

    async fn schedule_from(&self, object: &State, earliest_s: u64) -> worker::Result<()> {
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
        let Some(due_s) = due_s.map(|due_s| due_s.max(earliest_s)) else { return Ok(()) };
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
    pub(super) fn deletion(&self, statement: &Statement, rules: Rules) -> Result<Vec<Mutation>, Problem> {
        Ok(self.state().deliver(statement, rules, platform::now_ms())?)
    }

    /// Seals the share to the device of an export whose delay is over, with the record of it committed first.
    pub(super) fn release(&self, opened: &Opened) -> Result<(Event, String), Problem> {
        let Step { mutations, effect: export } = self.state().release_export(platform::now_ms())?;
        self.commit(&mutations, Vec::new())?;
        let statement = export.statement().clone();
        let share = opened.share();
        let aad = [statement.id.as_bytes().as_slice(), &share.index().get().to_be_bytes()].concat();
        let share = share.expose_signing_share();
        let sealed =
            provision::seal(export.receiver(), EXPORT_PURPOSE, &aad, share.expose_secret(), &mut platform::rng());
        let package = sealed.map_err(|error| Problem::internal(error.to_string()))?;
        Ok((statement, package))
    }

    /// Ends the present epoch: the new share in place of the old one, and with it everything that says so. Without a
    /// wait, so that both are written or neither.
    pub(super) fn enter_epoch(&self, opened: &Opened, share: KeyShare, mutations: &[Mutation]) -> Result<(), Problem> {
        #[cfg(feature = "fault-injection")]
        super::faults::change_over()?;
        let sealed = opened.seal_next(&share, self.sealed_share()?)?;
        self.commit(mutations, vec![Row::share(&sealed)])?;
        opened.replace(share);
        Ok(())
    }
}

impl Outbox for Holder {
    fn folder(&self) -> String {
        format!("{}/{}", self.role.as_str(), self.blinded(&self.state().group().to_string()))
    }

    fn last(&self) -> Result<u64, Problem> {
        Ok(self.state().audit_head().n)
    }

    fn mark(&self) -> Result<u64, Problem> {
        Ok(self.store.sink_mark()?)
    }

    fn set_mark(&self, n: u64) -> Result<(), Problem> {
        // Nothing is written behind the owner's deletion.
        if self.is_deleted() { Err(deleted()) } else { Ok(self.store.set_sink_mark(n)?) }
    }

    fn lines(&self, after: u64, limit: u32) -> Result<Vec<(u64, Value)>, Problem> {
        let records = self.store.audit(after, limit)?;
        Ok(records.iter().map(|record| (record.n, self.outside(record))).collect())
    }
}

/// The configuration, or why this deployment does nothing.
pub(super) fn config(env: &Env) -> Result<std::sync::Arc<Config>, Problem> {
    Config::from_env(env).map_err(|error| error.to_problem())
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
