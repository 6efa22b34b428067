import { expect, it } from 'vitest'
import type { Area, DangerDay } from '../api'
import { dangerCounts, dangerShapes, dayBars } from './danger'

const outline: GeoJSON.Geometry = { type: 'Point', coordinates: [115, 39] }
const area = (code: string, more: Partial<Area> = {}): Area =>
  ({ code, name: code, level: 'township', parent: '1', lat: 39, lon: 115, surveyed: true, outline, ...more })
const rated = (code: string, level: number, more: Partial<DangerDay> = {}): DangerDay => ({
  area: code, area_name: code, area_level: 'township', date: '2026-03-14', level, level_name: '', method: 'htz', version: '1', value: 60,
  dry_days: 3, degraded: false, held_from: null, provisional: false, note: '', rated: null, stations: [], ...more,
})

it('draws townships with their level, and what nobody rated as unknown', () => {
  const areas = [area('1', { level: 'county' }), area('a'), area('b'), area('c'), area('d'), area('e', { outline: null })]
  const days = [rated('1', 5), rated('a', 4), rated('b', 2, { held_from: '2026-03-13' }), rated('c', 0, { degraded: true })]
  expect(dangerShapes(areas, days).features.map((f) => f.properties)).toEqual([
    { code: 'a', level: 4, marked: false }, { code: 'b', level: 2, marked: true },
    { code: 'c', level: 0, marked: false }, { code: 'd', level: 0, marked: false },
  ])
  expect(dangerCounts(areas, days)).toEqual([2, 0, 1, 0, 1, 0])
})

it('keeps a place for each day, and leaves none out that was not rated', () => {
  const bars = dayBars([rated('a', 3, { date: '2026-02-27' }), rated('a', 4, { date: '2026-03-01', degraded: true })], '2026-03-01', 4)
  expect(bars).toEqual([
    { day: '2026-02-26', level: 0, value: null, marked: false },
    { day: '2026-02-27', level: 3, value: 60, marked: false },
    { day: '2026-02-28', level: 0, value: null, marked: false },
    { day: '2026-03-01', level: 4, value: 60, marked: true },
  ])
})
