// What an explanation says, made ready for a chart and a list. No Vue.
import type { Alert, Evidence, Explanation, SeriesLine } from '../api'
import type { Curve } from './chart'

/** thresholdsOf are the bounds of a quantity that a rule has named: in its values, or in its condition. */
export function thresholdsOf(x: Explanation | undefined, field: string): number[] {
  if (!x) return []
  const out = new Set<number>()
  const suspect = x.values[`suspect_${field}`]
  if (suspect !== undefined && suspect > 0) out.add(suspect)
  const name = field.replace(/[^\w]/g, '')
  // latest("temp_c") >= 30, max("co_ppm", "10m") > 50, battery_pct < 15; a rise or a rate is no bound of the quantity itself
  const bound = new RegExp(`(?:(?:latest|max|min|avg)\\(\\s*["']${name}["'][^)]*\\)|(?:^|[\\s(])${name})\\s*[<>]=?\\s*(-?\\d+(?:\\.\\d+)?)`, 'g')
  for (const m of x.condition.matchAll(bound)) out.add(Number(m[1]))
  return [...out].sort((a, b) => a - b)
}

export interface Told { curve: Curve; device: string; field: string; unit: string; thresholds: number[]; proofs: { at: number; value: number }[]; gapMs: number }

/** toldOf makes of each line of the series a curve that has room for its bounds and its evidence. */
export function toldOf(lines: SeriesLine[], evidence: Evidence[], x: Explanation | undefined): Told[] {
  return lines.map((l) => {
    const points = l.at_ms.map((at, i) => ({ at, value: l.value[i]! }))
    const proofs = evidence.filter((e) => e.device === l.device && e.field === l.field).map((e) => ({ at: Date.parse(e.measured), value: e.value }))
    const thresholds = thresholdsOf(x, l.field)
    const seen = [...points, ...proofs].map((p) => p.value)
    // A bound far from all that was measured would press the curve flat.
    const [low, high] = [Math.min(...seen), Math.max(...seen)]
    const near = thresholds.filter((v) => Math.abs(v - (low + high) / 2) <= Math.max(high - low, Math.abs(high), 1) * 4)
    const pauses = points.slice(1).map((p, i) => p.at - points[i]!.at).sort((a, b) => a - b)
    return {
      device: l.device, field: l.field, unit: l.unit, proofs, thresholds: near,
      curve: { field: l.field, points, min: Math.min(low, ...near), max: Math.max(high, ...near) },
      gapMs: Math.max(120_000, (pauses[Math.floor(pauses.length / 2)] ?? 0) * 4),
    }
  })
}

/** A name of a value: a field, a bound, or a function of a field over a window, as `rise("co_ppm", "10m")`. */
export interface ValueName { kind: 'field' | 'suspect' | 'function' | 'other'; field: string; f: string; window: string }

export function valueName(key: string): ValueName {
  const call = /^(\w+)\(\s*["'](\w+)["'](?:\s*,\s*["'](\w+)["'])?[^()]*\)$/.exec(key)
  if (call) return { kind: 'function', f: call[1]!, field: call[2]!, window: call[3] ?? '' }
  if (key.startsWith('suspect_')) return { kind: 'suspect', f: '', field: key.slice(8), window: '' }
  return { kind: /^[a-z0-9_]+$/.test(key) ? 'field' : 'other', f: '', field: key, window: '' }
}

/** What the list shows of an alert may be newer than what was asked for by itself; that is kept until it comes anew. */
export function withWhy(listed: Alert, whole: Alert | null): Alert {
  if (!whole || whole.id !== listed.id) return listed
  const { explanation, sentence, sentence_en, series } = whole
  return { ...listed, explanation, sentence, sentence_en, series }
}
