// What this browser is called in the list of sessions, and the token by which the server knows it again.

const STORED = "passport.devices";

/** "Firefox on Android": a hint for the person, nothing is decided by it. */
export function deviceName(agent = navigator.userAgent): string {
  const browser = /Edg\//.test(agent)
    ? "Edge"
    : /OPR\//.test(agent)
      ? "Opera"
      : /Firefox\//.test(agent)
        ? "Firefox"
        : /Chrome\//.test(agent)
          ? "Chrome"
          : /Safari\//.test(agent)
            ? "Safari"
            : "Browser";
  const system = /Android/.test(agent)
    ? "Android"
    : /iPhone|iPad/.test(agent)
      ? "iOS"
      : /Windows/.test(agent)
        ? "Windows"
        : /Mac OS X/.test(agent)
          ? "macOS"
          : /CrOS/.test(agent)
            ? "ChromeOS"
            : /Linux/.test(agent)
              ? "Linux"
              : "";
  return system ? `${browser} on ${system}` : browser;
}

/** A browser from which this account signed in before is not locked out with the others. */
export function deviceToken(username: string): string | undefined {
  return all()[username];
}

export function keepDeviceToken(username: string, token: string | null | undefined): void {
  if (!token) return;
  localStorage.setItem(STORED, JSON.stringify({ ...all(), [username]: token }));
}

function all(): Record<string, string> {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}
