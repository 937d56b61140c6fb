// The bodies of the API, from the OpenAPI document. Two things are put right on the way: the document calls a field
// optional that may be null, though every answer has it, but for a few; and it leaves open what the device's types know
// exactly.

import type { components, paths as Document } from "../generated/api";
import type { AuditRecord as DeviceRecord, Rule } from "../vault";

type Schemas = components["schemas"];

export type PolicyRule = Required<Rule>;
export type AuditRecord = Omit<DeviceRecord, "entry"> & { entry: Record<string, unknown> };

/** What an answer leaves out where there is nothing to say: all of it is about keys that people share. */
type LeftOut = "members" | "shared" | "signers";

/** A body as it arrives: every other field there. */
type Whole<T> = T extends Schemas["PolicyRule"]
  ? PolicyRule
  : T extends Schemas["AuditRecord"]
    ? AuditRecord
    : T extends readonly (infer Item)[]
      ? Whole<Item>[]
      : T extends object
        ? { [Key in keyof T as Exclude<Key, LeftOut>]-?: Whole<Exclude<T[Key], undefined>> } & {
            [Key in keyof T as Extract<Key, LeftOut>]?: Whole<Exclude<T[Key], undefined>>;
          }
        : T;
type Answers<Responses> = {
  [Status in keyof Responses]: Responses[Status] extends { content: infer Content }
    ? Omit<Responses[Status], "content"> & { content: Whole<Content> }
    : Responses[Status];
};
type Operation<T> = T extends { responses: infer Responses }
  ? Omit<T, "responses"> & { responses: Answers<Responses> }
  : T;

/** What the client is typed with. */
export type paths = {
  [Path in keyof Document]: { [Method in keyof Document[Path]]: Operation<Document[Path][Method]> };
};

export type Account = Whole<Schemas["AccountView"]>;
export type ActivityPage = Whole<Schemas["ActivityPage"]>;
export type Allowance = Whole<Schemas["AllowanceView"]>;
export type ConnectionStatus = Schemas["ConnectionStatus"];
export type ConnectionView = Whole<Schemas["ConnectionView"]>;
export type ExportView = Whole<Schemas["ExportView"]>;
export type KeyDetail = Whole<Schemas["KeyDetail"]>;
export type KeyView = Whole<Schemas["KeyView"]>;
export type PasskeyAnswer = Schemas["AssertionJson"];
export type PasskeyOptions = Whole<Schemas["PasskeyOptions"]>;
export type PasskeyMade = Schemas["RegistrationJson"];
export type PasskeyView = Whole<Schemas["PasskeyView"]>;
export type PendingRequest = Whole<Schemas["RequestView"]>;
export type SessionView = Whole<Schemas["SessionView"]>;
export type SharedKey = Whole<Schemas["SharedKeyView"]>;
export type SignedEvent = Schemas["SignedEvent"];
export type SignIn = Whole<Schemas["SignInReply"]>;
export type Tokens = Schemas["TokenReply"];
