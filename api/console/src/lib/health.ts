// The state of a device in words: what the devices page shows as tags and the
// drawer as sentences. No Vue, no language: a note is a key of `desk.note` with
// its parameters.
import type { Device, Health, Liveness } from '../api'

export type Tone = 'bad' | 'warn' | 'info'
export interface Note { key: string; params: Record<string, string | number>; tone: Tone }

/** The states in the order of the tags above the table. */
export const livenessOrder: Liveness[] = ['online', 'late', 'silent', 'unknown', 'never_seen']

const skewMatters = 10 // s; less is the network's share
const soonEmpty = 7 // days
const nearlyEmpty = 2 // days
const lowBattery = 15 // %, as the sample rule has it

/** A span of seconds where the exact number tells something: 89 s is not "1 min". */
export function skewSpan(s: number): { unit: 's' | 'm' | 'h' | 'd'; n: number } {
  const a = Math.abs(s)
  if (a < 120) return { unit: 's', n: Math.round(a) }
  if (a < 7200) return { unit: 'm', n: Math.round(a / 60) }
  if (a < 172_800) return { unit: 'h', n: Math.round(a / 3600) }
  return { unit: 'd', n: Math.round(a / 86_400) }
}

export interface Battery { pct: number; daysLeft: number | null; tone: Tone }

/** batteryOf is what is known of the battery: the health's word, else the last reading's. */
export function batteryOf(d: Pick<Device, 'health' | 'last'>): Battery | null {
  const pct = d.health?.battery_pct ?? d.last?.values.battery_pct
  if (pct === undefined || pct === null) return null
  const daysLeft = d.health?.days_left ?? null
  const days = daysLeft ?? Infinity
  const tone = days < nearlyEmpty || pct < lowBattery ? 'bad' : days < soonEmpty ? 'warn' : 'info'
  return { pct: Math.round(pct), daysLeft, tone }
}

/** Days left as a note: never more exact than a trend over some days can be. */
export function daysLeftNote(days: number): Note {
  const tone: Tone = days < nearlyEmpty ? 'bad' : days < soonEmpty ? 'warn' : 'info'
  if (days < 1) return { key: 'daysLeftNone', params: {}, tone }
  if (days > 365) return { key: 'daysLeftYear', params: {}, tone }
  return { key: 'daysLeft', params: { n: Math.floor(days) }, tone }
}

/**
 * notesOf is what is remarkable of a device's health, the gravest first: nothing
 * for a device that is as it should be. A reading that is missing is unknown, it
 * may still come; so it is never said to be lost.
 */
export function notesOf(h: Health | null): Note[] {
  if (!h) return []
  const notes: Note[] = []
  if (h.flood === 'cut') notes.push({ key: 'floodCut', params: {}, tone: 'bad' })
  if (h.flood === 'slowed') notes.push({ key: 'floodSlowed', params: {}, tone: 'warn' })
  if (h.skew_s !== null && Math.abs(h.skew_s) > skewMatters) {
    const { unit, n } = skewSpan(h.skew_s)
    notes.push({ key: `${h.skew_s > 0 ? 'fast' : 'slow'}.${unit}`, params: { n }, tone: 'warn' })
  }
  if (h.missing > 0) notes.push({ key: 'missing', params: { n: h.missing }, tone: 'warn' })
  if (h.buffered !== null && h.buffered > 0) notes.push({ key: 'buffered', params: { n: h.buffered }, tone: 'info' })
  return notes
}

export interface Seen { measured: string | null; received: string | null; lateS: number }

/**
 * seenOf tells when a device last measured and when its newest message came. The
 * two differ while it hands in what it kept; only the measuring proves life.
 */
export function seenOf(d: Pick<Device, 'health' | 'last'>): Seen {
  const newest = (a: string | null | undefined, b: string | undefined) => (Date.parse(a ?? '') >= Date.parse(b ?? '') || !b ? a : b) ?? null
  const measured = newest(d.health?.measured, d.last?.measured)
  const received = newest(d.health?.received, d.last?.received)
  const lateS = measured && received ? Math.max(0, (Date.parse(received) - Date.parse(measured)) / 1000) : 0
  return { measured, received, lateS }
}
