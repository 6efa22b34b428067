import { expect, it } from 'vitest'
import type { Area, AreaReadiness } from '../api'
import { groupsOf, movedOf, needsWord } from './readiness'

const row = (area: string, more: Partial<AreaReadiness> = {}): AreaReadiness => ({
  area, area_name: area, posture: 'normal', posture_name: '', since: '', by: '', by_name: '', word: '', proposed: 'standby', proposed_name: '', proposed_at: '',
  open: false, reasons: [], sentence: '', degraded: false, easing_since: null, easing: '', version: '', updated: '',
  inputs: { season: '', season_unknown: false, warning: '', warning_event: '', warning_unknown: false, danger: 0, danger_held: false, dry_days: null, special: '' },
  measures: { row: '', patrols: 0, wardens: '', entrances: '' }, ...more,
})
const area = (code: string, parent: string): [string, Area] =>
  [code, { code, name: `n${code}`, level: parent === '' ? 'county' : 'township', parent, lat: 0, lon: 0, surveyed: true }]
const areas = new Map([area('1', ''), area('2', ''), area('11', '1'), area('12', '1'), area('21', '2')])

it('puts what waits for a person on top, the professional teams first', () => {
  const groups = groupsOf([row('11'), row('12'), row('21', { open: true }), row('professional')], areas)
  expect(groups.map((g) => [g.name, g.rows.map((r) => r.area)])).toEqual([['professional', ['professional']], ['n2', ['21']], ['n1', ['11', '12']]])
  const rows = [row('11', { open: true }), row('12', { open: true, proposed: 'emergency' })]
  expect(groupsOf(rows, areas)[0]?.rows.map((r) => r.area)).toEqual(['12', '11'])
})

it('reads which proposals have moved', () => {
  expect(movedOf([{ field: 'areas[1].proposed', message: '现建议临战' }, { field: 'areas[9].proposed', message: '' }, { field: 'word', message: '' }], ['11', '12'])).toEqual(['12'])
})

it('asks for a word where the posture is another than the proposed one', () => {
  expect(needsWord([row('11')], '')).toBe(false)
  expect(needsWord([row('11')], 'standby')).toBe(false)
  expect(needsWord([row('11'), row('12', { proposed: 'normal' })], 'standby')).toBe(true)
})
