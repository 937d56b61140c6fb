/** A person's device in a ceremony, one step at a time: the page's own program, over the routes that anybody sees. */
import { randomBytes } from "node:crypto";
import { ask } from "./api.mjs";
import { Vault, nowS } from "./device-program.mjs";

const PASSWORD = "a password for tests only";

export class Participant {
  vault = new Vault();
  username = `participant-${randomBytes(6).toString("hex")}`;
  /** What was taken in so far, and what is due from this device. */
  stand = { packages: [], next: 0, round: 0, verified: false };

  constructor(server) {
    this.server = server;
  }

  /** With an account, signed in and unlocked. */
  static async signedIn(server) {
    const person = new Participant(server);
    const { username, vault } = person;
    const enrolment = vault.register({ origin: server.url, username, password: PASSWORD });
    const made = await ask(server, "POST", "/auth/register", { json: { username, ...enrolment } });
    if (made.status !== 201) throw new Error(`not registered: ${made.text}`);
    const signedIn = await ask(server, "POST", "/auth/token", { json: { username, password: enrolment.password } });
    return Object.assign(person, { owner: enrolment.owner_pubkey, token: signedIn.body.access_token });
  }

  /** Asks as this account. */
  ask(method, path, options = {}) {
    return ask(this.server, method, path, { token: this.token, ...options });
  }

  /** The request that starts a keygen with the server's holders. */
  async startRequest(custody = "hosted") {
    const { body: holders } = await this.ask("GET", "/holders");
    return this.vault.call("begin_keygen", { holders, custody });
  }

  /** Starts a keygen with the server's holders. */
  async start(custody = "hosted") {
    const started = await this.ask("POST", "/ceremony/start", { json: await this.startRequest(custody) });
    if (started.status !== 201) throw new Error(`not started: ${started.text}`);
    this.path = `/ceremony/${started.body.operation_id}`;
    return this.take(started.body);
  }

  /** Takes in how the ceremony stands; gives that. */
  take(view) {
    this.shown = view;
    this.stand = this.vault.call("take_ceremony", { view });
    return view;
  }

  /** Sends a package to its round. */
  say(said, round = said.round) {
    return this.ask("POST", `${this.path}/round/${round}?after=${this.stand.next}`, { json: { participant_data: said } });
  }

  look() {
    return this.ask("GET", `${this.path}?after=${this.stand.next}`);
  }

  /** Says what is due, or looks, and takes in the answer. */
  async step() {
    let answer = this.stand.packages.length === 0 ? await this.look() : null;
    for (const said of this.stand.packages) answer = await this.say(said);
    if (answer.status !== 200) throw new Error(`step refused: ${answer.text}`);
    return this.take(answer.body);
  }

  /** Takes part until the key is verified. @returns {Promise<number>} requests that it took, the start included */
  async finish() {
    let requests = 1;
    while (!this.stand.verified) {
      requests += Math.max(1, this.stand.packages.length);
      await this.step();
    }
    return requests;
  }

  /**
   * Has all shares of a hosted identity renewed, as the page does. What is to be kept is taken for kept.
   * @returns {Promise<number>} requests that it took, from the start
   */
  async renew(group) {
    const { body: holders } = await this.ask("GET", "/holders");
    const { body: key } = await this.ask("GET", `/keys/${group}`);
    const { public: present, sequence } = key;
    const { request } = this.vault.call("begin_renewal", { public: present, holders, custody: "hosted", shares: null, kit: null });
    const started = await this.ask("POST", "/ceremony/start", { json: request });
    if (started.status !== 201) throw new Error(`not started: ${started.text}`);
    this.path = `/ceremony/${started.body.operation_id}`;
    this.take(started.body);
    const statement = this.vault.call("reshare", { seq: sequence + 1 }, nowS());
    const said = await this.ask("POST", `/keys/${group}/reshare`, { json: { statement } });
    if (said.status !== 204) throw new Error(`not heard: ${said.text}`);
    let requests = 2;
    while (!this.stand.verified) {
      if (this.stand.keeps) {
        this.vault.device.new_shares();
        this.vault.device.kept();
        this.take(this.shown);
      }
      requests += Math.max(1, this.stand.packages.length);
      await this.step();
    }
    this.vault.device.end_ceremony();
    return requests;
  }

  /** Creates the identity that came out. */
  async create() {
    const made = this.vault.call("finish_keygen", nowS());
    const { statement, ceremony, shares } = made;
    const { group } = made.public;
    const created = await this.ask("POST", "/keys", { json: { statement, ceremony, label: "A key made by several" } });
    return { made, created, group, shares, ceremony };
  }
}
