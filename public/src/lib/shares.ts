/**
 * What this browser keeps of keys in device custody, in IndexedDB: its share of each, as the vault sealed it under the
 * owner key, and what it remembers of the apps that it has signed for. Nothing here opens without the owner key.
 */
import type { ContributionMemory, GroupPublic } from "../vault/types";

const NAME = "passport.device";
const VERSION = 1;
const SHARES = "shares";
const MEMORIES = "memories";

/** This browser keeps nothing for the page; the message is for people. */
export class NotKept extends Error {
  override name = "NotKept";

  constructor(cause?: unknown) {
    super(
      "This browser keeps no data for this page, so it can hold no share of a key. Use a window that is not private, allow this page to keep data, or let Passport sign for you.",
      { cause },
    );
  }
}

/** What is kept of a key: the share that this device contributes with, and one that was dealt to take its place. */
export type Share = { group: string; shares: string | null; next?: string };
type Memory = ContributionMemory & { group: string };

/** Whether two are one group in one epoch. One that was dealt and came to nothing has the number of the one that did. */
export function isSameEpoch(one: GroupPublic, other: GroupPublic): boolean {
  const facts = ({ group, epoch, holders }: GroupPublic): string =>
    [group, epoch, ...holders.map(({ index, verifying_share }) => `${index} ${verifying_share}`)].join();
  return facts(one) === facts(other);
}

/** The number of the share that the vault sealed, as the group has it. */
export function numberOf(sealed: string): number | null {
  return (JSON.parse(sealed) as { shares: { index: number }[] }).shares[0]?.index ?? null;
}

/** Whether a share goes with these. What is public of it stands in the clear in what the vault sealed. */
export function fits(sealed: string, present: GroupPublic): boolean {
  return isSameEpoch((JSON.parse(sealed) as { public: GroupPublic }).public, present);
}

/**
 * What is to be kept of a key that the server shows so. One that was dealt and is not in force yet stays: the holders may
 * still change over to it, and the next one that is dealt takes its place.
 */
export function settled(kept: Share, present: GroupPublic): Share {
  const { group, next } = kept;
  return next !== undefined && fits(next, present) ? { group, shares: next } : kept;
}

export class Shares {
  #database: Promise<IDBDatabase> | null = null;

  /** Makes sure that a share will be there again: before a key is made that needs it. */
  async ready(): Promise<void> {
    const group = `probe ${crypto.randomUUID()}`;
    await this.keep(group, group);
    await this.forget(group);
    // A browser may ask the person, or say no: then it deletes this only when it runs out of space.
    void navigator.storage?.persist?.().catch(() => false);
  }

  /** Keeps this device's share of a key, and reads it back. */
  async keep(group: string, shares: string): Promise<void> {
    await this.#run("readwrite", SHARES, (store) => store.put({ group, shares } satisfies Share));
    if ((await this.of(group)) !== shares) throw new NotKept();
  }

  /** Keeps a new share beside the present one, which goes on until the server shows the new one's epoch. */
  async keepNext(group: string, next: string): Promise<void> {
    await this.#change(group, (kept) => ({ group, shares: kept?.shares ?? null, next }));
    if ((await this.#read(group))?.next !== next) throw new NotKept();
  }

  /** This device's share of a key, sealed; null when this browser has none. */
  async of(group: string): Promise<string | null> {
    return (await this.#read(group))?.shares ?? null;
  }

  /** The share that goes with the others as the server shows them; null when this browser has none. */
  async fitting(present: GroupPublic): Promise<string | null> {
    const { group } = present;
    if ((await this.#read(group))?.next !== undefined) {
      await this.#change(group, (kept) => kept && settled(kept, present));
    }
    const sealed = await this.of(group);
    return sealed !== null && fits(sealed, present) ? sealed : null;
  }

  /** Whether anything is kept of a key, of whatever epoch. */
  async has(group: string): Promise<boolean> {
    return (await this.#read(group).catch(() => undefined)) !== undefined;
  }

  /** What this device remembers of a connection. */
  async memory(group: string, connection: string): Promise<ContributionMemory | null> {
    const kept: Memory | undefined = await this.#run("readonly", MEMORIES, (store) => store.get([group, connection]));
    return kept ? { connection: kept.connection, client: kept.client, seq: kept.seq } : null;
  }

  async remember(group: string, memory: ContributionMemory): Promise<void> {
    await this.#run("readwrite", MEMORIES, (store) => store.put({ ...memory, group } satisfies Memory));
  }

  /** Deletes all that is kept of a key. */
  async forget(group: string): Promise<void> {
    await this.#run("readwrite", SHARES, (store) => store.delete(group));
    await this.#run("readwrite", MEMORIES, (store) => store.delete(IDBKeyRange.bound([group], [group, []])));
  }

  #read(group: string): Promise<Share | undefined> {
    return this.#run("readonly", SHARES, (store) => store.get(group));
  }

  /** Reads and writes in one transaction, so that two pages don't take each other's share away. */
  async #change(group: string, change: (kept: Share | undefined) => Share | undefined): Promise<void> {
    await this.#run("readwrite", SHARES, (store) => {
      const reading: IDBRequest<Share | undefined> = store.get(group);
      reading.onsuccess = () => {
        const changed = change(reading.result);
        if (changed) store.put(changed);
      };
      return reading;
    });
  }

  async #run<T>(mode: IDBTransactionMode, name: string, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    try {
      const database = await (this.#database ??= this.#open());
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(name, mode, { durability: "strict" });
        const request = work(transaction.objectStore(name));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => reject(transaction.error ?? new Error("The transaction was aborted."));
      });
    } catch (error) {
      this.#database = null;
      throw new NotKept(error);
    }
  }

  async #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(SHARES, { keyPath: "group" });
        request.result.createObjectStore(MEMORIES, { keyPath: ["group", "connection"] });
      };
      request.onerror = () => reject(request.error ?? new Error("The database did not open."));
      request.onsuccess = () => {
        const database = request.result;
        // The browser has deleted it, or a newer page changes it.
        database.onclose = () => (this.#database = null);
        database.onversionchange = () => {
          database.close();
          this.#database = null;
        };
        resolve(database);
      };
    });
  }
}

export const shares = new Shares();
