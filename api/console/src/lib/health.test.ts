import { createI18n } from 'vue-i18n'
import { describe, expect, it } from 'vitest'
import type { Health, Reading } from '../api'
import en from '../i18n/devices.en'
import zh from '../i18n/devices.zh'
import { batteryOf, daysLeftNote, notesOf, seenOf, skewSpan } from './health'

const well: Health = {
  measured: '2026-03-14T04:00:00Z', received: '2026-03-14T04:00:02Z', skew_s: 2, buffered: 0,
  battery_pct: 80, battery_rate: -2, days_left: 40, missing: 0, repeated: 3, resets: 1, flood: 'none',
}
const reading = (more: Partial<Reading>): Reading =>
  ({ device: 'a', class: 'position', measured: '2026-03-14T04:00:00Z', received: '2026-03-14T04:00:02Z', seq: 1, values: {}, ...more })
const zhWords = createI18n({ legacy: false, locale: 'zh', messages: { zh } }).global
const enWords = createI18n({ legacy: false, locale: 'en', messages: { en } }).global
const said = (more: Partial<Health>) => notesOf({ ...well, ...more }).map((n) => zhWords.t(`desk.note.${n.key}`, n.params))
const saidInEnglish = (more: Partial<Health>) => notesOf({ ...well, ...more }).map((n) => enWords.t(`desk.note.${n.key}`, n.params))

describe('notesOf', () => {
  it('says nothing of a device that is well, or of which nothing is known', () => {
    expect(said({})).toEqual([])
    expect(notesOf(null)).toEqual([])
    expect(said({ skew_s: null, buffered: null, battery_pct: null, days_left: null })).toEqual([])
  })
  it.each<[Partial<Health>, string, string]>([
    [{ skew_s: 89 }, '时钟快 89 秒', 'clock 89 s fast'],
    [{ skew_s: -11 }, '时钟慢 11 秒', 'clock 11 s slow'],
    [{ skew_s: 3600 }, '时钟快 60 分钟', 'clock 60 min fast'],
    [{ skew_s: -28_800 }, '时钟慢 8 小时', 'clock 8 h slow'],
    [{ skew_s: 864_000 }, '时钟快 10 天', 'clock 10 d fast'],
    [{ missing: 3 }, '缺 3 条（未知）', '3 missing (unknown)'],
    [{ buffered: 120 }, '终端内积压 120 条', '120 waiting in the device'],
    [{ flood: 'slowed' }, '发送过多，已限速', 'sends too much, slowed'],
    [{ flood: 'cut' }, '发送过多，已切断', 'sends too much, cut off'],
  ])('%j', (more, chinese, english) => {
    expect(said(more)).toEqual([chinese])
    expect(saidInEnglish(more)).toEqual([english])
  })
  it('leaves a skew of ten seconds unsaid', () => expect(said({ skew_s: 10 })).toEqual([]))
  it('puts the gravest first', () =>
    expect(notesOf({ ...well, flood: 'cut', skew_s: 20, missing: 1, buffered: 1 }).map((n) => n.tone)).toEqual(['bad', 'warn', 'warn', 'info']))
})

describe('the battery', () => {
  it('is unknown when nobody told', () => expect(batteryOf({ health: null, last: reading({}) })).toBeNull())
  it('is the last reading when there is no health', () =>
    expect(batteryOf({ health: null, last: reading({ values: { battery_pct: 42.4 } }) })).toEqual({ pct: 42, daysLeft: null, tone: 'info' }))
  it.each([[80, 40, 'info'], [80, 6.9, 'warn'], [80, 1.5, 'bad'], [14, null, 'bad'], [15, null, 'info']])('%d %%, %s days: %s', (pct, days, tone) =>
    expect(batteryOf({ health: { ...well, battery_pct: pct, days_left: days }, last: null })?.tone).toBe(tone))
  it.each([[0.4, '不足 1 天'], [1, '剩余 1 天'], [23.9, '剩余 23 天'], [366, '剩余一年以上']])('%d days', (days, words) => {
    const n = daysLeftNote(days)
    expect(zhWords.t(`desk.note.${n.key}`, n.params)).toBe(words)
  })
})

describe('seenOf', () => {
  it('knows nothing of a device that was never seen', () =>
    expect(seenOf({ health: null, last: null })).toEqual({ measured: null, received: null, lateS: 0 }))
  it('tells an old measurement from the message that brought it', () => {
    const late = { ...well, measured: '2026-03-14T03:00:00Z', received: '2026-03-14T04:00:00Z' }
    expect(seenOf({ health: late, last: null }).lateS).toBe(3600)
  })
  it('takes the newer of health and reading', () =>
    expect(seenOf({ health: well, last: reading({ measured: '2026-03-14T05:00:00Z', received: '2026-03-14T03:00:00Z' }) }))
      .toMatchObject({ measured: '2026-03-14T05:00:00Z', received: '2026-03-14T04:00:02Z' }))
})

it('names a span so that its number still tells something', () => {
  expect(skewSpan(119.6)).toEqual({ unit: 's', n: 120 })
  expect(skewSpan(-120)).toEqual({ unit: 'm', n: 2 })
})
