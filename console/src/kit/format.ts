/** Numbers and moments as people of a language write them. */
import { language } from './choices';

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function formatter<T>(key: string, make: () => T): T {
  if (!cache.has(key)) cache.set(key, make() as never);
  return cache.get(key) as T;
}

export function number(value: number, digits = 0): string {
  return formatter(
    `n${digits}`,
    () => new Intl.NumberFormat(language(), { maximumFractionDigits: digits }),
  ).format(value);
}

export function moment(at: number | string): string {
  const make = () => new Intl.DateTimeFormat(language(), { dateStyle: 'medium', timeStyle: 'short' });
  return formatter('moment', make).format(new Date(at));
}

export function clock(at: number): string {
  const make = () => new Intl.DateTimeFormat(language(), { hour: '2-digit', minute: '2-digit' });
  return formatter('clock', make).format(new Date(at));
}

/** A moment as a field of a form has it: this browser's time, without the zone. */
export function localMoment(at: number): string {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** How long ago, in words. */
export function ago(at: number): string {
  const seconds = Math.round((at - Date.now()) / 1000);
  const words = new Intl.RelativeTimeFormat(language(), { numeric: 'auto' });
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return words.format(Math.trunc(seconds / size), unit);
  }
  return words.format(Math.min(0, seconds), 'second');
}

/** In how long, in words. */
export function ahead(at: number): string {
  const seconds = Math.max(0, Math.round((at - Date.now()) / 1000));
  const words = new Intl.RelativeTimeFormat(language(), { numeric: 'auto' });
  const [unit, size] = UNITS.find(each => seconds >= each[1]) ?? ['second', 1];
  return words.format(Math.trunc(seconds / size), unit);
}

/** 0.4 s, 12.1 s, 3 min 05 s. */
export function took(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 60) return `${number(seconds, 1)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const OCTETS = ['o', 'Kio', 'Mio', 'Gio', 'Tio'];

export function bytes(value: number): string {
  const units = language() === 'fr' ? OCTETS : BYTES;
  let left = value;
  let unit = 0;
  while (left >= 1024 && unit < units.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${number(left, left < 10 && unit > 0 ? 1 : 0)} ${units[unit] ?? ''}`;
}

export const short = (commit: string | null | undefined): string => (commit ?? '').slice(0, 8);
