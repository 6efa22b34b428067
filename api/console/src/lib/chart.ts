import type { Reading, Window } from '../api'

export interface Curve { field: string; points: { at: number; value: number }[]; min: number; max: number }

const preferred = ['smoke_obs_pct_m', 'co_ppm', 'temp_c', 'rh_pct', 'wind_ms', 'battery_pct', 'speed_ms', 'alt_m']
const never = ['lat', 'lon', 'uptime_s']

const rank = (f: string) => (preferred.includes(f) ? preferred.indexOf(f) : 99)

/** curvesOf turns readings into one curve per field, by measured time, the telling fields first. */
export function curvesOf(readings: Reading[]): Curve[] {
  const byField = new Map<string, { at: number; value: number }[]>()
  for (const r of readings) {
    const at = Date.parse(r.measured)
    for (const [field, value] of Object.entries(r.values)) {
      if (never.includes(field)) continue
      const list = byField.get(field)
      if (list) list.push({ at, value })
      else byField.set(field, [{ at, value }])
    }
  }
  return [...byField]
    .map(([field, points]) => {
      points.sort((a, b) => a.at - b.at)
      const values = points.map((p) => p.value)
      return { field, points, min: Math.min(...values), max: Math.max(...values) }
    })
    .sort((a, b) => rank(a.field) - rank(b.field))
}

/**
 * pathOf draws the curve into a box. A pause longer than `gapMs` breaks the
 * line: where nothing was measured nothing is drawn.
 */
export function pathOf(c: Curve, from: number, to: number, width: number, height: number, gapMs: number): string {
  const low = c.min === c.max ? c.min - 1 : c.min
  const high = c.min === c.max ? c.max + 1 : c.max
  const x = (at: number) => ((at - from) / (to - from)) * width
  const y = (v: number) => height - ((v - low) / (high - low)) * height
  let path = ''
  let last = -Infinity
  for (const p of c.points) {
    if (p.at < from || p.at > to) continue
    const pen = p.at - last > gapMs ? 'M' : 'L'
    path += `${pen}${x(p.at).toFixed(1)} ${y(p.value).toFixed(1)}`
    if (pen === 'M') path += 'h0.1' // a lonely point is seen too
    last = p.at
  }
  return path
}

export interface Band { field: string; points: { at: number; low: number; mean: number; high: number }[]; min: number; max: number }

/** bandsOf turns windows into one band per field, in the order of curvesOf; a flag has no mean and is left out. */
export function bandsOf(windows: Window[], everyS: number): Band[] {
  const byField = new Map<string, Band['points']>()
  for (const w of windows) {
    const at = Date.parse(w.at) + everyS * 500 // the middle of the window
    for (const [field, mean] of Object.entries(w.mean)) {
      if (never.includes(field)) continue
      const list = byField.get(field) ?? []
      byField.set(field, list)
      list.push({ at, mean, low: w.min[field] ?? mean, high: w.max[field] ?? mean })
    }
  }
  return [...byField]
    .map(([field, points]) => {
      points.sort((a, b) => a.at - b.at)
      // A sum, as of rain, lies beyond the readings that it is made of.
      return { field, points, min: Math.min(...points.map((p) => Math.min(p.low, p.mean))), max: Math.max(...points.map((p) => Math.max(p.high, p.mean))) }
    })
    .sort((a, b) => rank(a.field) - rank(b.field))
}

/** areaOf draws the band itself, broken where the line is. */
export function areaOf(b: Band, from: number, to: number, width: number, height: number, gapMs: number): string {
  const low = b.min === b.max ? b.min - 1 : b.min
  const high = b.min === b.max ? b.max + 1 : b.max
  const x = (at: number) => (((at - from) / (to - from)) * width).toFixed(1)
  const y = (v: number) => (height - ((v - low) / (high - low)) * height).toFixed(1)
  const runs: Band['points'][] = []
  for (const p of b.points) {
    if (p.at < from || p.at > to) continue
    const run = runs.at(-1)
    if (run && p.at - run.at(-1)!.at <= gapMs) run.push(p)
    else runs.push([p])
  }
  return runs.map((run) => `M${run.map((p) => `${x(p.at)} ${y(p.high)}`).join('L')}L${[...run].reverse().map((p) => `${x(p.at)} ${y(p.low)}`).join('L')}Z`).join('')
}
