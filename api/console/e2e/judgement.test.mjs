// What the office is told and decides: fire danger, why an alert stands, what is
// kept from people, and readiness.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { colours, eventually, open, out } from './harness.mjs'

let h
let page
let api
before(async () => {
  h = await open()
  page = await h.page({ width: 1440, height: 900 }, { reducedMotion: 'reduce' })
  await h.login(page, h.office)
  await by('alerts').waitFor()
  api = await h.api(h.office)
})
after(() => h?.close())
afterEach(() => assert.deepEqual(h.faults, [], 'the pages are free of errors'))
const by = (name) => page.locator(`[data-test="${name}"]`)
const shot = (name) => page.screenshot({ path: join(out, `${name}.png`) })

test('the map is coloured by fire danger, and a township tells why', async () => {
  await eventually('rated', async () => (await api('GET', '/danger?limit=1000')).items.some((d) => d.level > 0), 60_000)
  await by('layer-danger').check()
  await by('danger-legend').locator('.patch').first().waitFor()
  const canvas = by('map').locator('canvas')
  await eventually('map drawn', async () => (await colours(canvas)).colours > 60, 40_000)
  await shot('danger-1440')
  // Devices lie before the ground: look for a place where none is.
  const box = await canvas.boundingBox()
  await eventually('a township answers', async () => {
    for (let i = 0; i < 40; i++) {
      await page.mouse.click(box.x + box.width * (0.3 + 0.4 * ((i * 0.618) % 1)), box.y + box.height * (0.35 + (0.3 * i) / 40))
      if (await by('danger-panel').isVisible()) return true
    }
    return false
  })
  await by('danger-series').waitFor()
  const area = await by('danger-panel').getAttribute('data-area')
  const rated = (await api('GET', `/danger?area=${area}`)).items.find((d) => d.area === area)
  assert.equal(await by('danger-panel').getAttribute('data-level'), String(rated.level))
  await shot('danger-panel-1440')
  await by('danger-panel').getByRole('button', { name: '关闭' }).click()
  await by('layer-danger').uncheck()
  await by('danger-legend').waitFor({ state: 'detached' })
})

test('one fire is one card, and a person says that it is one', async () => {
  const incident = await eventually('an incident', async () => (await api('GET', '/incidents?open=true')).items.find((i) => i.state === 'open'), h.real ? 200_000 : 5000)
  const card = page.locator(`[data-test="incident"][data-id="${incident.id}"]`)
  await card.locator('[data-test="confirm-fire"]').click()
  await card.locator('[data-test="say-fire"]').click()
  await eventually('confirmed', async () => await card.getAttribute('data-state') === 'confirmed')
  assert.equal((await api('GET', '/incidents?open=true')).items.find((i) => i.id === incident.id).state, 'confirmed')
})

test('an alert says why it stands', async () => {
  const fire = await eventually('a fire', async () => (await api('GET', '/alerts?limit=1000')).items.find((a) => a.rule === 'sensor_fire' && a.state === 'firing' && !a.hush), h.real ? 200_000 : 5000)
  await page.locator(`[data-test="alert"][data-id="${fire.id}"]`).click()
  const whole = await api('GET', `/alerts/${fire.id}`)
  await by('sentence').waitFor()
  assert.ok((await by('sentence').innerText()).startsWith(whole.sentence.slice(0, 20)))
  await by('explanation').waitFor()
  if (whole.explanation.raised.length) assert.match(await by('raised').innerText(), /→/)
  if (whole.series.lines.length) {
    await by('alert-series').locator('[data-test="moment"]').first().waitFor({ state: 'attached' })
    await by('alert-series').locator('[data-test="threshold"]').first().waitFor({ state: 'attached' })
  }
  await shot('why-1440')
})

test('an alert is silenced with a reason, is hidden, and comes back when the silence is lifted', async () => {
  const noisy = await eventually('an alert', async () => (await api('GET', '/alerts?state=firing&limit=500')).items
    .find((a) => a.rule !== 'sos' && a.rule !== 'sensor_fire' && a.device && a.severity !== 'notice' && !a.hush && !a.incident)
    ?? (h.real ? (await api('GET', '/alerts?state=firing&limit=500')).items.find((a) => a.rule === 'sensor_fire' && !a.hush) : undefined), 30_000)
  const row = page.locator(`[data-test="alert"][data-id="${noisy.id}"]`)
  await row.click()
  await by('silence').click()
  await by('silence-form').waitFor()
  assert.ok(await by('silence-make').isDisabled(), 'no silence without a reason')
  await page.fill('textarea[name=reason]', '已与村委核实')
  await shot('silence-1440')
  await by('silence-make').click()
  await by('silence-form').waitFor({ state: 'detached' })
  await row.waitFor({ state: 'detached' })
  await by('show-hushed').check()
  await row.locator('[data-test="hushed"]').waitFor()

  await by('silences').click()
  await by('silence').filter({ hasText: '已与村委核实' }).locator('[data-test="lift"]').click()
  await by('lift').first().click()
  await eventually('lifted', async () => !(await api('GET', '/silences')).items.some((s) => s.reason === '已与村委核实'))
  await by('tab-holdbacks').click()
  await by('quiet').getByRole('button', { name: '关闭' }).click()
  await row.locator('[data-test="hushed"]').waitFor({ state: 'detached' })
  await by('show-hushed').uncheck().catch(() => undefined) // it is gone when nothing is hushed
})

test('an SOS cannot be silenced', { skip: process.env.FIREWATCH_URL && 'the demonstration\'s SOS comes when it likes' }, async () => {
  await page.locator('[data-test="alert"][data-id="al-0002"]').click()
  await by('sentence').waitFor()
  assert.ok(await by('silence').isDisabled())
})

test('readiness is confirmed in one step, or changed with a word why', async () => {
  const open = await eventually('proposals', async () => (await api('GET', '/readiness?limit=1000')).items.filter((r) => r.open), 60_000)
  await by('nav-readiness').click()
  await by('table-version').waitFor()
  const row = (area) => page.locator(`[data-test="readiness-row"][data-area="${area}"]`)
  const [first, second, third] = open.filter((r) => r.area !== 'professional')
  await row(first.area).locator('input').check()
  await row(second.area).locator('input').check()
  await shot('readiness-1440')

  if (h.propose) { // changed behind our back
    h.propose(second.area, 'emergency')
    await by('confirm-readiness').click()
    await by('confirm-error').getByText('提案已变化，请重看').waitFor()
    await row(second.area).getByText('提案已变化').waitFor()
    assert.equal(await row(second.area).locator('input').isChecked(), false)
    await row(second.area).locator('input').check()
  }
  await by('confirm-readiness').click()
  await by('confirm-done').waitFor()
  await eventually('no longer open', async () => await row(first.area).getAttribute('data-open') === 'false')

  await row(third.area).locator('input').check()
  await by('set-posture').selectOption('standby')
  if (third.proposed !== 'standby') assert.ok(await by('confirm-readiness').isDisabled(), 'another posture needs a word')
  await by('word').fill('已下雨，先待命')
  await by('with-order').check()
  await by('with-drill').check()
  await by('confirm-readiness').click()
  await by('confirm-done').getByText('命令').first().waitFor()
  await row(third.area).locator('[data-test="show-history"]').click()
  await by('history').getByText('已下雨，先待命').waitFor()
  await by('nav-watch').click()
})
