//! The bounds on what the codecs accept from outside.
//!
//! Each is checked before the work it bounds is begun. They are wide enough for every event a person's
//! app signs today and small enough that one request cannot fill an isolate's 128 MB.

/// Bytes of one NIP-44 payload in base64. Checked before base64 is decoded. A web socket message of
/// the platform is 1 MiB at most, so a longer payload could not have come in.
pub const MAX_NIP44_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Bytes of one NIP-44 plaintext. The longest whose padded form, with frame and base64, still fits
/// [`MAX_NIP44_PAYLOAD_BYTES`]: padding beyond 512 KiB goes in steps of 128 KiB.
pub const MAX_NIP44_PLAINTEXT_BYTES: usize = 640 * 1024;

/// Bytes of one NIP-04 message, ciphertext with IV, in base64. As for NIP-44: it travels inside one.
pub const MAX_NIP04_MESSAGE_BYTES: usize = MAX_NIP44_PLAINTEXT_BYTES;

/// Bytes of one NIP-04 plaintext: what padding, base64 and IV leave of [`MAX_NIP04_MESSAGE_BYTES`],
/// rounded down.
pub const MAX_NIP04_PLAINTEXT_BYTES: usize = 479 * 1024;

/// Bytes of the JSON text of one event or template. An event has to fit one web socket message.
pub const MAX_EVENT_JSON_BYTES: usize = 1024 * 1024;

/// Tags in one event. A contact list of several thousand follows is real; ten thousand is not seen.
pub const MAX_TAGS: usize = 10_000;

/// Strings in one tag. Relay lists and poll options stay far below.
pub const MAX_TAG_ITEMS: usize = 256;

/// Bytes of one string in a tag. Some clients keep JSON or a preview image's data in one.
pub const MAX_TAG_ITEM_BYTES: usize = 64 * 1024;

/// Seconds since 1970. The largest integer that every client's JSON numbers carry exactly: 2^53.
pub const MAX_CREATED_AT_S: u64 = 1 << 53;

/// Values in one list of a filter.
pub const MAX_FILTER_VALUES: usize = 256;

/// Bytes of one tag value in a filter.
pub const MAX_FILTER_VALUE_BYTES: usize = 1024;

/// Bytes of a NIP-46 request id. Clients use up to 64 characters (a hash in hex); twice that is room.
pub const MAX_REQUEST_ID_BYTES: usize = 128;

/// Bytes of a NIP-46 method name. The longest known has 16.
pub const MAX_METHOD_BYTES: usize = 64;

/// Parameters of a NIP-46 request. `connect` has the most, four.
pub const MAX_PARAMS: usize = 8;

/// Bytes of the secret that a client offers in `connect`. Ours have 64 at most.
pub const MAX_OFFERED_SECRET_BYTES: usize = 256;

/// Permissions a client may ask for with `connect`; what comes after is not looked at.
pub const MAX_REQUESTED_PERMISSIONS: usize = 128;

/// Bytes of the text of an error in a reply. Clients show it to a person.
pub const MAX_ERROR_TEXT_BYTES: usize = 512;

/// Bytes of a client's name as shown to a person.
pub const MAX_CLIENT_NAME_BYTES: usize = 64;

/// Bytes of a client's web or image address.
pub const MAX_CLIENT_URL_BYTES: usize = 512;

/// Bytes of the JSON text of a client's metadata.
pub const MAX_CLIENT_METADATA_BYTES: usize = 4096;

/// Bytes of a `bunker://` or `nostrconnect://` URI.
pub const MAX_URI_BYTES: usize = 8192;

/// Relays in one URI.
pub const MAX_URI_RELAYS: usize = 10;

/// Bytes of one relay address.
pub const MAX_RELAY_URL_BYTES: usize = 512;

/// Characters of a NIP-19 string: the limit that the NIP recommends.
pub const MAX_NIP19_CHARS: usize = 5000;

/// Relays in one NIP-19 identifier.
pub const MAX_NIP19_RELAYS: usize = 20;
