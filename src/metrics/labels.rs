//! What a series may be labelled with: closed lists, so that nobody outside can make a new series, and nothing of a
//! person (no name, key, address or id) can be in one.
//!
//! What arrives as a code of another part is looked up in its list; a code that is not in it counts as `other`.

use passport_hsm::HsmError;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Makes an enum whose values are words, with the list of all of them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The label's value.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value with this word, if there is one.
            pub fn known(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                Self::known(&word).ok_or_else(|| de::Error::custom(concat!("no ", stringify!($name), " of this version")))
            }
        }
    };
}

/// For lists that end in `other`: finds what a code stands for. What follows a colon names a holder or a reason of
/// another part and is not looked at.
macro_rules! of_code {
    ($name:ident) => {
        impl $name {
            /// What a stable code counts as.
            pub fn of_code(code: &str) -> Self {
                let code = code.split_once(':').map_or(code, |(code, _)| code);
                Self::known(code).unwrap_or(Self::Other)
            }
        }
    };
}

words! {
    /// What an app asked for.
    RequestMethod {
        /// Opens a session.
        Connect = "connect",
        /// A signature.
        SignEvent = "sign_event",
        /// Whether anybody is there.
        Ping = "ping",
        /// The user's key.
        GetPublicKey = "get_public_key",
        /// NIP-04.
        Nip04Encrypt = "nip04_encrypt",
        /// NIP-04.
        Nip04Decrypt = "nip04_decrypt",
        /// NIP-44.
        Nip44Encrypt = "nip44_encrypt",
        /// NIP-44.
        Nip44Decrypt = "nip44_decrypt",
        /// Relays.
        SwitchRelays = "switch_relays",
        /// Ends a session.
        Logout = "logout",
        /// Not a method of NIP-46's, or none that could be read.
        Other = "other",
    }
}
of_code!(RequestMethod);

words! {
    /// How an app's request ended.
    RequestOutcome {
        /// Carried out.
        Answered = "answered",
        /// Answered with a refusal.
        Refused = "refused",
        /// Something of ours, or a holder, failed.
        Failed = "failed",
        /// It waits for the owner or a device.
        Held = "held",
    }
}

words! {
    /// Why an app's request was refused: the codes of [`bunker_core::session::Refusal`].
    Reason {
        /// Parameters, JSON or template are wrong.
        BadRequest = "bad_request",
        /// Not a method of NIP-46's.
        UnknownMethod = "unknown_method",
        /// Nobody has connected.
        NotConnected = "not_connected",
        /// `connect` without the secret.
        SecretMissing = "secret_missing",
        /// `connect` with another secret.
        SecretWrong = "secret_wrong",
        /// The secret was used already.
        SecretSpent = "secret_spent",
        /// Another client than the one that connected.
        OtherClient = "other_client",
        /// The client has logged out.
        LoggedOut = "logged_out",
        /// The owner revoked the connection.
        Revoked = "revoked",
        /// The grant is over.
        Expired = "expired",
        /// A rule denies it.
        Forbidden = "forbidden",
        /// No rule allows it.
        NotGranted = "not_granted",
        /// A rule's uses are used up.
        UsedUp = "used_up",
        /// The owner paused the connection.
        Paused = "paused",
        /// The owner has not approved.
        NeedsApproval = "needs_approval",
        /// The owner said no.
        DeniedByOwner = "denied_by_owner",
        /// The owner did not answer.
        NotApprovedInTime = "not_approved_in_time",
        /// Too many wait already.
        TooManyPending = "too_many_pending",
        /// An HTTP authentication that is too old.
        StaleAuth = "stale_auth",
        /// Tried too often.
        TooManyAttempts = "too_many_attempts",
        /// The deployment or the account is sealed.
        Sealed = "sealed",
        /// Needs no other holder.
        NothingToContribute = "nothing_to_contribute",
        /// A code that this list does not have.
        Other = "other",
    }
}
of_code!(Reason);

words! {
    /// What a ceremony is for.
    CeremonyKind {
        /// A new key.
        Keygen = "keygen",
        /// New shares of a key in use.
        Reshare = "reshare",
    }
}

words! {
    /// What became of a ceremony.
    CeremonyOutcome {
        /// It began.
        Started = "started",
        /// Every holder accepted.
        Verified = "verified",
        /// Somebody did not keep to the protocol, or something of ours failed.
        Failed = "failed",
        /// A participant ended it.
        Cancelled = "cancelled",
        /// Somebody did not come or speak in time.
        Expired = "expired",
    }
}

