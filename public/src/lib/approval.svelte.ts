/** One answer of the owner to one request, from the press of a button to what became of it. */

import { api, call } from "../api/client";
import { Cancelled, isCode, NoAnswer } from "../api/problem";
import type { KeyView, PendingRequest, SignedEvent } from "../api/types";
import { vault } from "../vault";
import { byHand } from "./contributor";
import { type Item, itemsOf } from "./activity";
import { History } from "./history.svelte";
import { resent } from "./resent";
import type { Sharing } from "./sharing";
import { unlocked, withStatement } from "./signing";
import { nowSeconds } from "./when";

export type Answer = "once" | "hour" | "always" | "deny";

const HOUR_S = 3_600;

/**
 * `open`: nobody has answered here. `sending`: an answer is signed and on its way. `lost`: it was sent and no word came
 * back. `given`: it arrived. `gone`: the request was settled by something else.
 */
export type Phase = "open" | "sending" | "lost" | "given" | "gone";

/** Answers are signed one after the other, so that their numbers don't collide. */
let turns: Promise<unknown> = Promise.resolve();

function inTurn<T>(action: () => Promise<T>): Promise<T> {
  const turn = turns.then(action, action);
  turns = turn.catch(() => undefined);
  return turn;
}

export class Approval {
  phase = $state<Phase>("open");
  answer = $state<Answer | null>(null);
  error = $state.raw<unknown>(null);
  /** What the activity says about the request; null while that is unknown. */
  result = $state.raw<Item | null>(null);
  /** What the server waits for, by its newest word. */
  waitsFor = $state.raw<PendingRequest["waits_for"]>([]);
  /** Where devices contribute: which are at it, by the server's newest word. */
  signers = $state.raw<PendingRequest["signers"]>(undefined);
  /** The owner's word arrived from here, and devices have to contribute yet. */
  allowedHere = $state(false);
  #signed: SignedEvent | null = null;
  /** The server stopped listing the request while an answer was on its way. */
  #unlisted = false;

  constructor(
    readonly key: KeyView,
    /** As it is shown: what this device contributes to has to be exactly that. */
    readonly request: PendingRequest,
    /** Whether this browser has a share of the key. */
    readonly shareHere = false,
    /** The people who share the key, who contribute elsewhere; null when nobody does. */
    readonly sharing: Sharing | null = null,
  ) {
    this.heard(request);
  }

  /** Takes in what the server says of the request now. */
  heard({ waits_for, signers }: PendingRequest): void {
    this.signers = signers;
    if (this.phase === "open") this.waitsFor = waits_for;
  }

  /** Whether the owner's word is awaited: the rules ask. */
  get asks(): boolean {
    return this.waitsFor.includes("approval");
  }

  /** Whether a device's contribution is awaited: the server can't do it alone. */
  get needsDevice(): boolean {
    return this.waitsFor.includes("device");
  }

  /**
   * Gives an answer: signs it and sends it, and contributes with this device's share where that is awaited. Where people
   * share the key, the owner's word is all that comes from here.
   */
  async give(answer: Answer): Promise<void> {
    if (this.phase === "sending") return;
    this.answer = answer;
    this.#signed = null;
    await this.#run(() =>
      withStatement(
        this.key.group,
        (seq) => this.#sign(answer, seq),
        (statement) => {
          this.#signed = statement;
          return this.#send(statement);
        },
      ),
    ).catch((error: unknown) => this.#failed(error));
  }

  /**
   * Goes on with the answer that was lost: the same statement once more, so that it can't count twice, or another
   * contribution to the same request, which is answered once.
   */
  async resend(): Promise<void> {
    const { answer } = this;
    const signed = this.#signed;
    if (this.phase !== "lost" || !answer) return;
    try {
      await this.#run(() => (signed ? resent(() => this.#send(signed)) : Promise.resolve()));
    } catch (error) {
      if (isCode(error, "statement_not_newer")) {
        // Another statement came first, so the lost one can never count: a new one may be signed.
        this.phase = "open";
        await this.give(answer);
      } else {
        this.#failed(error);
      }
    }
  }

