//! Bodies of requests and answers, shared with the Durable Objects.
//!
//! Times named `*_at` are unix seconds, as in Nostr events. Ids, keys and hashes are lower-case hex.
//! Unknown fields of requests are refused, so that a misspelt limit does not pass for none.

mod accounts;
mod activity;
mod ceremonies;
mod connections;
mod export;
mod keys;
mod operators;
mod passkeys;
mod requests;
mod schema;
mod sessions;

pub use accounts::{
    AccountView, KdfReply, ParamsRequest, PasswordRequest, RecoverReply, RecoverRequest, RecoveryChallengeReply,
    RecoveryChallengeRequest, RegisterReply, RegisterRequest,
};
pub use activity::{ActivityPage, ActivityQuery};
pub use ceremonies::{
    CeremonyKind, CeremonyList, CeremonyQuery, CeremonyStatus, CeremonyView, JoinData, NamedCeremony,
    ParticipantRequest, ParticipantView, RoundRequest, SeatKey, StartCeremonyRequest,
};
pub use connections::{
    AllowanceView, ChangeConnectionReply, ChangeConnectionRequest, ClientInfo, ConnectionList, ConnectionStatus,
    ConnectionView, CreateConnectionReply, CreateConnectionRequest, RevokeConnectionRequest, StatementDelivery,
    StatementReply,
};
pub use export::{ExportState, ExportView, OwnerStatement, ReleaseReply, ReleaseRequest, ReleasedPackages};
pub use keys::{
    CreateKeyReply, CreateKeyRequest, GroupDescription, HolderEntry, HolderList, KeyDetail, KeyList, KeyView,
    ProvisionReply, ProvisionRequest, SharePackages, SharedKeyView, SharesOrigin,
};
pub use operators::{OperatorAuditPage, PlainCommand, ProposeRequest, SealRequest, UnsealRequest};
pub use passkeys::{
    AssertionJson, AssertionResponseJson, AttestationJson, Base64Url, CreatePasskeyReply, CreatePasskeyRequest,
    EmptyRequest, ExtensionResultsJson, PasskeyBlobRequest, PasskeyList, PasskeyOptions, PasskeySignInReply,
    PasskeyTokenRequest, PasskeyView, PrfResultsJson, RegistrationJson,
};
pub use requests::{
    Awaited, ContributeReply, ContributeRequest, ContributionStatus, DecideReply, DecideRequest, DecisionStatus,
    DeviceContribution, OfferQuery, OfferReply, OfferRequest, RequestList, RequestView, Signers, TemplateView,
};
pub use schema::{
    AuditHeadSchema, AuditRecordSchema, GroupPublicSchema, HolderPublicSchema, KdfParamsSchema, MemberSchema,
    PolicyRuleSchema, PolicySchema, SignedEventSchema,
};
pub use sessions::{
    ReauthenticateByPasskey, ReauthenticateByPassword, ReauthenticateRequest, SessionList, SessionView, SignInReply,
    TokenReply, TokenRequest,
};
