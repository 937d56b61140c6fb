/** Comparing two samples without assuming how they are distributed. */

/**
 * The probability that a value of the first sample is greater than one of the second, ties counting half: one half for
 * samples of the same distribution, 0 or 1 for those that one look tells apart.
 * @param {number[]} first
 * @param {number[]} second
 */
export function probabilityGreater(first, second) {
  let wins = 0;
  for (const a of first) for (const b of second) wins += a > b ? 1 : a === b ? 0.5 : 0;
  return wins / (first.length * second.length);
}

/** The value below which a part of the sample lies. @param {number[]} sample @param {number} part */
export function quantile(sample, part) {
  return sample.toSorted((a, b) => a - b)[Math.min(sample.length - 1, Math.floor(part * sample.length))];
}
