// Fire danger as the map and its panel show it. No Vue, no language.
import type { Area, DangerDay } from '../api'

/** The colours of the five levels (LY/T 1172); index 0 is the ground below the hatching of what is unknown. */
export const dangerColours = ['#5b6771', '#3f9d5c', '#3d7fd0', '#e6c229', '#ee7d1b', '#d93a36']
export const dangerLevels = [1, 2, 3, 4, 5, 0]

/** A level of another day, of too few stations, or taken from a wider area: shown, but marked. */
export const marked = (d: DangerDay): boolean => d.level > 0 && (d.degraded || d.held_from !== null)

export interface DangerShape { code: string; level: number; marked: boolean }

/** dangerShapes are the townships with their levels; one that nobody rated is unknown, never calm. */
export function dangerShapes(areas: Area[], days: DangerDay[]): GeoJSON.FeatureCollection<GeoJSON.Geometry, DangerShape> {
  const by = new Map(days.map((d) => [d.area, d]))
  return {
    type: 'FeatureCollection',
    features: areas.filter((a) => a.level === 'township' && a.outline).map((a) => {
      const d = by.get(a.code)
      return { type: 'Feature', geometry: a.outline!, properties: { code: a.code, level: d?.level ?? 0, marked: d ? marked(d) : false } }
    }),
  }
}

/** dangerCounts tells how many of the townships stand at each level, the unknown at 0. */
export function dangerCounts(areas: Area[], days: DangerDay[]): number[] {
  const counts = [0, 0, 0, 0, 0, 0]
  for (const f of dangerShapes(areas, days).features) counts[f.properties.level]!++
  return counts
}

export interface Bar { day: string; level: number; value: number | null; marked: boolean }

/** dayBars are the last n days up to `to`, those that were not rated included, as unknown. */
export function dayBars(days: DangerDay[], to: string, n = 30): Bar[] {
  const by = new Map(days.map((d) => [d.date, d]))
  const end = Date.parse(`${to}T00:00:00Z`)
  return Array.from({ length: n }, (_, i) => {
    const day = new Date(end - (n - 1 - i) * 86_400_000).toISOString().slice(0, 10)
    const d = by.get(day)
    return { day, level: d?.level ?? 0, value: d?.value ?? null, marked: d ? marked(d) : false }
  })
}
