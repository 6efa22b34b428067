import { expect, it } from 'vitest'
import type { Alert, Incident } from '../api'
import { docketOf, isSOS, marksOf } from './docket'

const alert = (id: string, more: Partial<Alert> = {}): Alert => ({
  id, rule: 'sensor_fire', rule_version: '1', device: 'd', area: 'a', area_name: 'a', lat: 39, lon: 115, severity: 'orange', state: 'firing',
  summary: id, summary_en: id, reasons: [], measured: '2026-03-14T05:00:00Z', raised: '2026-03-14T05:00:00Z', late_s: 0, resolved: null,
  updated: '2026-03-14T05:00:00Z', evidence: [], acks: [], order: '', incident: '', hush: null, demo: false, ...more,
})
const incident = (id: string, more: Partial<Incident> = {}): Incident => ({
  id, area: 'a', area_name: 'a', device: 'd', lat: 39, lon: 115, title: id, severity: 'red', state: 'open', began: '2026-03-14T05:00:00Z',
  opened: '2026-03-14T05:00:00Z', updated: '2026-03-14T05:00:00Z', quiet: null, closed: null, confirmed: null, refuted: null, by: '', by_name: '',
  alerts: 1, order: '', order_level: null, demo: false, ...more,
})
const hush = { kind: 'silenced' as const, by: 'si-1', why: '', since: '', until: null }
const ack = { by: 'x', by_name: '', at: '', note: '' }
const now = { over: false, hushed: false }

it('puts alerts of one fire under its incident, the gravest first', () => {
  const d = docketOf([alert('1', { incident: 'in', severity: 'yellow' }), alert('2', { incident: 'in' }), alert('3', { severity: 'yellow' })], [incident('in')], now)
  expect(d.items.map((x) => [x.key, x.alerts.map((a) => a.id)])).toEqual([['in', ['2', '1']], ['3', ['3']]])
})

it('shows an incident that still waits for a word when none of its alerts stands', () => {
  expect(docketOf([alert('1', { incident: 'in', state: 'resolved' })], [incident('in')], now).items).toHaveLength(1)
  expect(docketOf([alert('1', { incident: 'in', state: 'resolved' })], [incident('in', { state: 'refuted' })], now).items).toHaveLength(0)
  expect(docketOf([alert('1', { incident: 'in', state: 'resolved' })], [incident('in', { state: 'closed' })], { ...now, over: true }).items[0]?.alerts).toHaveLength(1)
})

it('loses no alert whose incident is not known', () => {
  expect(docketOf([alert('1', { incident: 'gone' })], [], now).items.map((x) => x.key)).toEqual(['1'])
})

it('hides and counts what is kept from people, until it is asked for', () => {
  const all = [alert('1', { hush }), alert('2'), alert('3', { hush, state: 'resolved' })]
  expect(docketOf(all, [], now)).toMatchObject({ hushed: 1, items: [{ key: '2' }] })
  expect(docketOf(all, [], { over: false, hushed: true }).items).toHaveLength(2)
})

it('sorts what waits for a person above what somebody has seen to', () => {
  const d = docketOf(
    [alert('seen', { severity: 'red', acks: [ack] }), alert('new', { severity: 'yellow' }), alert('low', { severity: 'notice' }), alert('in1', { incident: 'in', acks: [ack] })],
    [incident('in', { state: 'confirmed' })], now)
  expect(d.items.map((x) => x.key)).toEqual(['new', 'in', 'seen'])
  expect(d.notices.map((a) => a.id)).toEqual(['low'])
})

it('marks one place for a fire, and every SOS', () => {
  const all = [alert('1', { incident: 'in' }), alert('2', { incident: 'in', lat: 39.01 }), alert('sos', { incident: 'in', rule: 'sos' }), alert('3', { hush }), alert('4', { lat: null })]
  expect(marksOf(all, [incident('in')], '').map((m) => m.id)).toEqual(['in', 'sos'])
  expect(marksOf(all, [incident('in')], '2').map((m) => m.id)).toEqual(['in', '2', 'sos'])
  expect(marksOf(all, [incident('in', { state: 'closed' })], '').map((m) => m.id)).toEqual(['1', '2', 'sos'])
})

it('tells of many areas once, and of a few one by one; none of them is a place on the map', () => {
  const of = (n: number) => Array.from({ length: n }, (_, i) => alert(`${i}`, { rule: 'danger_4', device: '' }))
  expect(docketOf([...of(5), alert('x', { severity: 'yellow' })], [], now).items.map((x) => x.alerts.length)).toEqual([5, 1])
  expect(docketOf(of(3), [], now).items).toHaveLength(3)
  expect(marksOf(of(5), [], '2').map((m) => m.id)).toEqual(['2'])
})

it('knows an SOS', () => {
  expect(isSOS(alert('1'))).toBe(false)
  expect(isSOS(alert('1', { rule: 'mayday', evidence: [{ device: 'd', measured: '', received: '', field: 'active', value: 1, note: '' }] }))).toBe(true)
})
