/** Event kinds in words a person knows, after the table of the NIPs repository. */

export type KindClass = "regular" | "replaceable" | "ephemeral" | "addressable";

export type Kind = {
  readonly kind: number;
  /** One of them, lower case: "short note". */
  readonly one: string;
  /** Several of them: "short notes". */
  readonly many: string;
  /** What can go wrong when an app signs this in your name, if it deserves a thought. */
  readonly risk: string | null;
};

type Row = readonly [kind: number, one: string, many?: string, risk?: string];

const ROWS: readonly Row[] = [
  [0, "profile", "your profile", "Replaces your name, picture, about text and payment address everywhere."],
  [1, "short note"],
  [3, "follow list", "your follow list", "Replaces the list of people you follow. An app that sends a short list erases the long one."],
  [4, "direct message (old style)", "direct messages (old style)", "Who writes to whom, and when, is public."],
  [5, "deletion request", undefined, "Asks relays to delete things you published. Many obey at once, and it can't be undone."],
  [6, "repost"],
  [7, "reaction"],
  [8, "badge award", undefined, "Gives people a badge in your name."],
  [9, "chat message"],
  [11, "forum thread"],
  [13, "sealed message", undefined, "Its text is encrypted: you can't see here what it says."],
  [14, "direct message", "direct messages", "Normally never signed by itself. Signed, it proves to anyone what you wrote."],
  [15, "file message", undefined, "Normally never signed by itself. Signed, it proves to anyone what you sent."],
  [16, "repost of something other than a note", "reposts of other things"],
  [17, "reaction to a website", "reactions to websites"],
  [20, "picture post"],
  [21, "video"],
  [22, "short video"],
  [24, "public message"],
  [40, "channel (created)", "new channels"],
  [41, "channel description"],
  [42, "channel message"],
  [43, "hidden channel message"],
  [44, "muted channel member"],
  [54, "podcast episode"],
  [62, "request to vanish", "requests to vanish", "Asks relays to delete everything you ever published. It can't be undone."],
  [64, "chess game"],
  [78, "data an app keeps", "data apps keep"],
  [443, "group chat key package"],
  [444, "group chat welcome"],
  [445, "group chat message"],
  [818, "wiki merge request"],
  [1018, "poll answer"],
  [1021, "auction bid", undefined, "May bind you to pay."],
  [1022, "auction bid confirmation"],
  [1040, "timestamp proof"],
  [1059, "gift wrap"],
  [1063, "file description"],
  [1068, "poll"],
  [1111, "comment"],
  [1222, "voice message"],
  [1234, "draft checkpoint"],
  [1244, "voice comment"],
  [1311, "live chat message"],
  [1337, "code snippet"],
  [1617, "git patch", "git patches"],
  [1618, "git pull request"],
  [1619, "git pull request update"],
  [1621, "git issue"],
  [1622, "git reply", "git replies"],
  [1630, "git status: open", "git status changes"],
  [1631, "git status: applied or resolved", "git status changes"],
  [1632, "git status: closed", "git status changes"],
  [1633, "git status: draft", "git status changes"],
  [1984, "report", undefined, "Accuses someone in public, in your name."],
  [1985, "label"],
  [2003, "torrent"],
  [2004, "torrent comment"],
  [4550, "community approval"],
  [7374, "reserved Cashu tokens", "reserved Cashu tokens", "Moves money of a Cashu wallet."],
  [7375, "Cashu wallet tokens", "Cashu wallet tokens", "Holds money of a Cashu wallet."],
  [7376, "Cashu wallet history", "Cashu wallet history"],
  [7516, "geocache log"],
  [7517, "geocache find"],
  [8000, "member added to a relay", "members added to relays"],
  [8001, "member removed from a relay", "members removed from relays"],
  [9041, "zap goal"],
  [9321, "Cashu payment (nutzap)", "Cashu payments (nutzaps)", "Sends money."],
  [9734, "zap request", undefined, "Goes with a payment and says publicly that it is from you. The payment itself needs your wallet."],
  [9735, "zap receipt"],
  [9802, "highlight"],
  [10000, "mute list", "your mute list", "Replaces the list of what you don't want to see."],
  [10001, "pinned notes", "your pinned notes"],
  [10002, "relay list", "your relay list", "Replaces where people look for you. A wrong list makes you unreachable."],
  [10003, "bookmarks", "your bookmarks", "Replaces your bookmarks."],
  [10004, "communities list", "your communities"],
  [10005, "public chats list", "your public chats"],
  [10006, "blocked relays", "your blocked relays"],
  [10007, "search relays", "your search relays"],
  [10008, "profile badges", "your profile badges"],
  [10009, "groups list", "your groups"],
  [10011, "linked accounts", "your linked accounts", "Says publicly which accounts elsewhere are yours."],
  [10012, "favourite relays", "your favourite relays"],
  [10013, "private relays", "your private relays"],
  [10015, "interests", "your interests"],
  [10019, "Cashu payment settings", "your Cashu payment settings", "Says where payments to you go."],
  [10020, "media follows", "your media follows"],
  [10030, "emoji list", "your emoji list"],
  [10050, "message relays", "your message relays", "Replaces where private messages to you are sent. A wrong list means you miss them."],
  [10051, "group chat relays", "your group chat relays"],
  [10054, "favourite podcasts", "your favourite podcasts"],
  [10063, "media servers", "your media servers"],
  [10064, "authored podcasts", "your podcasts"],
  [10096, "file servers", "your file servers"],
  [10154, "podcast description"],
  [10166, "relay monitor announcement"],
  [10312, "presence in a room", "presence in rooms"],
  [13194, "wallet description"],
  [13534, "relay membership list"],
  [15128, "website manifest"],
  [17375, "Cashu wallet", "your Cashu wallet", "Replaces the keys of a Cashu wallet."],
  [22242, "login to a relay (NIP-42)", "logins to relays", "Shows the relay who you are."],
  [23194, "wallet request", undefined, "May order a payment from a connected wallet."],
  [23195, "wallet answer"],
  [24133, "remote signing message", undefined, "Talks to a signer in your name. Apps should use a key of their own for this."],
  [24242, "upload or delete of a file (Blossom)", "uploads and deletes of files (Blossom)", "Lets whoever holds it upload or delete files of yours on media servers until it runs out."],
  [27235, "login to a website (NIP-98)", "logins to websites", "Lets whoever holds it act as you at one web address for about a minute."],
  [28934, "request to join a relay", "requests to join relays"],
  [28935, "relay invite"],
  [28936, "request to leave a relay", "requests to leave relays"],
  [30000, "follow set"],
  [30002, "relay set"],
  [30003, "bookmark set"],
  [30004, "article collection"],
  [30005, "video collection"],
  [30006, "picture collection"],
  [30007, "mute set"],
  [30008, "badge set"],
  [30009, "badge definition"],
  [30015, "interest set"],
  [30017, "market stall"],
  [30018, "market product"],
  [30019, "market page"],
  [30020, "auctioned product"],
  [30023, "article"],
  [30024, "article draft"],
  [30030, "emoji set"],
  [30040, "publication index", "publication indexes"],
  [30041, "publication section"],
  [30063, "software release"],
  [30078, "app settings", "app settings", "Replaces settings an app keeps under your name, also those of other apps."],
  [30166, "relay report"],
  [30267, "app collection"],
  [30311, "live event"],
  [30312, "live room"],
  [30313, "conference"],
  [30315, "status message"],
  [30382, "rating of a person", "ratings of people"],
  [30383, "rating of a post", "ratings of posts"],
  [30384, "rating of something", "ratings of things"],
  [30402, "classified ad"],
  [30403, "classified ad draft"],
  [30617, "git repository", "git repositories"],
  [30618, "git repository state", "git repository states", "Says which commits of a repository are yours. Tools may fetch them."],
  [30818, "wiki article"],
  [30819, "wiki redirect"],
  [31234, "draft"],
  [31922, "calendar date"],
  [31923, "calendar appointment"],
  [31924, "calendar"],
  [31925, "calendar answer"],
  [31989, "recommended app"],
  [31990, "app description"],
  [32267, "software listing"],
  [34128, "website file"],
  [34235, "video"],
  [34236, "short video"],
  [34550, "community"],
  [35128, "website"],
  [37516, "geocache"],
  [37517, "geocache collection"],
  [38172, "Cashu mint announcement"],
  [38173, "Fedimint announcement"],
  [38383, "peer-to-peer trade offer", undefined, "Offers a trade in your name."],
  [39089, "starter pack"],
  [39092, "media starter pack"],
  [39701, "web bookmark"],
];

