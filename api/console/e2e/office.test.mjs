import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { colours, eventually, open, out } from './harness.mjs'

const large = { width: 1440, height: 900 }
let h
let page
before(async () => {
  h = await open()
  page = await h.page(large)
})
after(() => h?.close())
afterEach(() => assert.deepEqual(h.faults, [], 'the pages are free of errors'))
const by = (name) => page.locator(`[data-test="${name}"]`)
const shot = (name) => page.screenshot({ path: join(out, `${name}.png`) })

test('a wrong password is refused, the right one opens the office', async () => {
  await h.login(page, { username: h.office.username, password: 'wrong' })
  await page.getByRole('alert').waitFor()
  await shot('login')
  await h.login(page, h.office)
  await by('alerts').waitFor()
  await by('demo').waitFor()
})

test('the map is drawn with the names of the counties', async () => {
  await page.locator('.county-name', { hasText: '易县' }).waitFor()
  assert.ok(await page.locator('.county-name').count() >= 9)
  await eventually('map drawn', async () => {
    const seen = await colours(by('map').locator('canvas'))
    return seen.colours > 40 && seen.drawn > 0.2
  }, 40_000)
  await by('unsurveyed').waitFor()
  await shot('office-1440')
})

test('what is not known or not ready is said', async () => {
  await eventually('stream open', async () => await by('stream').getAttribute('data-state') === 'open')
  await by('parts').waitFor()
  if (!h.real) assert.match(await by('part-bad').innerText(), /influxdb.*8086/)
})

test('an alert shows its reasons and evidence and is acknowledged', async () => {
  const api = await h.api(h.office)
  // The demonstration's fire breaks out some minutes after its start, and may be
  // over when the server has been running for long.
  const proven = await eventually('an alert with evidence', async () => {
    const all = (await api('GET', '/alerts?limit=1000')).items.filter((a) => a.evidence.length > 0 && a.severity !== 'notice' && a.device && !a.hush)
    return all.find((a) => a.state === 'firing' && a.severity === 'red') ?? all.find((a) => a.state === 'firing') ?? all[0]
  }, h.real ? 200_000 : 5000)
  if (proven.state !== 'firing') await by('alerts-all').click()
  await page.locator(`[data-test="alert"][data-id="${proven.id}"]`).click({ timeout: 40_000 })
  await by('alert-detail').waitFor()
  await by('evidence').locator('tbody tr').first().waitFor()
  if (!h.real) assert.match(await by('alerts').innerText(), /迟到 47 分钟/)
  await shot('alert-1440')
  const note = `已电话核实 ${Date.now() % 100_000}`
  await by('alert-detail').locator('input').fill(note)
  await by('ack').click()
  await by('acks').getByText(note).waitFor()
})

test('a device shows its readings', async () => {
  const api = await h.api(h.office)
  const seen = (await api('GET', '/devices?seen=true&kind=sensor&limit=1')).items[0] ?? (await api('GET', '/devices?seen=true&limit=1')).items[0]
  await page.fill('#find', seen.id)
  await page.locator('.search li button').first().click()
  await by('device').waitFor()
  await by('chart').or(by('device').getByText('没有读数').first()).first().waitFor()
  await eventually('map at rest', async () => (await colours(by('map').locator('canvas'))).colours > 40)
  await shot('device-1440')
  await by('device').getByRole('button', { name: '关闭' }).click()
})