words! {
    /// A holder on the server.
    HsmRole {
        /// Share 1.
        Bunker = "bunker",
        /// Share 2.
        Cosigner = "cosigner",
    }
}

words! {
    /// What an HSM was asked to do.
    HsmOperation {
        /// Wrap a data key.
        Wrap = "wrap",
        /// Unwrap one.
        Unwrap = "unwrap",
        /// Say whether it works.
        Health = "health",
    }
}

words! {
    /// How a call to an HSM ended: `ok`, or the code of the error.
    HsmOutcome {
        /// Done.
        Ok = "ok",
        /// Who we say we are is not believed, or may not do this.
        CredentialsRefused = "credentials_refused",
        /// The KEK is switched off.
        KeyDisabled = "key_disabled",
        /// There is no such KEK.
        KeyMissing = "key_missing",
        /// The KEK will be destroyed.
        KeyPendingDeletion = "key_pending_deletion",
        /// The KEK is not of the kind that is configured.
        WrongKey = "wrong_key",
        /// The KEK is not in hardware.
        NotHardware = "not_hardware",
        /// Too many calls.
        Throttled = "throttled",
        /// No answer in time.
        TimedOut = "timed_out",
        /// No answer.
        Unavailable = "unavailable",
        /// An answer that can't be right.
        BadResponse = "bad_response",
        /// Wrapped by another KEK.
        OtherKek = "other_kek",
        /// Altered, or not in the provider's format.
        DoesNotOpen = "does_not_open",
        /// The clocks differ.
        ClockSkew = "clock_skew",
        /// A code that this list does not have.
        Other = "other",
    }
}

impl HsmOutcome {
    /// What an error counts as.
    pub fn of(error: HsmError) -> Self {
        error.code().strip_prefix("hsm_").and_then(Self::known).unwrap_or(Self::Other)
    }
}

words! {
    /// What is sealed.
    SealScope {
        /// The whole deployment: 0 or 1.
        Deployment = "deployment",
        /// So many accounts.
        Accounts = "accounts",
    }
}

words! {
    /// What was used that nobody has a reason to use.
    CanaryKind {
        /// A key, or a connection of it.
        Key = "key",
        /// A login.
        Account = "account",
        /// A token.
        Token = "token",
        /// A kind that this list does not have.
        Other = "other",
    }
}
of_code!(CanaryKind);

words! {
    /// How somebody wanted to come in.
    LoginMethod {
        /// Name and password.
        Password = "password",
        /// A passkey.
        Passkey = "passkey",
        /// The owner key, after a lost password.
        Recovery = "recovery",
        /// A refresh token.
        Refresh = "refresh",
    }
}

words! {
    /// What became of it.
    LoginOutcome {
        /// They are in.
        Ok = "ok",
        /// Wrong credentials.
        Refused = "refused",
        /// Too many attempts; nothing was looked at.
        Limited = "limited",
        /// Something of ours failed.
        Failed = "failed",
    }
}

words! {
    /// The first digit of an answer's status.
    StatusClass {
        /// A socket was opened.
        Informational = "1xx",
        /// Done.
        Success = "2xx",
        /// Elsewhere, or not changed.
        Redirection = "3xx",
        /// The caller's fault.
        ClientError = "4xx",
        /// Ours.
        ServerError = "5xx",
    }
}

impl StatusClass {
    /// The class of a status.
    pub fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

words! {
    /// Which failure of ours was logged.
    FailureCode {
        /// A cause that only the log has.
        Internal = "internal",
        /// A store or an object did not answer.
        Unavailable = "unavailable",
        /// What is stored can't be read.
        StorageCorrupt = "storage_corrupt",
        /// Data keys can't be wrapped or unwrapped.
        HsmUnavailable = "hsm_unavailable",
        /// A holder could not be reached.
        HolderUnavailable = "holder_unavailable",
        /// The cosigner refused what the bunker allowed.
        CosignerRefused = "cosigner_refused",
        /// A holder's contribution was wrong.
        HolderMisbehaved = "holder_misbehaved",
        /// A message could not be encrypted.
        CannotEncrypt = "cannot_encrypt",
        /// A message could not be decrypted.
        CannotDecrypt = "cannot_decrypt",
        /// A socket failed.
        SocketFailed = "socket_failed",
        /// A socket was closed while something was sent.
        SocketClosed = "socket_closed",
        /// An alarm could not be set.
        AlarmNotSet = "alarm_not_set",
        /// The meter could not be told.
        MetricsNotTold = "metrics_not_told",
        /// The configuration is wrong.
        ConfigurationInvalid = "configuration_invalid",
        /// A code that this list does not have.
        Other = "other",
    }
}
of_code!(FailureCode);
