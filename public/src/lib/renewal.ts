/**
 * New shares of a key in use: the holders deal them under the owner's word, this device keeps its own and a new kit, and
 * accepts. Until then the old shares go on; with that they end. Other devices of the person's come to it for shares of
 * their own. Server, vault, store and signing are arguments.
 */
import { isCode } from "../api/problem";
import type {
  CeremonyParticipant,
  CeremonyView,
  Custody,
  GroupPublic,
  OtherDevices,
  Progress,
  Statement,
  Vault,
} from "../vault/types";
import { Ceremony, type CeremonyServer, isInterruption, type OnRound, ROUNDS } from "./ceremony";
import { resent } from "./resent";
import { isSameEpoch, type Shares } from "./shares";
import type { withStatement } from "./signing";

export type RenewalServer = CeremonyServer & {
  /** Has the holders take part, under the owner's word. */
  reshare(group: string, statement: Statement): Promise<unknown>;
  /** Whether an export of the key is under way whose delay is over. */
  canExport(group: string): Promise<boolean>;
  /** The key's group as it is now. */
  present(group: string): Promise<GroupPublic>;
};
export type RenewalVault = Pick<
  Vault,
  "beginRenewal" | "joinRenewal" | "takeCeremony" | "reshare" | "newShares" | "kept" | "endCeremony"
>;
export type NewShares = Awaited<ReturnType<Vault["newShares"]>>;

/** What the person wants, and what they have for it. */
export type Wanted = {
  public: GroupPublic;
  custody: Custody;
  others: OtherDevices;
  /** This browser's share, sealed. */
  shares: string | null;
  kit: { kit: string; passphrase: string } | null;
};

/** A renewal that waits for this browser, and this browser's share of the key, sealed, if it has one. */
export type JoinWanted = { public: GroupPublic; shares: string | null; view: CeremonyView };

/** The shares are what they were, for a reason that the server gave; the message is for people. */
export class NotRenewed extends Error {
  override name = "NotRenewed";
}

/** How far it is, in words. */
export function renewalInWords(round: number): string {
  if (round === 0) return "Waiting for the other device";
  return round > ROUNDS
    ? "A holder was interrupted: checking the new shares with it once more"
    : `Dealing new shares: step ${round} of ${ROUNDS}`;
}

/** Whether the holders want an export's delay to be over: the person's devices get the whole key without having shown it. */
export function needsExport(custody: Custody, shows: { share: boolean; kit: boolean }): boolean {
  return custody === "device" && !(shows.share && shows.kit);
}

/** The person's devices in a ceremony, each in words and whether it has come. `own` is the number of this one's share. */
export function devicesIn(
  view: CeremonyView,
  present: GroupPublic,
  own: number | null,
): { number: number; name: string; joined: boolean }[] {
  const devices = view.participants.filter(({ role, receives }) => role === "device" && receives != null);
  const isKnown = ({ receives }: CeremonyParticipant): boolean => present.holders.some(({ index }) => index === receives);
  const known = devices.filter((it) => isKnown(it) && it.receives !== own).length;
  const name = (it: CeremonyParticipant): string => {
    if (it.receives === own) return "This browser";
    if (!isKnown(it)) return "The device that joins";
    return known > 1 ? `Your other device with share ${it.receives}` : "Your other device";
  };
  return devices.map((it) => ({ number: it.number, name: name(it), joined: it.joined }));
}

/** One person's way to new shares of one key. */
export class Renewal {
  #begun: { ceremony: Ceremony; isAsked: boolean; hasAccepted: boolean } | null = null;
  #made: NewShares | null = null;

  constructor(
    readonly server: RenewalServer,
    readonly vault: RenewalVault,
    readonly store: Pick<Shares, "keepNext" | "fitting">,
    /** Signs and sends a statement, under the number that is next. */
    readonly say: typeof withStatement,
  ) {}

  /** Whether there is one to go on with. */
  get isBegun(): boolean {
    return this.#begun !== null;
  }

