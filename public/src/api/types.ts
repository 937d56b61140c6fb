// The bodies of the API. Names are those of the OpenAPI document's schemas.

export type KdfParams = { salt: string; log_n: number; r: number; p: number };
export type SignedEvent = {
  id: string;
  pubkey: string;
  created_at: number;
  kind: number;
  tags: string[][];
  content: string;
  sig: string;
};
export type Tokens = {
  access_token: string;
  token_type: string;
  expires_in: number;
  refresh_token: string;
};
export type SignIn = Tokens & {
  session: string;
  username: string;
  owner_pubkey: string;
  owner_blob: string | null;
  device_token: string | null;
  passkey?: string | null;
};
export type Account = {
  username: string;
  owner_pubkey: string;
  owner_blob: string | null;
  kdf: KdfParams | null;
  created_at: number;
  passkeys: number;
};
export type HolderEntry = { role: string; index: number; receiving_key: string };
export type HolderList = { holders: HolderEntry[] };
export type HolderPublic = { index: number; role: string; verifying_share: string };
export type GroupPublic = {
  group: string;
  epoch: number;
  threshold: number;
  pubkey: string;
  holders: HolderPublic[];
};
export type KeyView = {
  group: string;
  pubkey: string;
  npub: string;
  relay: string;
  label: string;
  created_at: number;
};
export type KeyDetail = KeyView & { sequence: number; public: GroupPublic };
export type Packages = { "1": string; "2": string };
export type Scope<T> = "all" | T[];
export type PolicyRule = {
  effect: "allow" | "ask" | "deny";
  methods: Scope<string>;
  kinds: Scope<number>;
  peers: Scope<string>;
  uses: number | null;
};
export type Policy = { rules: PolicyRule[] };
export type ConnectionStatus = "awaiting_client" | "connected" | "paused" | "logged_out" | "revoked" | "expired";
export type ClientInfo = { name: string | null; url: string | null; image: string | null };
export type Allowance = { method: string; kind: number | null; until: number | null };
export type ConnectionView = {
  connection: string;
  label: string;
  status: ConnectionStatus;
  transport_pubkey: string;
  client_pubkey: string | null;
  client: ClientInfo | null;
  policy: Policy;
  auth_url: boolean;
  allowances: Allowance[];
  created_at: number;
  expires_at: number | null;
  last_seen_at: number | null;
  uses: number;
};
export type EventTemplate = { kind: number; content: string; tags: string[][]; created_at: number };
export type PendingRequest = {
  request: string;
  connection: string;
  label: string;
  client: ClientInfo | null;
  method: string;
  kind: number | null;
  peer: string | null;
  template: EventTemplate | null;
  plaintext: string | null;
  ciphertext: string | null;
  held_at: number;
  expires_at: number;
};
export type AuditHead = { n: number; hash: string };
export type AuditRecord = { n: number; at_ms: number; prev: string; entry: Record<string, unknown>; hash: string };
export type ActivityPage = { records: AuditRecord[]; head: AuditHead; next: number | null };
export type SessionView = {
  session: string;
  device: string | null;
  created_at: number;
  last_used_at: number;
  current: boolean;
};
export type PasskeyView = {
  passkey: string;
  label: string;
  created_at: number;
  last_used_at: number | null;
  unlocks: boolean;
};
export type PasskeyOptions = { challenge: string; public_key: Record<string, unknown> };
export type ExportState =
  | { state: "none" }
  | { state: "waiting"; ready_at: number; statement: SignedEvent }
  | { state: "ready"; ready_at: number; statement: SignedEvent };

type Shape = { path?: object; query?: object; body?: unknown; reply?: unknown; status?: number };
type Operation<S extends Shape> = {
  parameters: {
    path: S extends { path: infer P } ? P : never;
    query?: S extends { query: infer Q } ? Q : never;
    header?: never;
    cookie?: never;
  };
  requestBody: S extends { body: infer B } ? { content: { "application/json": B } } : never;
  responses: S extends { reply: infer R }
    ? { 200: { headers: object; content: { "application/json": R } } }
    : { 204: { headers: object; content?: never } };
};
type NoPath<S extends Shape> = Omit<Operation<S>, "parameters" | "requestBody"> & {
  parameters: { path?: never; query?: S extends { query: infer Q } ? Q : never; header?: never; cookie?: never };
} & (S extends { body: infer B }
    ? { requestBody: { content: { "application/json": B } } }
    : { requestBody?: never });
type Bare<S extends Shape> = Omit<Operation<S>, "requestBody"> &
  (S extends { body: infer B } ? { requestBody: { content: { "application/json": B } } } : { requestBody?: never });

type InGroup = { group: string };
type OfConnection = InGroup & { connection: string };
type OfRequest = InGroup & { request: string };
type WithStatement = { statement: SignedEvent };

