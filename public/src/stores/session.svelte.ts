// Who is signed in. The access token lives in memory only; the refresh token, good for one use, in
// localStorage, where all tabs of this browser share it and take turns (Web Locks).

import { ApiProblem, isCode } from "../api/problem";
import { send } from "../api/send";
import type { Account, SignIn, Tokens } from "../api/types";
import { keepDeviceToken } from "../lib/device";
import { vault } from "../vault";

/** `{username, refresh_token}` as JSON. */
const STORED = "passport.session";
const LOCK = "passport.refresh";
/** A token that ends within this time is renewed before it is used. */
const RENEW_BEFORE_MS = 30_000;

type Kept = { username: string; refresh_token: string };
type Heard = { type: "signed-in"; username: string } | { type: "signed-out" };
type Access = { token: string; until_ms: number };
/** Why nobody is signed in any more, for the sign-in page. */
export type Ended = "signed-out" | "expired" | "elsewhere";

class Session {
  /** `starting`: finding out. `unreachable`: signed in as far as we know, but no answer came. */
  state = $state<"starting" | "unreachable" | "signed-out" | "signed-in">("starting");
  account = $state<Account | null>(null);
  ended = $state<Ended | null>(null);
  /** Where the next sign-in leads, when not to where the person wanted to go. */
  next: string | null = null;

  #access: Access | null = null;
  #renewing: Promise<string | null> | null = null;
  readonly #channel = new BroadcastChannel("passport.session");

  constructor() {
    this.#channel.onmessage = ({ data }: MessageEvent<Heard>) => this.#heard(data);
  }

  get username(): string {
    return this.account?.username ?? "";
  }

  /** Finds out who is signed in. Called once by the page, and again by its "try again". */
  async start(): Promise<void> {
    const kept = read();
    if (!kept) {
      this.state = "signed-out";
      return;
    }
    this.state = "starting";
    try {
      await this.loadAccount();
      if (this.account) this.state = "signed-in";
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401) this.#clear("expired");
      else if (read()) this.state = "unreachable";
    }
  }

  /** Takes the answer of a sign-in. */
  async begin(answer: SignIn, device = true): Promise<void> {
    if (device) keepDeviceToken(answer.username, answer.device_token);
    this.#keep(answer.username, answer);
    await this.loadAccount();
    this.ended = null;
    this.state = "signed-in";
    this.#tell({ type: "signed-in", username: answer.username });
  }

  /** Puts the tokens of a sign-in as the same person in place of the present ones, which are ended. */
  async replace(answer: SignIn): Promise<void> {
    const before = read()?.refresh_token;
    this.#keep(answer.username, answer);
    if (before) await logout(before).catch(() => undefined);
  }

  /** Reads name, owner key and owner blob again. */
  async loadAccount(): Promise<void> {
    const ask = (token: string) => send(new Request("/account", { headers: { Authorization: `Bearer ${token}` } }));
    const token = await this.accessToken();
    if (!token) throw new ApiProblem(401, "access_token_invalid", "You are not signed in.");
    let response: Response;
    try {
      response = await ask(token);
    } catch (error) {
      if (!isCode(error, "access_token_invalid")) throw error;
      const fresh = await this.accessToken({ not: token });
      if (!fresh) throw error;
      response = await ask(fresh);
    }
    this.account = (await response.json()) as Account;
  }

  /** Ends this session here, at the server and in the other tabs. Without an answer it ends here all the same. */
  async signOut(): Promise<void> {
    const kept = read();
    const token = kept?.refresh_token ?? this.#access?.token;
    this.#clear("signed-out");
    this.#tell({ type: "signed-out" });
    if (token) await logout(token).catch(() => undefined);
  }

  /** The server has ended the session, as after "sign out everywhere". */
  forget(why: Ended = "signed-out"): void {
    this.#clear(why);
    this.#tell({ type: "signed-out" });
  }

  /** A token that is good now; null when nobody is signed in. `not`: the server has refused that one. */
  async accessToken(options: { not?: string } = {}): Promise<string | null> {
    const access = this.#access;
    if (access && access.token !== options.not && access.until_ms - RENEW_BEFORE_MS > Date.now()) return access.token;
    if (!read()) return null;
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #renew(): Promise<string | null> {
    return await navigator.locks.request(LOCK, async () => {
      // Another tab may have renewed, signed out or changed the account while this one waited.
      const kept = read();
      if (!kept) return null;
      if (this.account && kept.username !== this.account.username) {
        location.reload();
        return null;
      }
      const headers = { Authorization: `Bearer ${kept.refresh_token}` };
      try {
        const response = await send(new Request("/auth/refresh", { method: "POST", headers }));
        return this.#keep(kept.username, (await response.json()) as Tokens);
      } catch (error) {
        if (!(error instanceof ApiProblem) || error.status !== 401) throw error;
        if (read()?.refresh_token === kept.refresh_token) {
          this.#clear("expired");
          this.#tell({ type: "signed-out" });
        }
        return null;
      }
    });
  }

  #keep(username: string, tokens: Tokens): string {
    const kept: Kept = { username, refresh_token: tokens.refresh_token };
    localStorage.setItem(STORED, JSON.stringify(kept));
    this.#access = { token: tokens.access_token, until_ms: Date.now() + tokens.expires_in * 1000 };
    return tokens.access_token;
  }

  #clear(why: Ended): void {
    localStorage.removeItem(STORED);
    this.#leave(why);
  }

  #leave(why: Ended): void {
    this.#access = null;
    this.account = null;
    this.ended = this.state === "signed-out" ? this.ended : why;
    this.state = "signed-out";
    void vault.lock();
  }

  #tell(message: Heard): void {
    this.#channel.postMessage(message);
  }

  #heard(message: Heard): void {
    if (message.type === "signed-out") {
      if (this.state !== "signed-out") this.#leave("elsewhere");
    } else if (this.state === "signed-out") {
      void this.start();
    } else if (message.username !== this.username) {
      location.reload();
    }
  }
}

function read(): Kept | null {
  try {
    const kept = JSON.parse(localStorage.getItem(STORED) ?? "null") as Partial<Kept> | null;
    return kept?.username && kept.refresh_token ? (kept as Kept) : null;
  } catch {
    return null;
  }
}

async function logout(token: string): Promise<void> {
  await send(new Request("/auth/logout", { method: "POST", headers: { Authorization: `Bearer ${token}` } }));
}

export const session = new Session();