  async #run(say: () => Promise<unknown>): Promise<void> {
    this.phase = "sending";
    this.error = null;
    const isThrough = await inTurn(async () => {
      if (this.answer === "deny") {
        await say();
        return true;
      }
      if (this.asks) {
        await say();
        if (this.needsDevice) this.waitsFor = ["device"];
      }
      if (!this.needsDevice) return true;
      if (this.sharing) return false;
      await unlocked();
      return (await byHand.give(this.key.group, this.request)) === "answered";
    });
    if (isThrough) this.#arrived();
    else this.#waits();
  }

  /** The server no longer lists the request. */
  settled(): void {
    this.#unlisted = true;
    if (this.phase === "open" || this.phase === "lost") {
      if (this.phase === "open") this.answer = null;
      this.phase = "gone";
      this.error = null;
      void this.look();
    }
  }

  /** Looks up what became of the request. */
  async look(): Promise<void> {
    const found = await whatBecameOf(this.key.group, this.request.request);
    this.result = found.item ?? this.result;
    // Our own answer had arrived, and only the word of that was lost.
    if (this.phase === "gone" && this.#signed && found.statements.has(this.#signed.id)) this.phase = "given";
  }

  #arrived(): void {
    this.phase = "given";
    void this.look();
  }

  /** The owner's word is given, and others have to contribute. */
  #waits(): void {
    this.allowedHere = true;
    this.phase = "open";
    if (this.#unlisted) this.settled();
  }

  #failed(error: unknown): void {
    if (isCode(error, "no_such_request")) {
      this.phase = "gone";
      void this.look();
    } else if (error instanceof NoAnswer && (this.#signed || (this.answer !== "deny" && !this.asks))) {
      this.phase = "lost";
    } else {
      if (isCode(error, "approval_needed")) this.waitsFor = ["approval", "device"];
      this.phase = "open";
      this.error = error instanceof Cancelled ? null : error;
    }
    if (this.#unlisted) this.settled();
  }

  #sign(answer: Answer, seq: number): Promise<SignedEvent> {
    const { group } = this.key;
    const { connection, request, method, kind } = this.request;
    const place = { group, seq, connection, request };
    if (answer === "deny") return vault.deny(place);
    const until = answer === "hour" ? nowSeconds() + HOUR_S : null;
    return vault.approve({ ...place, method, kind, remember: answer === "once" ? null : { until } });
  }

  #send(statement: SignedEvent): Promise<unknown> {
    const params = { path: { group: this.key.group, request: this.request.request } };
    const options = { params, body: { statement } };
    return this.answer === "deny"
      ? call(api.POST("/keys/{group}/requests/{request}/deny", options))
      : call(api.POST("/keys/{group}/requests/{request}/approve", options));
  }
}

/** What the newest records say about a request, and which statements they know. */
export async function whatBecameOf(
  group: string,
  request: string,
): Promise<{ item: Item | null; statements: ReadonlySet<string> }> {
  const history = new History(group);
  await history.start();
  const records = history.records.filter((record) => record.entry.request === request);
  const statements = history.records.flatMap((record) => record.entry.statement ?? []);
  return { item: itemsOf(records)[0] ?? null, statements: new Set(statements) };
}

/**
 * Keeps a press from counting that was meant for something else: a window that has just appeared, under a pointer or a
 * key that was on its way to another one.
 */
export class Armed {
  ready = $state(false);

  constructor(after_ms = 600) {
    $effect(() => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const arm = () => {
        this.ready = false;
        clearTimeout(timer);
        if (!document.hidden) timer = setTimeout(() => (this.ready = true), after_ms);
      };
      arm();
      addEventListener("focus", arm);
      document.addEventListener("visibilitychange", arm);
      return () => {
        clearTimeout(timer);
        removeEventListener("focus", arm);
        document.removeEventListener("visibilitychange", arm);
      };
    });
  }
}