export interface paths {
  "/auth/register": {
    post: NoPath<{
      body: {
        username: string;
        password: string;
        owner_pubkey: string;
        owner_blob?: string | null;
        kdf?: KdfParams | null;
        proof: SignedEvent;
      };
      reply: { username: string };
    }>;
  };
  "/auth/params": { post: NoPath<{ body: { username: string }; reply: { kdf: KdfParams } }> };
  "/auth/token": {
    post: NoPath<{
      body: { username: string; password: string; device?: string; device_token?: string };
      reply: SignIn;
    }>;
  };
  "/auth/logout": { post: NoPath<object> };
  "/auth/reauthenticate": {
    post: NoPath<{ body: { password: string } | { challenge: string; credential: object } }>;
  };
  "/auth/password": {
    post: NoPath<{ body: { current: string; password: string; owner_blob: string; kdf: KdfParams } }>;
  };
  "/auth/recover/challenge": {
    post: NoPath<{ body: { owner_pubkey: string }; reply: { challenge: string; expires_in: number } }>;
  };
  "/auth/recover": {
    post: NoPath<{
      body: {
        owner_pubkey: string;
        challenge: string;
        password: string;
        owner_blob: string;
        kdf: KdfParams;
        proof: SignedEvent;
      };
      reply: { username: string };
    }>;
  };
  "/auth/sessions": { get: NoPath<{ reply: { sessions: SessionView[] } }>; delete: NoPath<object> };
  "/auth/sessions/{session}": { delete: Bare<{ path: { session: string } }> };
  "/account": { get: NoPath<{ reply: Account }>; delete: NoPath<object> };
  "/auth/passkeys": {
    get: NoPath<{ reply: { passkeys: PasskeyView[] } }>;
    post: NoPath<{
      body: { challenge: string; credential: object; label: string; owner_blob?: string | null };
      reply: { passkey: string };
    }>;
  };
  "/auth/passkeys/options": { post: NoPath<{ body: Record<string, never>; reply: PasskeyOptions }> };
  "/auth/passkeys/challenge": { post: NoPath<{ body: Record<string, never>; reply: PasskeyOptions }> };
  "/auth/passkeys/token": {
    post: NoPath<{ body: { challenge: string; credential: object; device?: string }; reply: SignIn }>;
  };
  "/auth/passkeys/{passkey}": { delete: Bare<{ path: { passkey: string } }> };
  "/auth/passkeys/{passkey}/owner_blob": {
    put: Bare<{ path: { passkey: string }; body: { owner_blob: string } }>;
  };
  "/holders": { get: NoPath<{ reply: HolderList }> };
  "/keys": {
    get: NoPath<{ reply: { keys: KeyView[] } }>;
    post: NoPath<{
      body: { statement: SignedEvent; packages: Packages; label: string };
      reply: KeyView & { sequence: number };
    }>;
  };
  "/keys/{group}": {
    get: Bare<{ path: InGroup; reply: KeyDetail }>;
    delete: Bare<{ path: InGroup; body: WithStatement }>;
  };
  "/keys/{group}/connections": {
    get: Bare<{ path: InGroup; reply: { connections: ConnectionView[] } }>;
    post: Bare<{
      path: InGroup;
      body: WithStatement & { transport: string };
      reply: { connection: string; bunker_url: string };
    }>;
  };
  "/keys/{group}/connections/{connection}": {
    patch: Bare<{ path: OfConnection; body: WithStatement; reply: { connection: string; status: ConnectionStatus } }>;
    delete: Bare<{ path: OfConnection; body: WithStatement; reply: { connection: string; status: ConnectionStatus } }>;
  };
  "/keys/{group}/requests": { get: Bare<{ path: InGroup; reply: { requests: PendingRequest[] } }> };
  "/keys/{group}/requests/{request}/approve": {
    post: Bare<{ path: OfRequest; body: WithStatement; reply: { request: string; status: string } }>;
  };
  "/keys/{group}/requests/{request}/deny": {
    post: Bare<{ path: OfRequest; body: WithStatement; reply: { request: string; status: string } }>;
  };
  "/keys/{group}/activity": {
    get: Bare<{ path: InGroup; query: { after?: number; limit?: number }; reply: ActivityPage }>;
  };
  "/keys/{group}/export": {
    post: Bare<{ path: InGroup; body: WithStatement; reply: { ready_at: number } }>;
    get: Bare<{ path: InGroup; reply: ExportState }>;
    delete: Bare<{ path: InGroup; body: WithStatement }>;
  };
  "/keys/{group}/export/release": {
    post: Bare<{
      path: InGroup;
      body: Record<string, never>;
      reply: { statement: SignedEvent; packages: Packages };
    }>;
  };
}
