/**
 * What this browser keeps of keys in device custody, in IndexedDB: its share of each, as the vault sealed it under the
 * owner key, and what it remembers of the apps that it has signed for. Nothing here opens without the owner key.
 */
import type { ContributionMemory } from "../vault/types";

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

type Share = { group: string; shares: string };
type Memory = ContributionMemory & { group: string };

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

  /** This device's share of a key, sealed; null when this browser has none. */
  async of(group: string): Promise<string | null> {
    const kept: Share | undefined = await this.#run("readonly", SHARES, (store) => store.get(group));
    return kept?.shares ?? null;
  }

  async has(group: string): Promise<boolean> {
    return (await this.of(group).catch(() => null)) !== null;
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
