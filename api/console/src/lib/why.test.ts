import { expect, it } from 'vitest'
import type { Explanation } from '../api'
import { thresholdsOf, toldOf, valueName } from './why'

const why = (condition: string, values: Record<string, number> = {}): Explanation => ({
  condition, why: '', values, base: 'yellow', raised: [], outcome: '', held: [],
  inputs: { season: '', season_unknown: false, warning: '', warning_event: '', warning_unknown: false, danger: 0, danger_held: false, dry_days: -1, special: '' },
})

it.each<[string, string, Record<string, number>, string, number[]]>([
  ['of a sensor fire', 'sensor_fire', { co_ppm: 30, suspect_co_ppm: 15 }, 'co_ppm', [15]],
  ['of the latest value', 'rise("temp_c", "10m") >= 12 and latest("temp_c") >= 30', {}, 'temp_c', [30]],
  ['of a rise: none', 'rise("co_ppm", "10m") >= 20 and count("co_ppm", "10m") >= 3', {}, 'co_ppm', []],
  ['of a bare field', 'battery_pct < 15', {}, 'battery_pct', [15]],
  ['of another field: none', 'latest("wind_gust_ms") > 10.8', {}, 'wind_ms', []],
])('finds the bound %s', (_, condition, values, field, bounds) => {
  expect(thresholdsOf(why(condition, values), field)).toEqual(bounds)
})

it('gives a curve room for its bound and its evidence', () => {
  const line = { device: 'd', field: 'co_ppm', unit: 'ppm', at_ms: [0, 60_000, 120_000], value: [1, 2, 12] }
  const [told] = toldOf([line], [{ device: 'd', measured: new Date(120_000).toISOString(), received: '', field: 'co_ppm', value: 12, note: '' }, { device: 'e', measured: '', received: '', field: 'co_ppm', value: 99, note: '' }], why('sensor_fire', { suspect_co_ppm: 15 }))
  expect(told).toMatchObject({ thresholds: [15], proofs: [{ at: 120_000, value: 12 }], curve: { min: 1, max: 15 }, gapMs: 240_000 })
})

it('does not press a curve flat for a bound that is far away', () => {
  const line = { device: 'd', field: 'co_ppm', unit: 'ppm', at_ms: [0], value: [1] }
  expect(toldOf([line], [], why('sensor_fire', { suspect_co_ppm: 500 }))[0]).toMatchObject({ thresholds: [], curve: { max: 1 } })
})

it('reads the names of values', () => {
  expect(valueName('rise("co_ppm", "10m")')).toEqual({ kind: 'function', f: 'rise', field: 'co_ppm', window: '10m' })
  expect(valueName('suspect_co_ppm')).toMatchObject({ kind: 'suspect', field: 'co_ppm' })
  expect(valueName('silent_s')).toMatchObject({ kind: 'field', field: 'silent_s' })
  expect(valueName('latest("a") - latest("b")')).toMatchObject({ kind: 'other' })
})