const RANGES: readonly (readonly [from: number, to: number, one: string, many: string, risk?: string])[] = [
  [5000, 5999, "job request", "job requests", "May cost money."],
  [6000, 6999, "job result", "job results"],
  [9000, 9030, "group administration message", "group administration messages", "Changes a group, its members or their rights."],
  [39000, 39009, "group description", "group descriptions"],
];

const KINDS = new Map<number, Kind>(
  ROWS.map(([kind, one, many, risk]) => [kind, { kind, one, many: many ?? `${one}s`, risk: risk ?? null }]),
);

export const MAX_KIND = 65_535;

/** NIP-01's ranges. */
export function kindClass(kind: number): KindClass {
  if (kind === 0 || kind === 3 || (kind >= 10_000 && kind < 20_000)) return "replaceable";
  if (kind >= 20_000 && kind < 30_000) return "ephemeral";
  if (kind >= 30_000 && kind < 40_000) return "addressable";
  return "regular";
}

const CLASS_WORDS: Record<KindClass, string> = {
  regular: "Relays keep it.",
  replaceable: "It replaces the one before it.",
  ephemeral: "Relays pass it on and don't keep it.",
  addressable: "It replaces an earlier one of the same name.",
};

/** What publishing it does to what was there before. */
export function kindEffect(kind: number): string {
  return CLASS_WORDS[kindClass(kind)];
}

