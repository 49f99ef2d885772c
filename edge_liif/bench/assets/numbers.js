// How numbers are read from a report (null: not measured, "inf": infinite) and written for people.
const NONE = "–";

function num(value) {
  if (value === "inf") return Infinity;
  return typeof value === "number" && !Number.isNaN(value) ? value : null;
}

const fixed = (value, digits) =>
  value === null || value === undefined ? NONE : Number.isFinite(value)
    ? value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : "∞";
const three = (value) =>
  value === null || value === undefined ? NONE : Number.isFinite(value)
    ? value.toLocaleString("en-US", { maximumSignificantDigits: 3 }) : "∞";

const megabytes = (bytes) => bytes === null || bytes === undefined ? NONE : `${fixed(bytes / 1e6, 2)} MB`;
const decibels = (db) => `${fixed(db, 2)} dB`;
const timesName = (scale) => `x${scale}`;

function lossText(db) {
  // a loss below what is shown is not "0.00": it is below
  if (db === null || db === undefined) return NONE;
  if (Math.abs(db) < 0.005) return "less than 0.01 dB";
  return db > 0 ? `${fixed(db, 2)} dB` : `nothing (gains ${fixed(-db, 2)} dB)`;
}

const shareText = (ratio) => ratio === null || ratio === undefined ? NONE
  : ratio >= 0.95 ? `${fixed(ratio * 100, 0)} % of the fp32 file` : `1/${fixed(1 / ratio, 1)} of the fp32 file`;

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function logTicks(low, high) {
  // every power of ten in full if there are many, else also its 2 and 5, or every digit
  const decades = Math.log10(high / low);
  const steps = decades > 2.5 ? [1] : decades > 0.7 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const s of steps) {
      const tick = s * 10 ** e;
      if (tick >= low * 0.9999 && tick <= high * 1.0001) ticks.push(tick);
    }
  }
  return ticks.length > 1 ? ticks : niceTicks(low, high, 4).ticks;
}
