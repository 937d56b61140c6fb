/** A person's story in the pages: a site, an empty profile, an ear on both, and all that must not leave a page in it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { getPublicKey, nip19 } from "nostr-tools";
import { expect } from "vitest";
import { newProfile } from "./browser.mjs";
import { App } from "./browser-app.mjs";
import { Person } from "./browser-person.mjs";
import { Watched, openKit, passwordKeys, shareAt, wholeKey } from "./browser-secrets.mjs";
import { startSite } from "./browser-site.mjs";
import { Wiretap } from "./browser-wiretap.mjs";
import { deploymentSecrets, openHolder } from "./vault.mjs";

/** A site, an empty profile, a person in it and an ear on it. */
export async function begin(browser, { vars, ...options } = {}) {
  const site = await startSite({ vars });
  const profile = await newProfile(browser, options);
  const wiretap = Wiretap.on(profile, site.tap);
  const person = new Person(await profile.newPage(), site);
  return { site, profile, wiretap, person, apps: [] };
}

export async function end(world) {
  await Promise.all((world?.apps ?? []).map((app) => app.close()));
  await world?.profile?.close();
  await world?.site?.stop();
}

export async function connectApp(world, name, preset, options) {
  const { url, connection } = await world.person.connect(name, preset, options);
  const app = Object.assign(await App.connect(url), { url, connection });
  world.apps.push(app);
  return app;
}

export const hexOf = (npub) => nip19.decode(npub).data;

/** All that must not leave a page in one story. Only when its server has stopped. */
export function secretsOf({ site, person }) {
  const kdfs = sent({ site }, "kdf");
  expect(kdfs.length).toBeGreaterThan(0);
  const keys = deploymentSecrets(join(site.server.folder, "secrets.env"));
  const secrets = person.secrets();
  for (const [n, kdf] of kdfs.entries()) {
    const { root, blobKey } = passwordKeys(person.password, kdf);
    secrets.push(Watched.key(`the stretched password (${n})`, root), Watched.key(`the owner blob's key (${n})`, blobKey));
  }
  const bunkers = opened(site, "Bunker", keys.HSM_SIMULATOR_BUNKER_KEK);
  const cosigners = opened(site, "Cosigner", keys.HSM_SIMULATOR_COSIGNER_KEK);
  for (const { name, share, transports } of [...bunkers, ...cosigners]) {
    secrets.push(Watched.key(`the ${name}'s share`, share));
    secrets.push(...transports.map((it) => Watched.key("a connection's transport key", it)));
  }
  for (const { npub, kit } of person.identities) {
    const { share, holder } = openKit(kit, person.passphrase);
    const pairs = bunkers.map((bunker) => [[1, bunker.share], [holder, share]]);
    const pair = pairs.find((it) => getPublicKey(wholeKey(it)) === hexOf(npub));
    expect(pair, "the shares give the key").toBeDefined();
    secrets.push(Watched.key(`the key of ${npub}`, wholeKey(pair)));
    const devices = JSON.parse(kit).public.holders.filter(({ role }) => role === "device");
    secrets.push(...devices.map(({ index }) => Watched.key("a device's share", shareAt(index, pair))));
  }
  return secrets;
}

/** What the holders of a class keep. One that never held anything has no folder. */
function opened(site, name, kek) {
  const folder = join(site.server.folder, "state", "v3", "do", `passport-${name}`);
  return existsSync(folder) ? site.server.objectFiles(name).map((file) => ({ name, ...openHolder(file, kek) })) : [];
}

/** What the browser sent under a name, each time. */
export function sent({ site }, name) {
  const line = site.tap.sent().map((bytes) => bytes.toString("latin1")).join("\n");
  return [...line.matchAll(new RegExp(`"${name}":("[^"]*"|\\{[^}]*\\})`, "g"))].map(([, value]) => JSON.parse(value));
}