test('an order goes out and the board fills in as answers come', async () => {
  const [a, b] = h.teams
  const office = await h.api(h.office)
  const names = Object.fromEntries((await office('GET', '/teams?limit=1000')).items.map((t) => [t.id, t.name]))
  await by('new-order').click()
  await by('order-form').waitFor()
  assert.ok(await by('submit-order').isDisabled(), 'an order to nobody cannot be given')
  await page.locator('input[name=drill]').check()
  for (const t of [a.team, b.team]) {
    await page.fill('#add-team', names[t])
    await by(`add-${t}`).click()
  }
  assert.match(await by('preview').innerText(), /2 支队伍/)
  const text = `验收命令 ${Date.now()}`
  await page.fill('textarea[name=text]', text)
  await shot('form-1440')
  await by('submit-order').click()
  await by('tally').waitFor()
  await eventually('two teams called', async () => await by('tally-total').innerText() === '2')
  await page.locator('.board .chip.drill').waitFor()
  const id = await by('board').getAttribute('data-order')

  const team = await h.api(a)
  await team('POST', `/orders/${id}/answers`, { answer: 'delivered' })
  await team('POST', `/orders/${id}/answers`, { answer: 'read' })
  await eventually('read shown', async () => ['read', 'answered'].includes(await by(`cell-${a.team}`).getAttribute('data-cell')))
  await team('POST', `/orders/${id}/answers`, { answer: 'accepted', by: '王队长' })
  await eventually('answer shown', async () => await by(`cell-${a.team}`).getAttribute('data-cell') === 'answered')

  await by(`cell-${b.team}`).click()
  await by('attempts').waitFor({ state: 'attached' })
  await by('behalf-by').fill('李队长')
  await by('behalf-submit').click()
  await eventually('on behalf shown', async () => await by(`cell-${b.team}`).getAttribute('data-cell') === 'answered')
  await eventually('all answered', async () => await by('tally-answered').innerText() === '2')
  assert.equal(await by('tally-waiting').innerText(), '0')
  await shot('board-1440')
  await by('board-back').click()
  await by('orders').getByText(text).waitFor()
})

test('all teams of an order are seen at once, at both sizes', async () => {
  let id = 'or-000001' // the fake server's, which stands in every state
  let teams = 128
  if (h.real) {
    const api = await h.api(h.office)
    const order = await api('POST', '/orders', {
      kind: 'standby', level: 'orange', text: '全市各队立即进入待命状态，人员在岗、装备装车。', targets: { areas: [], teams: [], kinds: ['professional', 'township'] }, drill: true, alert: '',
    }, { 'Idempotency-Key': randomUUID() })
    id = order.id
    teams = order.deliveries.length
  }
  await page.locator(`[data-test="order"][data-id="${id}"]`).click()
  await eventually(`${teams} cells`, async () => await page.locator('.cell').count() === teams)
  await shot('board-128-1440')
  const hidden = () => page.evaluate(() => {
    const box = document.querySelector('.board .scroll').getBoundingClientRect()
    return [...document.querySelectorAll('.cell')].filter((c) => c.getBoundingClientRect().bottom > box.bottom + 1).length
  })
  await by('board-wide').click()
  await shot('board-128-wide-1440')
  await page.setViewportSize({ width: 1280, height: 720 })
  assert.equal(await hidden(), 0, 'the whole board is in sight')
  await shot('board-128-wide-1280')
  await by('board-wide').click()
  await shot('office-1280')
  await page.locator(h.real ? '.cell' : '.cell.c-overdue').first().click()
  await by('delivery').waitFor()
  const scrolled = await page.evaluate(() => [document.documentElement, document.body, document.querySelector('.app')].map((e) => e.scrollTop))
  assert.deepEqual(scrolled, [0, 0, 0], 'the frame stays where it is')
  assert.ok(await by('behalf-submit').isVisible())
  await shot('delivery-1280')
  await by('board-back').click()
})

test('warnings and seasons open, and the words change to English', async () => {
  await page.setViewportSize(large)
  await by('warnings').click()
  await shot('warnings-1440')
  await page.keyboard.press('Escape')
  await by('seasons').click()
  await page.keyboard.press('Escape')
  await by('lang').click()
  await page.getByRole('heading', { name: /Alerts/ }).waitFor()
  await shot('english-1440')
  await by('lang').click()
  await by('logout').click()
  await page.locator('input[name=password]').waitFor()
})
