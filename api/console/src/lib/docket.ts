// What lies on the duty officer's desk: incidents with their alerts, and alerts
// that belong to none, in the order in which they want attention. No Vue.
import type { Alert, Incident, Severity } from '../api'

export const severities: Severity[] = ['notice', 'blue', 'yellow', 'orange', 'red']
const rank = (s: Severity) => severities.indexOf(s)

/**
 * incident: null for an alert that stands by itself, or whose incident is not
 * known here; without one there are several alerts only where one rule tells of
 * many areas, as of a danger level.
 */
export interface Item { key: string; incident: Incident | null; alerts: Alert[] }
export interface Docket { items: Item[]; notices: Alert[]; hushed: number }

const firing = (a: Alert) => a.state === 'firing'
const waits = (a: Alert) => !a.acks?.length
/** An incident that nobody has closed or refuted. */
export const stands = (i: Incident): boolean => i.state === 'open' || i.state === 'confirmed'

/** An SOS is never grouped away, kept back or silenced. */
export const isSOS = (a: Alert): boolean =>
  a.rule === 'sos' || (a.evidence ?? []).some((e) => e.field === 'active') || a.explanation?.condition.startsWith('sos') === true

/** What a rule tells of an area as a whole; a hotspot has a place of its own. */
const ofArea = (a: Alert) => a.device === '' && a.rule !== '' && !(a.evidence ?? []).some((e) => e.field.startsWith('frp_mw'))

function byNeed(a: Alert, b: Alert): number {
  return Number(firing(b)) - Number(firing(a)) || Number(waits(b)) - Number(waits(a))
    || rank(b.severity) - rank(a.severity) || b.raised.localeCompare(a.raised)
}

const itemFires = (x: Item) => (x.incident ? stands(x.incident) : firing(x.alerts[0]!))
// An incident waits for a person until one has said what it is.
const itemWaits = (x: Item) => (x.incident && stands(x.incident) ? x.incident.state === 'open' || x.alerts.some((a) => firing(a) && waits(a)) : x.alerts.some(waits))
const itemRank = (x: Item) => Math.max(x.incident ? rank(x.incident.severity) : 0, ...x.alerts.filter((a) => firing(a) || !itemFires(x)).map((a) => rank(a.severity)))
const itemTime = (x: Item) => x.alerts.reduce((t, a) => (a.raised > t ? a.raised : t), x.incident?.opened ?? '')

/**
 * docketOf groups and sorts. What is kept from people is left out unless asked
 * for, but counted; notices are no alarms and come apart from the rest.
 */
export function docketOf(alerts: Alert[], incidents: Incident[], show: { over: boolean; hushed: boolean }): Docket {
  const known = new Map(incidents.map((i) => [i.id, i]))
  const groups = new Map<string, Item>()
  const notices: Alert[] = []
  let hushed = 0
  for (const i of incidents) if (stands(i)) groups.set(i.id, { key: i.id, incident: i, alerts: [] })
  for (const a of alerts) {
    const incident = known.get(a.incident ?? '') ?? null
    const live = firing(a) || (incident !== null && stands(incident))
    if (!live && !show.over) continue
    if (a.hush && firing(a)) hushed++
    if (a.hush && !show.hushed) continue
    if (a.severity === 'notice' && !incident) {
      notices.push(a)
      continue
    }
    const key = incident?.id ?? (ofArea(a) ? [a.rule, a.severity, a.state].join() : a.id)
    const item: Item = groups.get(key) ?? { key, incident, alerts: [] }
    item.alerts.push(a)
    groups.set(key, item)
  }
  for (const x of groups.values()) x.alerts.sort(byNeed)
  // Two or three areas are told by themselves.
  const apart = [...groups.values()].flatMap((x) =>
    x.incident || x.alerts.length > 3 ? [x] : x.alerts.map((a) => ({ key: a.id, incident: null, alerts: [a] })))
  const items = apart.sort((a, b) =>
    Number(itemFires(b)) - Number(itemFires(a)) || Number(itemWaits(b)) - Number(itemWaits(a))
    || itemRank(b) - itemRank(a) || itemTime(b).localeCompare(itemTime(a)))
  return { items, notices: notices.sort(byNeed), hushed }
}

export interface Mark { id: string; lon: number; lat: number; severity: Severity; incident: boolean; confirmed: boolean; chosen: boolean; words: { zh: string; en: string } }

/** marksOf are the places on the map: one for each fire, not one for each sensor of it. */
export function marksOf(alerts: Alert[], incidents: Incident[], chosen: string): Mark[] {
  const drawn = new Map<string, Incident>()
  const out: Mark[] = []
  for (const i of incidents) {
    if (!stands(i) || i.lat === null || i.lon === null) continue
    drawn.set(i.id, i)
    out.push({ id: i.id, lon: i.lon, lat: i.lat, severity: i.severity, incident: true, confirmed: i.state === 'confirmed', words: { zh: i.title, en: i.title }, chosen: alerts.some((a) => a.id === chosen && a.incident === i.id) })
  }
  for (const a of alerts) {
    if (!firing(a) || a.lat === null || a.lon === null) continue
    const at = drawn.get(a.incident ?? '')
    if (at && at.lat === a.lat && at.lon === a.lon && !isSOS(a)) continue // the incident's own place
    if (a.id !== chosen && (a.severity === 'notice' || a.hush || ofArea(a) || (at && !isSOS(a)))) continue
    out.push({ id: a.id, lon: a.lon, lat: a.lat, severity: a.severity, incident: false, confirmed: false, words: { zh: a.summary, en: a.summary_en || a.summary }, chosen: a.id === chosen })
  }
  return out.slice(0, 300)
}