  /**
   * Goes on until the new shares are there, and keeps this browser's beside the present one. After a broken connection
   * it goes on where it stopped; after anything else it begins anew.
   */
  async begin(wanted: Wanted, onRound: OnRound, progress: Progress, signal: AbortSignal): Promise<NewShares> {
    const { group } = wanted.public;
    return this.#unlessOver(async () => {
      this.#begun ??= { ceremony: await this.#start(wanted, progress, signal), isAsked: false, hasAccepted: false };
      const begun = this.#begun;
      if (!begun.isAsked) {
        // The word is about the terms, which are there when everybody has joined.
        await begun.ceremony.until(({ round }) => round > 0, onRound, signal);
        await this.say(
          group,
          (seq) => this.vault.reshare({ seq }),
          (statement) => this.server.reshare(group, statement),
        );
        begun.isAsked = true;
      }
      return await this.#keep(group, begun.ceremony, onRound, signal);
    });
  }

  /**
   * Comes to one that another device of the person's began, and goes on until this browser's new share is kept beside the
   * present one; then it is to be {@link accept}ed. After a broken connection it goes on where it stopped.
   */
  async join(offer: JoinWanted, onRound: OnRound, signal: AbortSignal): Promise<NewShares> {
    return this.#unlessOver(async () => {
      this.#begun ??= { ceremony: await this.#come(offer, signal), isAsked: true, hasAccepted: false };
      return await this.#keep(offer.public.group, this.#begun.ceremony, onRound, signal);
    });
  }

  /**
   * The kit is kept, or was another device's to keep: accepts, and this browser's new share takes the old one's place.
   * After a broken connection it may be called again.
   */
  async accept(signal: AbortSignal): Promise<void> {
    const [begun, made] = [this.#begun, this.#made];
    if (!begun || !made) throw new NotRenewed("There are no new shares to accept. Begin again.");
    try {
      await this.#unlessOver(async () => {
        begun.hasAccepted = true;
        await this.vault.kept();
        if (begun.ceremony.stand.keeps) await begun.ceremony.step(signal);
        await begun.ceremony.until((stand) => stand.verified, () => undefined, signal);
      });
    } catch (error) {
      // What became of it the server knows, also when the ceremony itself is forgotten there.
      if (isInterruption(error) || !isSameEpoch(await this.server.present(made.public.group), made.public)) {
        throw error;
      }
    }
    await this.store.fitting(made.public);
    await this.end();
  }

  /** Leaves it. Unless this device has accepted, it ends for everybody, so that no other device waits. */
  async leave(): Promise<void> {
    const begun = this.#begun;
    const over = begun && !begun.hasAccepted ? begun.ceremony.cancel() : undefined;
    await Promise.all([over, this.end()]);
  }

  /** The vault forgets what it was begun with. */
  async end(): Promise<void> {
    [this.#begun, this.#made] = [null, null];
    await this.vault.endCeremony();
  }

  /** Goes on until the new shares are there, and keeps this browser's. */
  async #keep(group: string, ceremony: Ceremony, onRound: OnRound, signal: AbortSignal): Promise<NewShares> {
    await ceremony.until((stand) => stand.keeps, onRound, signal);
    const made = await this.vault.newShares();
    if (made.shares !== null) await this.store.keepNext(group, made.shares);
    this.#made = made;
    return made;
  }

  async #start(wanted: Wanted, progress: Progress, signal: AbortSignal): Promise<Ceremony> {
    const holders = await this.server.holders();
    const { request, needs_export, waits_for } = await this.vault.beginRenewal({ ...wanted, holders }, progress);
    if (needs_export && !(await this.server.canExport(wanted.public.group))) {
      throw new NotRenewed("The wait for it is not over, or was cancelled. Ask for it first.");
    }
    // Started twice after a lost answer, one of the two is left to its end: the owner's word is about the other.
    const view = await resent(() => this.server.start(request));
    return Ceremony.of(this.server, this.vault, view, signal, waits_for > 0 ? "devices" : "holders");
  }

  async #come({ view, ...mine }: JoinWanted, signal: AbortSignal): Promise<Ceremony> {
    const holders = await this.server.holders();
    const keys = await this.vault.joinRenewal({ ...mine, holders, view });
    signal.throwIfAborted();
    const joined = await resent(() => this.server.join(view.operation_id, keys));
    return Ceremony.of(this.server, this.vault, joined, signal, "devices");
  }

  async #unlessOver<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isInterruption(error)) this.#begun = null;
      if (isCode(error, "not_found")) {
        throw new NotRenewed("The shares are what they were: it took too long, and the server has given it up. Begin again.");
      }
      throw error;
    }
  }
}
