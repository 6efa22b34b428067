import { expect, it } from 'vitest'
import type { Window } from '../api'
import { areaOf, bandsOf, pathOf } from './chart'

const t0 = Date.parse('2026-03-14T00:00:00Z')
const window = (minute: number, min: number, mean: number, max: number): Window =>
  ({ at: new Date(t0 + minute * 60_000).toISOString(), count: 2, min: { temp_c: min }, mean: { temp_c: mean }, max: { temp_c: max } })

it('makes a band of windows, at their middle, and breaks it where none was measured', () => {
  const [band] = bandsOf([window(10, 1, 2, 3), window(0, 2, 4, 5), window(60, 0, 1, 2)], 600)
  expect(band).toMatchObject({ field: 'temp_c', min: 0, max: 5 })
  expect(band!.points.map((p) => (p.at - t0) / 60_000)).toEqual([5, 15, 65])
  const area = areaOf(band!, t0, t0 + 70 * 60_000, 70, 50, 900_000)
  expect(area.match(/M/g)).toHaveLength(2)
  expect(area).toBe('M5.0 0.0L15.0 20.0L15.0 40.0L5.0 30.0ZM65.0 30.0L65.0 50.0Z')
  const line = pathOf({ ...band!, points: band!.points.map((p) => ({ at: p.at, value: p.mean })) }, t0, t0 + 70 * 60_000, 70, 50, 900_000)
  expect(line.match(/M/g)).toHaveLength(2)
})

it('shows the telling fields first and leaves out what is no curve', () => {
  const w = window(0, 1, 1, 1)
  w.mean = { rssi_dbm: -70, temp_c: 12, smoke_obs_pct_m: 0.1, lat: 39, uptime_s: 5 }
  expect(bandsOf([w], 60).map((b) => b.field)).toEqual(['smoke_obs_pct_m', 'temp_c', 'rssi_dbm'])
})

it('holds a sum that lies beyond its readings', () => {
  const w: Window = { at: new Date(t0).toISOString(), count: 3, min: { rain_mm: 0.2 }, mean: { rain_mm: 1.1 }, max: { rain_mm: 0.5 } }
  expect(bandsOf([w], 600)[0]).toMatchObject({ min: 0.2, max: 1.1 })
})
