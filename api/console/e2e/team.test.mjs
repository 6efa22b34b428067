import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { eventually, open, out } from './harness.mjs'

const phone = { width: 360, height: 740 }
const touch = { hasTouch: true, isMobile: true, deviceScaleFactor: 2 }
let h
let mine
let other
let office
const text = `请到观察点核查烟点 ${Date.now()}，查明后立即报告。`
let order
before(async () => {
  h = await open()
  mine = await h.page(phone, touch)
  other = await h.page(phone, touch)
  office = await h.page({ width: 1440, height: 900 })
})
after(() => h?.close())
afterEach(() => assert.deepEqual(h.faults, [], 'the pages are free of errors'))
const card = (page) => page.locator(`[data-test="team-order"][data-id="${order.id}"]`)
// A team whose terminal has spoken first (the demonstration's do) may change its word.
async function reach(card, answer) {
  const open = card.locator('[data-test="open-order"]')
  if (await open.isVisible()) await open.tap()
  const button = card.locator(`[data-test="answer-${answer}"]`)
  await button.or(card.getByText('更改回答')).first().waitFor()
  if (!(await button.isVisible())) await card.getByText('更改回答').tap()
  await button.waitFor()
  return button
}
const shot = (page, name) => page.screenshot({ path: join(out, `${name}.png`), fullPage: true })

test('an order given now appears on the phone of its team, and on no other', async () => {
  for (const [page, who] of [[mine, h.teams[0]], [other, h.teams[1]]]) {
    await h.login(page, who)
    await page.locator('[data-test="team-state"] .dot.ok').waitFor()
    await page.locator('[data-test="demo"]').waitFor()
    assert.equal(new URL(page.url()).pathname, '/team')
  }
  await shot(mine, 'team-before')
  const api = await h.api(h.office)
  order = await api('POST', '/orders', {
    kind: 'check', level: 'red', text, targets: { areas: [], teams: [h.teams[0].team], kinds: [] }, drill: true, alert: '',
  }, { 'Idempotency-Key': randomUUID() })
  await card(mine).waitFor()
  await card(mine).locator('.drill-strip').waitFor()
  await shot(mine, 'team-new')

  // A later word to the other team proves that its page is up to date.
  const mark = await api('POST', '/orders', {
    kind: 'standby', level: 'yellow', text: '请待命。', targets: { areas: [], teams: [h.teams[1].team], kinds: [] }, drill: true, alert: '',
  }, { 'Idempotency-Key': randomUUID() })
  await other.locator(`[data-id="${mark.id}"]`).waitFor()
  assert.equal(await card(other).count(), 0)
  assert.ok(!(await other.content()).includes(text))
})

test('the office sees it arrive, read and answered by a tap', async () => {
  await h.login(office, h.office)
  await office.locator(`[data-test="order"][data-id="${order.id}"]`).click()
  const cell = office.locator(`[data-test="cell-${h.teams[0].team}"]`)
  const state = () => cell.getAttribute('data-state')
  await eventually('delivered on the board', async () => ['delivered', 'read', 'answered'].includes(await state()))
  const accept = await reach(card(mine), 'accepted')
  await eventually('read on the board', async () => ['read', 'answered'].includes(await state()))
  await shot(mine, 'team-open')
  const box = await accept.boundingBox()
  assert.ok(box.height >= 56 && box.width >= 280, 'the button is as large as a thumb')
  await accept.tap()
  await card(mine).locator('[data-test="said"][data-answer="accepted"]').waitFor()
  await eventually('answered on the board', async () => await state() === 'answered')
  await office.screenshot({ path: join(out, 'office-answered.png') })
  await shot(mine, 'team-accepted')
})

test('without a network the answer is kept, shown as not sent, and sent later', async () => {
  await mine.context().setOffline(true)
  await (await reach(card(mine), 'in_position')).tap()
  await mine.locator('[data-test="unsent"]').waitFor()
  await shot(mine, 'team-unsent')
  const kept = await mine.evaluate(() => Object.entries(localStorage).filter(([k]) => k.startsWith('firewatch.outbox')).map(([, v]) => v).join())
  assert.match(kept, /in_position/)
  const linked = Date.now()
  await mine.context().setOffline(false)
  await mine.locator('[data-test="unsent"]').waitFor({ state: 'detached' })
  const api = await h.api(h.office)
  // Of two answers the one said last stands; the demonstration's terminal may have spoken since.
  const got = await eventually('the server has it', async () => {
    const o = await api('GET', `/orders/${order.id}`)
    const d = o.deliveries.find((x) => x.team === h.teams[0].team)
    const heard = o.attempts.some((a) => a.team === d.team && /到位/.test(a.note) && !/MQTT/.test(a.note))
    return (h.real ? heard : d.answer === 'in_position') && d
  })
  if (got.answer === 'in_position') assert.ok(Date.parse(got.answered) <= linked, 'it counts from when the button was pressed')
})

test('a team that cannot says why', async () => {
  const theirs = other.locator('[data-test="team-order"]', { hasText: '请待命' }).first()
  await (await reach(theirs, 'rejected')).tap()
  assert.ok(await theirs.locator('[data-test="send-reject"]').isDisabled(), 'a reason is asked for')
  await theirs.getByRole('button', { name: '道路不通' }).tap()
  await shot(other, 'team-reject')
  await theirs.locator('[data-test="send-reject"]').tap()
  await theirs.locator('[data-test="said"][data-answer="rejected"]').waitFor()
})