export function kindInfo(kind: number): Kind {
  const known = KINDS.get(kind);
  if (known) return known;
  const range = RANGES.find(([from, to]) => kind >= from && kind <= to);
  if (range) return { kind, one: range[2], many: range[3], risk: range[4] ?? null };
  return {
    kind,
    one: `event of kind ${kind}`,
    many: `events of kind ${kind}`,
    risk: "Passport doesn't know this kind. Ask the app's makers what it is for.",
  };
}

export function isKnownKind(kind: number): boolean {
  return KINDS.has(kind) || RANGES.some(([from, to]) => kind >= from && kind <= to);
}

/** "short note (kind 1)", with the number for those who look things up. */
export function kindLabel(kind: number): string {
  return isKnownKind(kind) ? `${kindInfo(kind).one} (kind ${kind})` : `event of kind ${kind}`;
}

/** Every kind with a name, in the order of the numbers. */
export function knownKinds(): readonly Kind[] {
  return [...KINDS.values()];
}

/** Kinds that fit what was typed: a number, the start of one, or words. */
export function findKinds(text: string, limit = 8): readonly Kind[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  if (/^\d+$/.test(wanted)) {
    const exact = Number(wanted);
    if (exact > MAX_KIND) return [];
    const others = knownKinds().filter((it) => it.kind !== exact && String(it.kind).startsWith(wanted));
    return [kindInfo(exact), ...others].slice(0, limit);
  }
  const words = wanted.split(/\s+/);
  return knownKinds()
    .filter((it) => words.every((word) => `${it.one} ${it.many}`.toLowerCase().includes(word)))
    .sort((a, b) => a.one.length - b.one.length || a.kind - b.kind)
    .slice(0, limit);
}

export type KindsText = { readonly kinds: readonly number[] } | { readonly wrong: string };

/** Reads "1, 7 30023". */
export function readKinds(text: string): KindsText {
  const parts = text.split(/[\s,;]+/).filter((part) => part !== "");
  const kinds: number[] = [];
  for (const part of parts) {
    if (!/^\d{1,5}$/.test(part) || Number(part) > MAX_KIND) {
      return { wrong: `“${part}” is no kind. Kinds are numbers from 0 to ${MAX_KIND}, such as 1 for a short note.` };
    }
    if (!kinds.includes(Number(part))) kinds.push(Number(part));
  }
  return { kinds: kinds.sort((a, b) => a - b) };
}
