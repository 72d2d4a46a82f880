// Formats numbers and times for people. A value that is no number becomes "–".

const NONE = "–";
const plain = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits }),
);

/** Returns a finite number, or null: there may be no traffic, or a part may be stopped. */
export const finite = (value) => (Number.isFinite(value) ? value : null);

/** Formats a number with about three significant digits. */
export function number(value) {
  if (finite(value) === null) return NONE;
  const size = Math.abs(value);
  return plain[size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3].format(value);
}

const withUnit = (format, unit) => (value) =>
  finite(value) === null ? NONE : `${format(value)} ${unit}`;

export const milliseconds = withUnit(number, "ms");
/** Formats seconds, or milliseconds below one second. */
export const duration = (value) =>
  finite(value) !== null && value < 1 ? milliseconds(Math.round(value * 1000)) : withUnit(number, "s")(value);
export const percent = withUnit((share) => number(Math.round(share * 1000) / 10), "%");

export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

export const bytes = (value) =>
  value >= GIB
    ? withUnit((size) => number(size / GIB), "GiB")(value)
    : withUnit((size) => plain[size >= 10 * MIB ? 0 : 1].format(size / MIB), "MiB")(value);

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** Formats a Unix time in seconds as local time of day. */
export const time = (at) => clock.format(new Date(at * 1000));

const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** Formats a Date as local date and time. */
export const date = (at) => day.format(at);

export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
