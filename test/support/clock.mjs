/** Times as Nostr has them. */

/** Now, in whole seconds since 1970. */
export const nowS = () => Math.floor(Date.now() / 1000);
