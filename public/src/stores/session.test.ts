import { afterEach, beforeEach, expect, test, vi } from "vitest";

vi.mock("../vault", () => ({ vault: { lock: vi.fn(async () => undefined) } }));

// Each tab loads the modules anew, which a busy machine does slowly.
vi.setConfig({ testTimeout: 60_000 });

const ACCOUNT = { username: "alice", owner_pubkey: "aa", owner_blob: "blob", kdf: {}, created_at: 1, passkeys: 0 };
const KEPT = "passport.session";

/** A server with one session: each refresh token is good once. */
class Server {
  good = "r1";
  access = 0;
  refreshes = 0;
  down = false;

  answer = async (request: Request): Promise<Response> => {
    if (this.down) throw new TypeError("no network");
    const token = request.headers.get("authorization")?.replace("Bearer ", "");
    const path = new URL(request.url).pathname;
    if (path === "/auth/refresh") {
      this.refreshes += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (token !== this.good) return problem(401, "refresh_token_reused");
      this.good = `r${Number(this.good.slice(1)) + 1}`;
      return Response.json(this.tokens());
    }
    if (path === "/auth/logout") return new Response(null, { status: 204 });
    return token === `a${this.access}` ? Response.json(ACCOUNT) : problem(401, "access_token_invalid");
  };

  tokens() {
    this.access += 1;
    return { access_token: `a${this.access}`, token_type: "Bearer", expires_in: 900, refresh_token: this.good };
  }
}

const problem = (status: number, code: string) =>
  Response.json({ code, detail: code, status }, { status, headers: { "content-type": "application/problem+json" } });

let server: Server;
let storage: Map<string, string>;
let reload: ReturnType<typeof vi.fn>;
let queue: Promise<unknown>;

beforeEach(() => {
  server = new Server();
  storage = new Map([[KEPT, JSON.stringify({ username: "alice", refresh_token: "r1" })]]);
  reload = vi.fn();
  queue = Promise.resolve();
  vi.stubGlobal("fetch", server.answer);
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => storage.set(key, value),
    removeItem: (key: string) => storage.delete(key),
  });
  vi.stubGlobal("location", { reload, href: "http://localhost/" });
  vi.stubGlobal("Request", class extends Request {
    constructor(input: string | URL | Request, init?: RequestInit) {
      super(typeof input === "string" ? new URL(input, "http://localhost") : input, init);
    }
  });
  vi.stubGlobal("navigator", {
    locks: {
      request: (_: string, work: () => Promise<unknown>) => {
        const done = queue.then(work, work);
        queue = done.catch(() => undefined);
        return done;
      },
    },
  });
});
afterEach(() => vi.unstubAllGlobals());

/** Another tab: the same storage and locks, a memory of its own. */
async function tab() {
  vi.resetModules();
  return (await import("./session.svelte")).session;
}

test("tabs take turns at renewing, and none uses a refresh token twice", async () => {
  const tabs = [await tab(), await tab(), await tab()];
  await Promise.all(tabs.map((it) => it.start().catch(() => undefined)));
  expect(server.refreshes).toBe(3);
  expect(server.good).toBe("r4");
  expect(JSON.parse(storage.get(KEPT) ?? "")).toMatchObject({ refresh_token: "r4" });
});

test("within one tab, everybody who needs a token waits for the same renewal", async () => {
  const session = await tab();
  const tokens = await Promise.all([session.accessToken(), session.accessToken(), session.accessToken()]);
  expect(tokens).toEqual(["a1", "a1", "a1"]);
  expect(server.refreshes).toBe(1);
});

test("the access token is kept in memory only", async () => {
  const session = await tab();
  await session.start();
  expect(session.state).toBe("signed-in");
  expect([...storage.values()].join()).not.toContain("a1");
});

test("a token that the server refused is renewed, a good one is used again", async () => {
  const session = await tab();
  expect(await session.accessToken()).toBe("a1");
  expect(await session.accessToken()).toBe("a1");
  expect(await session.accessToken({ not: "a1" })).toBe("a2");
});

test("a session that the server has ended signs out, and says so", async () => {
  storage.set(KEPT, JSON.stringify({ username: "alice", refresh_token: "stolen-and-used" }));
  const session = await tab();
  await session.start();
  expect(session).toMatchObject({ state: "signed-out", ended: "expired", account: null });
  expect(storage.has(KEPT)).toBe(false);
});

test("no answer is no sign-out: the tokens stay for when the connection is back", async () => {
  server.down = true;
  const session = await tab();
  await session.start();
  expect(session.state).toBe("unreachable");
  server.down = false;
  await session.start();
  expect(session.state).toBe("signed-in");
});

test("a tab never goes on as somebody else who signed in beside it", async () => {
  const session = await tab();
  await session.start();
  storage.set(KEPT, JSON.stringify({ username: "mallory", refresh_token: server.good }));
  expect(await session.accessToken({ not: "a1" })).toBeNull();
  expect(reload).toHaveBeenCalledTimes(1);
  expect(server.refreshes).toBe(1);
});

test("signing out forgets everything at once, whatever the server answers", async () => {
  const session = await tab();
  await session.start();
  server.down = true;
  await session.signOut();
  expect(session).toMatchObject({ state: "signed-out", account: null });
  expect(storage.has(KEPT)).toBe(false);
  expect(await session.accessToken()).toBeNull();
});
