import { expect, it } from 'vitest'
import { Clock } from './api'

const noon = Date.parse('2026-03-14T12:00:00Z')
const told = (ms: number) => new Date(noon + ms).toUTCString()

it('tells a time as it would have been on a right clock', () => {
  const clock = new Clock()
  const said = new Date(noon).toISOString()
  clock.hear(told(0), noon + 700, noon + 900)
  expect(clock.right(said)).toBe(said)

  // The device is an hour ahead; whole seconds of the server change nothing more.
  clock.hear(told(0), noon + 3_600_400, noon + 3_600_600)
  expect(clock.right(new Date(noon + 3_600_000).toISOString())).toBe(said)
  clock.hear(told(1000), noon + 3_602_300, noon + 3_602_500)
  expect(clock.right(new Date(noon + 3_600_000).toISOString())).toBe(said)

  // It is set right.
  clock.hear(told(5000), noon + 5300, noon + 5500)
  expect(clock.right(said)).toBe(said)
})

it('learns nothing from a slow answer or one without a time', () => {
  const clock = new Clock()
  const said = new Date(noon).toISOString()
  clock.hear(null, noon, noon + 100)
  clock.hear('no date', noon, noon + 100)
  clock.hear(told(0), noon, noon + 20_000)
  expect(clock.right(said)).toBe(said)
  expect(clock.right(undefined)).toBeUndefined()
})
