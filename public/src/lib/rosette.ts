// The fine-line rosette of a banknote or passport. Drawn from a key, it is the same for the same key everywhere, and
// visibly another one for another key.

const POINTS = 420;

/** Closed curves within a unit circle, as SVG paths on a grid of ±100. */
export function rosette(seed: string): string[] {
  const bytes = bytesOf(seed);
  const at = (index: number): number => bytes[index % bytes.length] ?? 0;
  return [0, 1, 2].map((ring) => {
    const petals = 5 + (at(ring) % 9) + ring * 4;
    const twist = 1 + (at(ring + 3) % 3);
    const outer = 96 - ring * 24;
    const depth = 14 + (at(ring + 6) % 18);
    const ripple = 3 + (at(ring + 9) % 6);
    const phase = (at(ring + 12) / 255) * Math.PI * 2;
    return curve((t) => {
      const wave = Math.sin(petals * t + phase) * depth * 0.5 + Math.sin(petals * (twist + 1) * t) * ripple;
      return outer - depth * 0.5 - ripple + wave;
    }, phase);
  });
}

function curve(radius: (t: number) => number, phase: number): string {
  let path = "";
  for (let index = 0; index < POINTS; index += 1) {
    const t = (index / POINTS) * Math.PI * 2;
    const r = radius(t);
    const x = r * Math.cos(t + phase);
    const y = r * Math.sin(t + phase);
    path += `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }
  return `${path}Z`;
}

function bytesOf(seed: string): number[] {
  const pairs = /^([0-9a-f]{2}){8,}$/.test(seed) ? (seed.match(/../g) ?? []) : null;
  return pairs ? pairs.map((pair) => parseInt(pair, 16)) : [...seed].map((char) => (char.charCodeAt(0) * 37) % 256);
}
